#include "config/modules_to_save.h"

#include "config/config_testing.h"
#include "config/target_modules.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;
using Names = std::vector<std::string>;

ModelShape two_layers(bool tied) {
  ModelShape shape;
  shape.vocab_size = 100, shape.hidden_size = 8, shape.intermediate_size = 24, shape.num_layers = 2;
  shape.num_heads = 2, shape.num_kv_heads = 1, shape.head_dim = 4;
  shape.qkv_bias = true, shape.tie_word_embeddings = tied;
  return shape;
}

/// Modules and elements, one line each.
std::string copied(const Names& names, bool tied = false, bool ensure = false) {
  std::string text;
  for (const ModelParameter& one : copied_parameters({names, ensure}, two_layers(tied))) {
    text += one.module + " " + std::to_string(one.elements) + (one.rows > 0 ? "m\n" : "\n");
  }
  return text;
}

/// peft's _set_trainable: a name is the end of a module's full name.
TEST(ModulesToSave, NamesAreEndsOfFullNames) {
  EXPECT_EQ(copied({"lm_head"}), "lm_head 800m\n");
  EXPECT_EQ(copied({"norm"}),
            "model.norm 8\nmodel.layers.0.input_layernorm 8\nmodel.layers.0.post_attention_layernorm 8\n"
            "model.layers.1.input_layernorm 8\nmodel.layers.1.post_attention_layernorm 8\n");
  EXPECT_EQ(copied({"layers.1.self_attn.k_proj"}),
            "model.layers.1.self_attn.k_proj 32m\nmodel.layers.1.self_attn.k_proj 4\n");
  EXPECT_EQ(copied({"1.mlp"}),
            "model.layers.1.mlp.gate_proj 192m\nmodel.layers.1.mlp.up_proj 192m\nmodel.layers.1.mlp.down_proj 192m\n");
  EXPECT_EQ(copied({"model"}), "");
  EXPECT_EQ(copied({}), "");
}

/// peft's check_target_module_exists excludes by whole words.
TEST(ModulesToSave, AdaptersStayOffWhatIsCopied) {
  EXPECT_EQ(adapted_modules(two_layers(true), "all-linear", {.names = {"mlp"}}).size(), 8U);
  EXPECT_EQ(adapted_modules(two_layers(true), "q_proj,up_proj", {.names = {"layers.0.mlp.up_proj"}}).size(), 3U);
  EXPECT_EQ(adapted_modules(two_layers(true), "q_proj", {.names = {"proj"}}).size(), 2U);
}

TEST(ModulesToSave, TiedEmbeddingsPartUnlessEnsured) {
  EXPECT_EQ(copied({"embed_tokens"}, true), "model.embed_tokens 800m\n");
  EXPECT_EQ(copied({"embed_tokens", "lm_head"}, true), "model.embed_tokens 800m\nlm_head 800m\n");
  EXPECT_EQ(copied({"lm_head"}, true, true), "model.embed_tokens 800m\n");
  EXPECT_EQ(copied({"lm_head"}, false, true), "lm_head 800m\n");  // nothing is tied
  EXPECT_TRUE((ModulesToSave{{"lm_head"}, false}.unties(two_layers(true))));
  EXPECT_FALSE((ModulesToSave{{"lm_head"}, true}.unties(two_layers(true))));
  EXPECT_FALSE((ModulesToSave{{"norm"}, false}.unties(two_layers(true))));
}

TEST(ModulesToSave, WhatCannotBeCopiedIsNamed) {
  const auto error = [](const Names& names, bool quantised = false) -> std::string {
    try {
      check_modules_to_save({.names = names}, two_layers(true), quantised);
    } catch (const Error& e) {
      EXPECT_EQ(e.kind(), ErrorKind::kConfig);
      return e.what();
    }
    return "no error";
  };
  EXPECT_EQ(error({"embed_tokens", "norm", "mlp"}), "no error");
  EXPECT_THAT(error({"norm", "classifier"}), HasSubstr("'classifier' matches no module"));
  EXPECT_THAT(error({""}), HasSubstr("'' matches no module"));
  EXPECT_THAT(error({"mlp", "up_proj"}), HasSubstr("model.layers.0.mlp.up_proj is named, and so is"));
  EXPECT_THAT(error({"up_proj"}, true), HasSubstr("held in few bits"));
  EXPECT_THAT(error({"layers.1"}, true), HasSubstr("held in few bits"));
  EXPECT_EQ(error({"embed_tokens", "norm"}, true), "no error");
}

TEST(ModulesToSave, ListAndCommaTextAreOne) {
  EXPECT_EQ(load_with("\"use_lora\": true, \"modules_to_save\": [\"embed_tokens\", \"lm_head\"]").args.modules_to_save,
            (Names{"embed_tokens", "lm_head"}));
  EXPECT_EQ(load_with("\"use_lora\": true, \"additional_target\": \"embed_tokens,lm_head\"").args.modules_to_save,
            (Names{"embed_tokens", "lm_head"}));
  EXPECT_TRUE(load_with("\"use_lora\": true, \"modules_to_save\": null").args.modules_to_save.empty());
}

}  // namespace
}  // namespace lathe
