#include "base/processor.h"

#include <gtest/gtest.h>

#include <fstream>
#include <sstream>
#include <string>

namespace lathe {
namespace {

/// Whether the kernel lists it among the processor's flags.
bool has_flag(const std::string& wanted) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with("flags")) continue;
    std::istringstream words(line);
    for (std::string word; words >> word;) {
      if (word == wanted) return true;
    }
    return false;
  }
  return false;
}

TEST(Processor, MultipliesWhatTheKernelSaysItDoes) {
  EXPECT_TRUE(multiplies(DType::kF32));
#if defined(__x86_64__)
  EXPECT_EQ(multiplies(DType::kBF16), has_flag("avx512_bf16"));
  EXPECT_EQ(multiplies(DType::kF16), has_flag("avx512_fp16"));
  EXPECT_EQ(multiplies_in_tiles(), has_flag("amx_bf16"));
#endif
}

}  // namespace
}  // namespace lathe
