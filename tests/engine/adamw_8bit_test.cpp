#include "engine/adamw_8bit.h"

#include "engine/eight_bit_run.h"

namespace lathe {
namespace {

using namespace eight_bit;

const Json& oracle() {
  static const Json values = read_oracle("adamw");
  return values;
}

AdamWOptions options() {
  return {oracle()["beta1"], oracle()["beta2"], oracle()["epsilon"], oracle()["weight_decay"]};
}

// tests/oracle/optimizer_8bit.py: bitsandbytes 0.50.2. Gradients follow the weights, so that a difference grows.
TEST(AdamW8bit, FollowsBitsandbytesForFiftyUpdates) {
  std::vector<TrainableParameter> parameters = start();
  AdamW8bit optimizer(parameters, options());
  const std::vector<double> distances = follow(oracle(), parameters, optimizer);
  const auto noise = oracle()["noise"].get<std::vector<double>>();
  for (size_t i = 0; i < parameters.size(); ++i) EXPECT_LE(distances[i], 3 * noise[i]) << i;
  // Fp32 moments give the same only where bitsandbytes has such: in the embedding, and where there is little.
  std::vector<TrainableParameter> others = start();
  AdamW plain(others, options());
  const std::vector<double> of_fp32 = follow(oracle(), others, plain);
  EXPECT_LE(of_fp32[0], 3 * noise[0]);
  EXPECT_GE(of_fp32[1], 10 * noise[1]);
  EXPECT_LE(of_fp32[2], 3 * noise[2]);
}

TEST(AdamW8bit, HasTheStateOfBitsandbytes) {
  std::vector<TrainableParameter> parameters = start();
  AdamW8bit optimizer(parameters, options());
  (void)follow(oracle(), parameters, optimizer);
  expect_state(oracle(), optimizer);
}

TEST(AdamW8bit, GoesOnFromItsStateByteForByte) {
  std::vector<TrainableParameter> whole = start(), half = start();
  AdamW8bit first(whole, options());
  for (int64_t step = 1; step <= 6; ++step) update(oracle(), whole, first, step);
  {
    AdamW8bit before(half, options());
    for (int64_t step = 1; step <= 3; ++step) update(oracle(), half, before, step);
    AdamW8bit resumed(half, options());
    resumed.set_num_steps(before.num_steps());
    for (size_t i = 0; i < half.size(); ++i) {
      const std::vector<StateTensor> from = before.state(i), to = resumed.state(i);
      ASSERT_EQ(from.size(), to.size());
      for (size_t k = 0; k < from.size(); ++k) {
        EXPECT_EQ(from[k].suffix.rfind('.'), 0u) << "a checkpoint finds a tensor's owner by its last dot";
        to[k].write(from[k].tensor);
      }
    }
    for (int64_t step = 4; step <= 6; ++step) update(oracle(), half, resumed, step);
    for (size_t i = 0; i < half.size(); ++i) {
      EXPECT_TRUE(at::equal(half[i].master.weight, whole[i].master.weight)) << i;
      const std::vector<StateTensor> ours = resumed.state(i), theirs = first.state(i);
      for (size_t k = 0; k < ours.size(); ++k) EXPECT_TRUE(at::equal(ours[k].tensor, theirs[k].tensor)) << i;
    }
  }
}

TEST(AdamW8bit, ResultsDoNotDependOnThreads) {
  expect_no_effect_of_threads<AdamW8bit>(oracle(), options());
}

}  // namespace
}  // namespace lathe
