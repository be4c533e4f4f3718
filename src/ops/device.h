#pragma once
// Which device a run uses, and what there is to say about it. CUDA's half of libtorch and the plug-in are opened here
// and nowhere else, so a run on the CPU never pays for them.
#include <c10/core/Device.h>

#include <cstdint>
#include <string>

namespace lathe::ops {

/// The first GPU, with everything loaded that tensors on it need; the CPU where use_cpu asks for it or there is no GPU.
/// Call before the first tensor.
/// @throws Error(kConfig) where there is a GPU but something for it is missing, saying what to install
[[nodiscard]] c10::Device choose_device(bool use_cpu);

struct GpuState {
  bool usable = false;
  std::string text;  ///< one line: what there is, or what is missing
  int64_t free_bytes = 0;
};
/// For `lathe doctor` and the banner of a run; never throws.
[[nodiscard]] GpuState gpu_state();

struct DeviceMemory {
  int64_t peak_bytes = 0;      ///< of tensors
  int64_t reserved_bytes = 0;  ///< held for tensors at most
};
/// Of this process so far; zeros for a CPU, whose ledger counts (base/memory_ledger.h).
[[nodiscard]] DeviceMemory device_memory(c10::Device device);

/// Waits for all that was queued; at once on a CPU.
void synchronize(c10::Device device);

}  // namespace lathe::ops
