#include "kernels/cpu/bf16_support.h"

#if defined(__linux__)
#include <sys/syscall.h>
#include <unistd.h>
#endif

namespace lathe::kernels::bf16_pairs {

#if LATHE_BF16_PAIRS
namespace {

/// Linux gives the registers of tiles, 8 KB a thread, to processes that ask. Threads that come later have them too.
bool tiles_granted() {
#if defined(__linux__) && defined(SYS_arch_prctl)
  constexpr int kRequest = 0x1023,
                kTileData = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA: younger than some headers
  return __builtin_cpu_supports("amx-tile") != 0 && __builtin_cpu_supports("amx-bf16") != 0 &&
         syscall(SYS_arch_prctl, kRequest, kTileData) == 0;
#else
  return false;
#endif
}

}  // namespace

bool supported() {
  return __builtin_cpu_supports("avx512bf16") != 0 && __builtin_cpu_supports("avx512dq") != 0 &&
         __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0;
}

bool tiles_supported() {
  static const bool granted = supported() && tiles_granted();
  return granted;
}
#else
bool supported() {
  return false;
}
bool tiles_supported() {
  return false;
}
#endif

}  // namespace lathe::kernels::bf16_pairs
