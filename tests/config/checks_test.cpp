#include "config/checks.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "config/config_testing.h"

namespace lathe {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(Checks, SettingsThatContradictOneAnother) {
  EXPECT_EQ(sentence_with("\"load_best_model_at_end\": true, \"eval_strategy\": \"epoch\""),
            "FILE:3: 'load_best_model_at_end' needs equal strategies, but 'eval_strategy' is \"epoch\" and "
            "'save_strategy' \"steps\"; make "
            "them agree, or set load_best_model_at_end to false");
  EXPECT_EQ(
      sentence_with(
          "\"load_best_model_at_end\": true, \"eval_strategy\": \"steps\", \"eval_steps\": 30, \"save_steps\": 50"),
      "FILE:3: 'load_best_model_at_end' needs 'save_steps' (50) to be a multiple of 'eval_steps' (30); make them "
      "agree, or set "
      "load_best_model_at_end to false");
  EXPECT_EQ(sentence_with("\"adapter_name_or_path\": \"a\", \"use_lora\": false"),
            "FILE:3: 'adapter_name_or_path' is given but 'use_lora' is false; set use_lora to true, or remove "
            "adapter_name_or_path");
  EXPECT_EQ(sentence_with("\"logging_steps\": 0"),
            "FILE:3: 'logging_steps' is 0 while 'logging_strategy' is \"steps\"; set logging_strategy to \"no\", or "
            "logging_steps above 0");
  EXPECT_THAT(sentence_with("\"save_steps\": 0"), HasSubstr("'save_steps' is 0 while 'save_strategy' is \"steps\""));
}

TEST(Checks, Fp16BecomesBf16AndSaysSo) {
  const LoadedConfig loaded = load_with(R"("fp16": true)");
  EXPECT_TRUE(loaded.args.bf16);
  EXPECT_FALSE(loaded.args.fp16);
  EXPECT_THAT(loaded.notes, Contains(HasSubstr("computes in bf16")));
  const LoadedConfig chosen = load_with(R"("bf16": true)");  // the toolkit's default fp16 gives way
  EXPECT_TRUE(chosen.args.bf16);
  EXPECT_THAT(chosen.notes, Not(Contains(HasSubstr("computes in bf16"))));
  const LoadedConfig full = load_with(R"("bf16": false, "fp16": false)");
  EXPECT_FALSE(full.args.bf16 || full.args.fp16);
  const LoadedConfig strict = load_with(R"("fp16": true, "strict_precision": true)");
  EXPECT_TRUE(strict.args.fp16);
  EXPECT_FALSE(strict.args.bf16);
  EXPECT_THAT(strict.notes, Not(Contains(HasSubstr("computes in bf16"))));
  const LoadedConfig overridden = load_with(R"("fp16": true, "bf16": false)", {"bf16=true"});
  EXPECT_TRUE(overridden.args.bf16);
  EXPECT_FALSE(overridden.args.fp16);
}

TEST(Checks, QuantisedWeights) {
  const LoadedConfig loaded = load_with(R"("load_in_4bit": true)");
  EXPECT_TRUE(loaded.args.use_qlora && loaded.args.use_lora && loaded.args.gradient_checkpointing);
  EXPECT_EQ(loaded.args.quantization_bit, 4);
  EXPECT_EQ(loaded.args.bnb_4bit_quant_type, "nf4");
  EXPECT_TRUE(loaded.args.bnb_4bit_use_double_quant);
  EXPECT_EQ(loaded.args.bnb_4bit_compute_dtype, std::nullopt);
  EXPECT_THAT(loaded.notes, Contains(HasSubstr("gradient_checkpointing is true, as peft sets it")));
  EXPECT_FALSE(load_with(R"("use_qlora": true, "gradient_checkpointing": false)").args.gradient_checkpointing);
  EXPECT_EQ(load_with(R"("load_in_8bit": true)").args.quantization_bit, 8);
  const LoadedConfig half = load_with(R"("use_qlora": true, "bnb_4bit_compute_dtype": "float16")");
  EXPECT_EQ(half.args.bnb_4bit_compute_dtype, "bfloat16");
  EXPECT_THAT(half.notes, Contains(HasSubstr("products are worked out in bf16")));
  const LoadedConfig strict =
      load_with(R"("use_qlora": true, "bf16": true, "bnb_4bit_compute_dtype": "float16", "strict_precision": true)");
  EXPECT_EQ(strict.args.bnb_4bit_compute_dtype, "float16");
  EXPECT_THAT(sentence_with(R"("use_qlora": true, "bnb_4bit_quant_type": "int4")"),
              HasSubstr("'bnb_4bit_quant_type': \"int4\" is not supported; allowed: nf4 | fp4"));
  EXPECT_THAT(sentence_with(R"("use_qlora": true, "bnb_4bit_compute_dtype": "int8")"),
              HasSubstr("'bnb_4bit_compute_dtype': \"int8\" is not supported; allowed: float32 | bfloat16 | float16"));
  EXPECT_THAT(load_with(R"("use_lora": true, "bnb_4bit_quant_type": "fp4")").notes,
              Contains(HasSubstr("bnb_4bit_quant_type (weights are not quantised to 4 bits)")));
}

TEST(Checks, PagingIsSaidToDoNothing) {
  EXPECT_THAT(load_with(R"("optim": "paged_adamw_8bit")").notes, Contains(HasSubstr("there is nothing to page")));
  EXPECT_THAT(load_with(R"("optim": "adamw_8bit")").notes, Not(Contains(HasSubstr("there is nothing to page"))));
}

TEST(Checks, WarmupRatioTakesTheStepsPlace) {
  EXPECT_EQ(load_with(R"("warmup_ratio": 0.1)").args.warmup_steps, 0);
  const auto file_steps = load_with(R"("warmup_steps": 50)", {"warmup_ratio=0.1"}).args;
  EXPECT_EQ(file_steps.warmup_steps, 0);
  EXPECT_EQ(file_steps.warmup_ratio, 0.1);
  const auto file_ratio = load_with(R"("warmup_ratio": 0.1)", {"warmup_steps=50"}).args;
  EXPECT_EQ(file_ratio.warmup_steps, 50);
  EXPECT_EQ(file_ratio.warmup_ratio, 0);
  EXPECT_EQ(load_with(R"("warmup_steps": 50, "warmup_ratio": 0.0)").args.warmup_steps, 50);
}

TEST(Checks, RepairsAreSaid) {
  const LoadedConfig best = load_with(R"("load_best_model_at_end": true)");
  EXPECT_FALSE(best.args.load_best_model_at_end);
  EXPECT_THAT(best.notes, Contains(HasSubstr("load_best_model_at_end is disabled")));
  EXPECT_THAT(load_with("\"seed\": 1").notes, Not(Contains(HasSubstr("load_best_model_at_end"))));
  const LoadedConfig itself = load_with(R"("eval_strategy": "steps")");
  EXPECT_THAT(itself.notes, Contains(HasSubstr("evaluation runs on the training rows themselves")));
  const LoadedConfig split = load_with(R"("eval_strategy": "steps", "eval_split_ratio": 0.2)");
  EXPECT_THAT(split.notes, Not(Contains(HasSubstr("training rows themselves"))));
  EXPECT_EQ(
      load_with(R"("eval_strategy": "steps", "eval_steps": null, "logging_steps": 7, "load_best_model_at_end": false)")
          .args.eval_steps,
      7);
  const LoadedConfig differing = load_with(R"("eval_strategy": "epoch")");  // load_best_model_at_end holds its default
  EXPECT_FALSE(differing.args.load_best_model_at_end);
  EXPECT_THAT(differing.notes, Contains(HasSubstr("needs equal strategies")));
  const LoadedConfig adapter = load_with(R"("adapter_name_or_path": "a")");
  EXPECT_TRUE(adapter.args.use_lora);
  EXPECT_THAT(adapter.notes, Contains(HasSubstr("use_lora is true because")));
}

TEST(Checks, KeysWithoutEffectAreNamed) {
  const LoadedConfig loaded =
      load_with(R"("lora_rank": 8, "dataloader_pin_memory": true, "push_to_hub": false, "eval_steps": 5)");
  EXPECT_THAT(loaded.notes,
              Contains("without effect: lora_rank (use_lora is false), eval_steps (eval_strategy is not \"steps\"), "
                       "dataloader_pin_memory (rows are made ready before training, there are no loader processes), "
                       "push_to_hub"));
}

TEST(Checks, GroupedRowsHaveTwoSpellings) {
  EXPECT_EQ(load_with("\"group_by_length\": true").args.train_sampling_strategy, "group_by_length");
  EXPECT_EQ(load_with("\"train_sampling_strategy\": \"sequential\"").args.train_sampling_strategy, "sequential");
  EXPECT_THAT(sentence_with("\"group_by_length\": true, \"train_sampling_strategy\": \"random\""),
              ::testing::HasSubstr("'group_by_length' is true and 'train_sampling_strategy' \"random\""));
}

TEST(Checks, RoundingByDrawsIsForWholeModelsInBf16) {
  EXPECT_TRUE(load_with("\"bf16\": true, \"bf16_stochastic_rounding\": true").args.bf16_stochastic_rounding);
  EXPECT_TRUE(load_with("\"fp16\": true, \"bf16_stochastic_rounding\": true").args.bf16);
  EXPECT_THAT(sentence_with("\"bf16\": true, \"use_lora\": true, \"bf16_stochastic_rounding\": true"),
              HasSubstr("'bf16_stochastic_rounding' is true but an adapter trains"));
  EXPECT_THAT(sentence_with("\"bf16\": true, \"use_qlora\": true, \"bf16_stochastic_rounding\": true"),
              HasSubstr("but an adapter trains"));
  EXPECT_THAT(sentence_with("\"bf16\": false, \"fp16\": false, \"bf16_stochastic_rounding\": true"),
              HasSubstr("but the run computes in fp32"));
  EXPECT_THAT(sentence_with("\"bf16\": true, \"optim\": \"adamw_8bit\", \"bf16_stochastic_rounding\": true"),
              HasSubstr("'optim' is \"adamw_8bit\", whose updates are not rounded that way"));
  EXPECT_THAT(
      sentence_with("\"bf16\": true, \"bf16_stochastic_rounding\": true, \"deepspeed\": {\"optimizer\": {\"type\": "
                    "\"Adam\", \"params\": {\"adam_w_mode\": false}}}"),
      HasSubstr("asks for Adam with 'adam_w_mode' false"));
}

TEST(Checks, WhatAnOptimizerDoesNotReadIsSaid) {
  const auto notes = [](const std::string& keys) { return fmt::format("{}", fmt::join(load_with(keys).notes, "; ")); };
  EXPECT_THAT(notes(R"("optim": "sgd", "adam_beta1": 0.5, "adam_epsilon": 1e-6)"),
              HasSubstr("without effect: adam_beta1 (the optimizer has none), adam_epsilon (the optimizer has none)"));
  EXPECT_THAT(notes(R"("optim": "lion_32bit", "adam_beta1": 0.5, "adam_epsilon": 1e-6)"),
              HasSubstr("without effect: adam_epsilon (the optimizer has none)"));
  EXPECT_THAT(notes(R"("adam_beta1": 0.5, "adam_epsilon": 1e-6)"), Not(HasSubstr("without effect")));
  EXPECT_THAT(notes(R"("use_lora": true, "loraplus_lr_ratio": 4, "loraplus_weight_decay": 0.0, "weight_decay": 0.1)"),
              HasSubstr("weight_decay (loraplus_weight_decay takes its place)"));
}

TEST(Checks, AnEvaluationAtTheStartIsOne) {
  EXPECT_THAT(load_with(R"("eval_on_start": true)").notes,
              ::testing::AllOf(Contains(HasSubstr("evaluation runs on the training rows themselves")),
                               Not(Contains(HasSubstr("without effect")))));
}

TEST(Checks, TheBestCheckpointNeedsEvaluations) {
  EXPECT_EQ(sentence_with("\"save_strategy\": \"best\""),
            "FILE:3: 'save_strategy' is \"best\" but 'eval_strategy' is \"no\", so nothing is saved; evaluate by steps "
            "or epochs, or save by them");
  EXPECT_EQ(sentence_with(R"("save_strategy": "best", "eval_strategy": "epoch")"), "");
}

TEST(Checks, ThinkingInTheToolkitsTemplateIsSaidToDoNothing) {
  EXPECT_THAT(load_with(R"("enable_thinking": true)").notes,
              Contains("without effect: enable_thinking (template is \"toolkit\")"));
  EXPECT_THAT(load_with(R"("enable_thinking": true, "template": "chat")").notes,
              Not(Contains(HasSubstr("without effect"))));
}

TEST(Checks, EarlyStoppingNeedsEvaluations) {
  EXPECT_THAT(sentence_with("\"early_stopping_patience\": 2"),
              ::testing::HasSubstr("'early_stopping_patience' is given but 'eval_strategy' is \"no\""));
}

}  // namespace
}  // namespace lathe
