#include "engine/lion_8bit.h"

#include "engine/eight_bit_run.h"

namespace lathe {
namespace {

using namespace eight_bit;

const Json& oracle() {
  static const Json values = read_oracle("lion");
  return values;
}

LionOptions options() {
  return {oracle()["beta1"], oracle()["beta2"], oracle()["weight_decay"]};
}

// A sign may turn where what decides it is all but zero: a whole step of one element of 4800.
TEST(Lion8bit, FollowsBitsandbytesForFiftyUpdates) {
  std::vector<TrainableParameter> parameters = start();
  Lion8bit optimizer(parameters, options());
  const std::vector<double> distances = follow(oracle(), parameters, optimizer);
  for (size_t i = 0; i < parameters.size(); ++i) EXPECT_LE(distances[i], 1e-4) << i;
  expect_state(oracle(), optimizer);
  // An fp32 mean gives the same only where bitsandbytes has such.
  std::vector<TrainableParameter> others = start();
  Lion plain(others, options());
  const std::vector<double> of_fp32 = follow(oracle(), others, plain);
  EXPECT_LE(of_fp32[0], 1e-4);
  EXPECT_GE(of_fp32[1], 3e-4);
  EXPECT_LE(of_fp32[2], 1e-4);
}

TEST(Lion8bit, ResultsDoNotDependOnThreads) {
  expect_no_effect_of_threads<Lion8bit>(oracle(), options());
}

}  // namespace
}  // namespace lathe
