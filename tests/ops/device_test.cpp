#include "ops/device.h"

#include <gtest/gtest.h>

#include "kernels/cuda/plugin.h"

namespace lathe::ops {
namespace {

TEST(Device, TheCpuWhereItIsAskedFor) {
  EXPECT_TRUE(choose_device(true).is_cpu());
  EXPECT_EQ(device_memory(choose_device(true)).peak_bytes, 0);
}

TEST(Device, TheCpuWhereThereIsNoGpuAndSaysWhy) {
  if (kernels::has_nvidia_driver()) GTEST_SKIP() << "this machine has an NVIDIA driver";
  EXPECT_TRUE(choose_device(false).is_cpu());
  EXPECT_FALSE(gpu_state().usable);
  EXPECT_EQ(gpu_state().text, "no NVIDIA driver (libcuda.so.1)");
}

TEST(Device, TheFirstGpuWhereThereIsOne) {
  if (!gpu_state().usable) GTEST_SKIP() << gpu_state().text;
  const c10::Device device = choose_device(false);
  EXPECT_TRUE(device.is_cuda());
  EXPECT_EQ(device.index(), 0);
}

}  // namespace
}  // namespace lathe::ops
