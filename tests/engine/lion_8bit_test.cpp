#include "engine/lion_8bit.h"

#include <ATen/Parallel.h>

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
  std::vector<TrainableParameter> one(1), many(1);
  for (auto* parameters : {&one, &many}) (*parameters)[0] = parameter_of({300, 211}, Site::kUp, true, 4);
  Lion8bit alone(one, options()), together(many, options());
  const int threads = at::get_num_threads();
  for (int64_t step = 1; step <= 3; ++step) {
    at::set_num_threads(1);
    update(oracle(), one, alone, step);
    at::set_num_threads(3);
    update(oracle(), many, together, step);
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(one[0].master.weight, many[0].master.weight));
  for (size_t k = 0; k < 2; ++k) EXPECT_TRUE(at::equal(alone.state(0)[k].tensor, together.state(0)[k].tensor));
}

}  // namespace
}  // namespace lathe
