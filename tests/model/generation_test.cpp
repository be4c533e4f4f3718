// Greedy and sampled ids against transformers' generate
// (tests/oracle/generation.py wrote the values).
#include "model/generation.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "model/model_files.h"

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

// The weights of a folder, without an engine.
class FolderWeights final : public WeightSource {
 public:
  FolderWeights(const std::string& directory, const ModelShape& shape) {
    for (const auto& [id, tensor] : load_model_weights(directory, shape, at::kFloat)) {
      blocks_[id.block].set(id.site, id.part, tensor);
    }
    if (shape.tie_word_embeddings) {
      blocks_[BlockId::head()].set(Site::kLmHead, Part::kWeight, blocks_[BlockId::embedding()].get(Site::kEmbedTokens));
    }
  }
  void prefetch(BlockId) override {}
  const BlockView& acquire(BlockId block) override { return blocks_.at(block); }
  void release(BlockId) override {}

 private:
  std::map<BlockId, BlockView> blocks_;
};

// One thread: models this small gain nothing from more, and lose much on a busy machine.
class Generation : public ::testing::TestWithParam<const char*> {
 protected:
  Generation() { at::set_num_threads(1); }
};

TEST_P(Generation, IdsEqualThoseOfTransformersGenerate) {
  const std::string directory = kValues + GetParam();
  const ModelShape shape = read_model_shape(directory);
  CausalLM model(shape, ModelOptions{.compute_dtype = at::kFloat});
  FolderWeights weights(directory, shape);
  int compared = 0;
  for (const Json& expected : oracle().at("runs")) {
    if (expected.at("model") != GetParam()) continue;
    GenerationConfig config = read_config(expected);
    config.seed = expected.at("seed");
    config.max_new_tokens = expected.at("max_new_tokens");
    config.eos_token_ids = shape.eos_token_ids;
    std::vector<int32_t> streamed;
    const auto ids =
        generate(model, weights, expected.at("prompt").get<std::vector<int32_t>>(), config, [&](int32_t id) {
          streamed.push_back(id);
          return true;
        });
    EXPECT_EQ(ids, expected.at("ids").get<std::vector<int32_t>>()) << expected.dump();
    EXPECT_EQ(streamed, ids);
    ++compared;
  }
  EXPECT_EQ(compared, 24);
}

TEST_P(Generation, StopsWhenTheCallerHasEnough) {
  const std::string directory = kValues + GetParam();
  const ModelShape shape = read_model_shape(directory);
  CausalLM model(shape, ModelOptions{.compute_dtype = at::kFloat});
  FolderWeights weights(directory, shape);
  int calls = 0;
  const auto ids = generate(model, weights, {3, 14}, {}, [&](int32_t) { return ++calls < 3; });
  EXPECT_EQ(ids.size(), 3U);
  EXPECT_THROW(static_cast<void>(generate(model, weights, {}, {})), Error);
  EXPECT_THROW(static_cast<void>(generate(model, weights, {61}, {})), Error);
}

INSTANTIATE_TEST_SUITE_P(Families, Generation, ::testing::Values("qwen2", "qwen3"));

}  // namespace
}  // namespace lathe
