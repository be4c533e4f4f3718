#include "config/config_file.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "config/config_testing.h"
#include "config/fields.h"

namespace lathe {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

TEST(ConfigFile, ReadsEveryKindOfValue) {
  const auto args =
      load_with(R"("_note": {"any": ["thing"]}, "use_lora": true, "lora_r": 8, "lora_alpha": 32, "learning_rate": 1e-4,
    "num_train_epochs": 2.5, "seed": 7, "data_seed": 9, "enable_thinking": false, "adapter_name_or_path": "old",
    "lr_scheduler_kwargs": {"num_cycles": 2}, "max_time": "01:30:00", "output_dir": "out")")
          .args;
  EXPECT_TRUE(args.use_lora);
  EXPECT_EQ(args.lora_r, 8);
  EXPECT_EQ(args.lora_alpha, 32.0);  // a whole number where a fraction may stand
  EXPECT_EQ(args.learning_rate, 1e-4);
  EXPECT_EQ(args.num_train_epochs, 2.5);
  EXPECT_EQ(args.seed, 7U);
  EXPECT_EQ(args.data_seed, 9U);
  EXPECT_EQ(args.enable_thinking, false);
  EXPECT_EQ(args.adapter_name_or_path, "old");
  EXPECT_EQ(args.lr_scheduler_kwargs, R"({"num_cycles":2})");
  EXPECT_EQ(args.max_time, "01:30:00");
  EXPECT_EQ(args.output_dir, "out");
  EXPECT_THAT(args.data_path, ElementsAre("rows.jsonl"));
}

TEST(ConfigFile, DefaultsAreTheToolkits) {
  const TrainingArguments args = load_config("", {}).args;
  EXPECT_EQ(args.model_name_or_path, "Qwen/Qwen2.5-0.5B-Instruct");
  EXPECT_EQ(args.learning_rate, 2e-5);
  EXPECT_EQ(args.lora_r, 64);
  EXPECT_EQ(args.warmup_steps, 100);
  EXPECT_EQ(args.save_total_limit, 3);
  EXPECT_EQ(args.gradient_accumulation_steps, 8);
  EXPECT_EQ(args.lr_scheduler_type, "cosine");
  EXPECT_EQ(args.eval_strategy, "no");
}

TEST(ConfigFile, WordsOverrideTheFileWhateverItsSpelling) {
  const auto args =
      load_with(R"("lora_rank": 8, "use_lora": true, "evaluation_strategy": "steps", "max_length": 64)",
                {"lora_r=16", "eval_strategy=no", "output_dir=2024", "data_path=a.jsonl, b.jsonl", "learning_rate=1e-3",
                 "cutoff_len=128", "resume_from_checkpoint=true", "lora_target_modules=null"})
          .args;
  EXPECT_EQ(args.lora_r, 16);
  EXPECT_EQ(args.eval_strategy, "no");
  EXPECT_EQ(args.output_dir, "2024");  // a word that happens to be JSON
  EXPECT_THAT(args.data_path, ElementsAre("a.jsonl", "b.jsonl"));
  EXPECT_EQ(args.learning_rate, 1e-3);
  EXPECT_EQ(args.max_seq_length, 128);
  EXPECT_EQ(args.resume_from_checkpoint, "true");
  EXPECT_EQ(args.lora_target_modules, "all-linear");
}

TEST(ConfigFile, KnowsOtherToolsSpellings) {
  const auto args =
      load_with(
          R"("lora_rank": 4, "lora_target": "all", "cutoff_len": 512, "model": "m", "val_size": 0.1, "use_lora": true,
    "evaluation_strategy": "epoch", "save_strategy": "epoch", "per_gpu_train_batch_size": 3, "activation_checkpointing": true,
    "load_in_4bit": false, "load_in_8bit": false)")
          .args;
  EXPECT_EQ(args.lora_r, 4);
  EXPECT_EQ(args.lora_target_modules, "all-linear");
  EXPECT_EQ(args.max_seq_length, 512);
  EXPECT_EQ(args.model_name_or_path, "m");
  EXPECT_EQ(args.eval_split_ratio, 0.1);
  EXPECT_EQ(args.eval_strategy, "epoch");
  EXPECT_EQ(args.per_device_train_batch_size, 3);
  EXPECT_TRUE(args.gradient_checkpointing);
  for (const char* key : {"dataset", "train_file"}) {
    const auto other = load_config(write_config(std::string("{\"") + key + "\": [\"a\", \"b\"]}"), {}).args;
    EXPECT_THAT(other.data_path, ElementsAre("a", "b"));
  }
  for (const char* key : {"max_length", "sequence_len"}) {
    EXPECT_EQ(load_with("\"" + std::string(key) + "\": 77").args.max_seq_length, 77);
  }
  EXPECT_EQ(load_with(R"("target_modules": "q_proj", "use_lora": true)").args.lora_target_modules, "q_proj");
}

TEST(ConfigFile, EqualValuesUnderTwoSpellingsAgree) {
  const auto args = load_with(R"("eval_strategy": "steps", "evaluation_strategy": "steps", "dataset": ["rows.jsonl"],
    "per_gpu_train_batch_size": null, "per_device_train_batch_size": 5)")
                        .args;
  EXPECT_EQ(args.eval_strategy, "steps");
  EXPECT_EQ(args.per_device_train_batch_size, 5);
}

TEST(ConfigFile, ReadsModulesInEveryForm) {
  const auto modules = [](const std::string& value) {
    return load_with("\"use_lora\": true, \"lora_target_modules\": " + value).args.lora_target_modules.value();
  };
  EXPECT_EQ(modules(R"("q_proj, v_proj")"), "q_proj,v_proj");
  EXPECT_EQ(modules(R"("q_proj,v_proj")"), "q_proj,v_proj");
  EXPECT_EQ(modules(R"(["q_proj", "v_proj"])"), "q_proj,v_proj");
  EXPECT_EQ(modules(R"("all-linear")"), "all-linear");
  EXPECT_EQ(modules(R"("all")"), "all-linear");
  EXPECT_EQ(modules("null"), "all-linear");
  EXPECT_EQ(modules(R"(".*\\.layers\\.[0-9]{1,2}\\..*(q|v)_proj")"), R"(.*\.layers\.[0-9]{1,2}\..*(q|v)_proj)");
}

TEST(ConfigFile, ReadsReportsInEveryForm) {
  const auto reports = [](const std::string& value) { return load_with("\"report_to\": " + value).args.report_to; };
  EXPECT_THAT(reports(R"("tensorboard")"), ElementsAre("tensorboard"));
  EXPECT_THAT(reports(R"(["tensorboard"])"), ElementsAre("tensorboard"));
  EXPECT_THAT(reports("null"), ElementsAre("tensorboard"));
  EXPECT_THAT(reports(R"("none")"), IsEmpty());
  EXPECT_THAT(reports("[]"), IsEmpty());
}

TEST(ConfigFile, EvaluationRowsOfAPresetGoWithItsTrainingRows) {
  const std::string body = R"("eval_data_path": "of_the_preset.jsonl")";
  const LoadedConfig other_rows = load_with(body, {"data_path=mine.jsonl"});
  EXPECT_THAT(other_rows.args.eval_data_path, IsEmpty());
  EXPECT_THAT(other_rows.notes, Contains(HasSubstr("of_the_preset.jsonl is left out")));
  const std::string evaluates = body + R"(, "eval_strategy": "steps")";
  const LoadedConfig quiet = load_with(evaluates, {"data_path=mine.jsonl"});
  EXPECT_EQ(quiet.args.eval_strategy, "no");
  EXPECT_THAT(quiet.notes, Contains(HasSubstr("nothing is evaluated")));
  EXPECT_EQ(load_with(evaluates, {"data_path=mine.jsonl", "eval_strategy=epoch"}).args.eval_strategy, "epoch");
  EXPECT_EQ(load_with(evaluates, {"data_path=mine.jsonl", "eval_split_ratio=0.1"}).args.eval_strategy, "steps");
  EXPECT_THAT(load_with(body).args.eval_data_path, ElementsAre("of_the_preset.jsonl"));
  EXPECT_THAT(load_with(body, {"data_path=mine.jsonl", "eval_data_path=held_out.jsonl"}).args.eval_data_path,
              ElementsAre("held_out.jsonl"));
}

TEST(ConfigFile, ArgumentsAsJsonLoadAgain) {
  const LoadedConfig loaded =
      load_with(R"("use_lora": true, "lora_r": 8, "learning_rate": 0.002, "lr_scheduler_kwargs": {"num_cycles": 2},
    "eval_data_path": ["e.jsonl"], "eval_strategy": "steps", "resume_from_checkpoint": true, "report_to": "none", "data_seed": 3,
    "fp16": false, "warmup_ratio": 0.25)");
  const std::string text = to_json_text(loaded.args);
  const LoadedConfig again = load_config(write_config(text), {});
  Json first = parse_json(text, "first"), second = parse_json(to_json_text(again.args), "second");
  first.erase("_config_file");
  second.erase("_config_file");
  EXPECT_EQ(first, second);
  EXPECT_EQ(first["lr_scheduler_kwargs"]["num_cycles"], 2);
  EXPECT_EQ(first["resume_from_checkpoint"], true);
  EXPECT_EQ(first["report_to"], Json::array());
  size_t settings = 0;
  visit_fields(loaded.args, [&](const Field&, const auto&) { ++settings; });
  EXPECT_EQ(first.size(), settings);
}

}  // namespace
}  // namespace lathe
