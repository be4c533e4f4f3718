#include "kernels/cuda/plugin.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>

namespace lathe::kernels {
namespace {

using ::testing::HasSubstr;

TEST(CudaPlugin, SaysWhatIsMissing) {
  if (has_nvidia_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_EQ(cuda_plugin().kernels, nullptr);
  EXPECT_EQ(cuda_plugin().missing, "this machine has no NVIDIA driver (libcuda.so.1)");
}

TEST(CudaPlugin, RefusesAFileThatIsNotThere) {
  const CudaPlugin plugin = open_cuda_plugin("/nowhere/liblathe_cuda.so");
  EXPECT_EQ(plugin.kernels, nullptr);
  EXPECT_THAT(plugin.missing, HasSubstr("/nowhere/liblathe_cuda.so is missing; build it where the CUDA toolkit"));
}

TEST(CudaPlugin, RefusesWhatIsNoLibrary) {
  const CudaPlugin plugin = open_cuda_plugin(LATHE_SOURCE_DIR "/README.md");
  EXPECT_EQ(plugin.kernels, nullptr);
  EXPECT_THAT(plugin.missing, HasSubstr("cannot be opened"));
}

#ifdef LATHE_CUDA_PLUGIN_FILE
TEST(CudaPlugin, OpensAndFillsItsTable) {
  const CudaPlugin plugin = open_cuda_plugin(LATHE_CUDA_PLUGIN_FILE);
  ASSERT_NE(plugin.kernels, nullptr) << plugin.missing;
  void* entries[sizeof(cuda::Kernels) / sizeof(void*)];
  std::memcpy(entries, plugin.kernels, sizeof(cuda::Kernels));
  for (const void* entry : entries) EXPECT_NE(entry, nullptr);
  EXPECT_STREQ(plugin.kernels->error_text(0), "no error");
  EXPECT_EQ(plugin.kernels->rms_norm_workspace(1000, 8), 63 * 8);
  if (!has_nvidia_driver()) {
    EXPECT_EQ(plugin.kernels->device_count(), 0);
    EXPECT_NE(plugin.kernels->synchronize(), 0);
    cuda::Device device{};
    EXPECT_NE(plugin.kernels->describe_device(&device), 0);
  }
}
#endif

TEST(CudaPlugin, OtherVersionsAreRefused) {
  EXPECT_NE(lathe_cuda_kernels(cuda::kTableVersion), nullptr);
  EXPECT_EQ(lathe_cuda_kernels(cuda::kTableVersion + 1), nullptr);
}

}  // namespace
}  // namespace lathe::kernels
