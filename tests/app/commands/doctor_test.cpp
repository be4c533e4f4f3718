#include <ATen/Version.h>
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include "app/run_lathe.h"
#include "ops/device.h"

namespace lathe {
namespace {

using ::testing::ContainsRegex;
using ::testing::HasSubstr;

TEST(Doctor, SaysWhatTheMachineHas) {
  const ProgramRun run = run_lathe(".", "doctor");
  EXPECT_EQ(run.exit_code, 0);
  EXPECT_THAT(run.output, ContainsRegex(fmt::format("cores +{}\n", sysconf(_SC_NPROCESSORS_ONLN))));
  EXPECT_THAT(run.output, HasSubstr(fmt::format("{}, its kernels for {}", TORCH_VERSION, at::get_cpu_capability())));
  EXPECT_THAT(run.output, ContainsRegex("threads +1\n"));  // run_lathe sets OMP_NUM_THREADS
  EXPECT_THAT(run.output, ContainsRegex("memory +[0-9.]+ [KMGT]iB of [0-9.]+ [KMGT]iB available"));
  const ops::GpuState gpu = ops::gpu_state();
  EXPECT_THAT(run.output, HasSubstr((gpu.usable ? "used: " : "not used: ") + gpu.text));
}

}  // namespace
}  // namespace lathe
