// Frequencies against transformers' rotary embeddings (tests/oracle/rope.py).
#include "model/rope.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "base/json.h"

namespace lathe {
namespace {

TEST(RopeTest, FrequenciesEqualTransformers) {
  const std::string path = std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/rope.json";
  const Json cases = read_json_file(path);
  ASSERT_EQ(cases.size(), 8U);
  for (const Json& one : cases) {
    const RopeFrequencies ours = rope_frequencies(parse_model_shape(one["config"], path));
    const auto theirs = one["inv_freq"].get<std::vector<double>>();
    ASSERT_EQ(ours.inverse.size(0), static_cast<int64_t>(theirs.size()));
    for (size_t i = 0; i < theirs.size(); ++i) {
      EXPECT_NEAR(ours.inverse[static_cast<int64_t>(i)].item<float>(), theirs[i], 1e-6 * theirs[i]) << i;
    }
    EXPECT_NEAR(ours.attention_factor, one["attention_factor"].get<double>(), 1e-12)
        << one["config"]["rope_parameters"];
  }
}

}  // namespace
}  // namespace lathe
