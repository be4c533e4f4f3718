// Scores against transformers' logits processors
// (tests/oracle/generation.py wrote the values).
#include "model/sampling.h"

#include <ATen/ATen.h>
#include <ATen/CPUGeneratorImpl.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/json.h"

namespace lathe {
namespace {

const std::string kValues = LATHE_SOURCE_DIR "/tests/oracle/values/generation/";

const Json& oracle() {
  static const Json json = read_json_file(kValues + "values.json");
  return json;
}

GenerationConfig read_config(const Json& json) {
  GenerationConfig config;
  config.temperature = json.at("temperature");
  config.top_k = json.at("top_k");
  config.top_p = json.at("top_p");
  config.repetition_penalty = json.at("repetition_penalty");
  return config;
}

at::Tensor read_scores(const Json& json) {
  std::vector<float> values;
  for (const Json& x : json) values.push_back(x.is_null() ? -INFINITY : x.get<float>());
  return at::tensor(values);
}

TEST(Sampling, ScoresEqualThoseOfTransformersProcessors) {
  ASSERT_GE(oracle().at("processed").size(), 8U);
  for (const Json& expected : oracle().at("processed")) {
    const auto seen = expected.at("seen").get<std::set<int32_t>>();
    const at::Tensor scores = process_logits(read_scores(expected.at("logits")), seen, read_config(expected));
    const at::Tensor wanted = read_scores(expected.at("scores"));
    EXPECT_TRUE(at::equal(at::isinf(scores), at::isinf(wanted))) << expected.dump();
    EXPECT_TRUE(at::allclose(scores, wanted, 1e-6, 1e-6)) << expected.dump();
  }
}

TEST(Sampling, DrawsFollowTheProbabilities) {
  GenerationConfig config;
  config.temperature = 1;
  config.top_k = 3;
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(5);
  const at::Tensor scores = process_logits(at::tensor({0.0F, 1.0F, -2.0F, 2.0F, 0.5F}), {}, config);
  constexpr int kDraws = 20000;
  std::vector<double> counts(5, 0);
  for (int i = 0; i < kDraws; ++i) counts[static_cast<size_t>(choose_token(scores, config, generator))] += 1;
  EXPECT_EQ(counts[0], 0);
  EXPECT_EQ(counts[2], 0);
  const double sum = std::exp(1.0) + std::exp(2.0) + std::exp(0.5);
  double chi_square = 0;
  for (const auto& [id, logit] : {std::pair{1, 1.0}, {3, 2.0}, {4, 0.5}}) {
    const double expected = kDraws * std::exp(logit) / sum;
    chi_square += std::pow(counts[static_cast<size_t>(id)] - expected, 2) / expected;
  }
  EXPECT_LT(chi_square, 13.8);  // 2 degrees of freedom, p = 0.001
}

TEST(Sampling, SettingsOutOfRangeAreRefusedByName) {
  const auto refused_key = [](auto change) -> std::string {
    GenerationConfig config;
    change(config);
    try {
      check_generation_config(config);
    } catch (const Error& error) {
      return error.where().key;
    }
    return "";
  };
  EXPECT_EQ(refused_key([](GenerationConfig& c) { c.temperature = -1; }), "temperature");
  EXPECT_EQ(refused_key([](GenerationConfig& c) { c.top_p = 1.5; }), "top_p");
  EXPECT_EQ(refused_key([](GenerationConfig& c) { c.top_k = -1; }), "top_k");
  EXPECT_EQ(refused_key([](GenerationConfig& c) { c.repetition_penalty = 0; }), "repetition_penalty");
  EXPECT_EQ(refused_key([](GenerationConfig& c) { c.max_new_tokens = 0; }), "max_new_tokens");
  EXPECT_EQ(refused_key([](GenerationConfig&) {}), "");
}

}  // namespace
}  // namespace lathe
