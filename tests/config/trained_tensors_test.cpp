#include "config/trained_tensors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lathe {
namespace {

ModelShape small(bool tied) {
  ModelShape shape;
  shape.vocab_size = 100, shape.hidden_size = 8, shape.intermediate_size = 20, shape.num_layers = 1;
  shape.num_heads = 2, shape.num_kv_heads = 1, shape.head_dim = 4;
  shape.tie_word_embeddings = tied, shape.qkv_bias = true;
  return shape;
}

/// Kind, rows and elements, in a fixed order.
std::vector<std::string> told(const ModelShape& shape, const TrainingArguments& args) {
  std::vector<std::string> all;
  for (const TrainedTensor& one : trained_tensors(shape, args)) {
    all.push_back(std::string(1, "ambe"[static_cast<size_t>(one.kind)]) + " " + std::to_string(one.rows) + " " +
                  std::to_string(one.elements));
  }
  return all;
}

TEST(TrainedTensors, OfAllWeights) {
  TrainingArguments args;
  args.use_lora = false;
  const std::vector<std::string> inside = {"b 8 64", "b 4 32", "b 4 32", "b 8 64", "b 20 160", "b 20 160", "b 8 160",
                                           "b 0 8",  "b 0 4",  "b 0 4",  "b 0 8",  "b 0 8",    "b 0 8",    "e 100 800"};
  EXPECT_THAT(told(small(true), args), ::testing::UnorderedElementsAreArray(inside));
  std::vector<std::string> untied = inside;
  untied.emplace_back("b 100 800");
  EXPECT_THAT(told(small(false), args), ::testing::UnorderedElementsAreArray(untied));
}

TEST(TrainedTensors, OfAnAdapterWithMagnitudesAndCopies) {
  TrainingArguments args;
  args.use_lora = true, args.use_dora = true, args.lora_r = 2, args.lora_target_modules = "q_proj,down_proj";
  args.modules_to_save = {"lm_head", "post_attention_layernorm"};
  std::vector<std::string> wanted = {"a 2 16", "a 8 16", "m 0 8", "a 2 40", "a 8 16", "m 0 8", "b 0 8", "b 100 800"};
  EXPECT_THAT(told(small(true), args), ::testing::UnorderedElementsAreArray(wanted));
  args.ensure_weight_tying = true;
  wanted.back() = "e 100 800";
  EXPECT_THAT(told(small(true), args), ::testing::UnorderedElementsAreArray(wanted));
}

}  // namespace
}  // namespace lathe
