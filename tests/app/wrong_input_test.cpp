// Wrong input, as a user meets it: the exit code, and a sentence that names file and line or key (docs/cli.md).
#include <gmock/gmock.h>

#include "app/run_lathe.h"

namespace lathe {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

#define EXPECT_FAILS(run, code, matcher)                          \
  do {                                                            \
    const ProgramRun program_run = (run);                         \
    EXPECT_EQ(program_run.exit_code, code) << program_run.output; \
    EXPECT_THAT(program_run.output, matcher);                     \
    EXPECT_THAT(program_run.output, HasSubstr("error: "));        \
  } while (false)

class WrongInput : public ProgramTest {
 protected:
  [[nodiscard]] bool has_weights() const {
    return exists("out/adapter_model.safetensors") || exists("out/model.safetensors");
  }
};

TEST_F(WrongInput, UnknownKeyOffersTheNearest) {
  EXPECT_FAILS(train({{"lora_rr", 3}}), 2,
               AllOf(HasSubstr("train.json:18"), HasSubstr("lora_rr"), HasSubstr("'lora_r'")));
  write_settings(Json::object());
  EXPECT_FAILS(run_lathe(folder_, "train -c train.json lerning_rate=1"), 2,
               AllOf(HasSubstr("lerning_rate"), HasSubstr("learning_rate")));
}

TEST_F(WrongInput, WrongType) {
  EXPECT_FAILS(train({{"lora_r", "big"}}), 2, AllOf(HasSubstr("train.json:6"), HasSubstr("lora_r")));
}

TEST_F(WrongInput, MissingDataFile) {
  EXPECT_FAILS(train({{"data_path", "gone.jsonl"}}), 2, HasSubstr("gone.jsonl"));
}

TEST_F(WrongInput, BrokenRow) {
  write_text(path("rows.jsonl"), "{\"text\":\"fine\"}\n{\"text\":\n");
  EXPECT_FAILS(train(), 2, HasSubstr("rows.jsonl:2"));
  write_text(path("rows.jsonl"), "{\"text\":\"fine\"}\n\n{\"instruction\":\"no output\"}\n");
  EXPECT_FAILS(train(), 2, HasSubstr("rows.jsonl:3"));
}

TEST_F(WrongInput, RowWithNoAnswerLeft) {
  write_text(path("rows.jsonl"), read_text(path("rows.jsonl")) + R"({"instruction":")" + std::string(400, 'x') +
                                     R"(","input":"","output":"y"})" + "\n");
  EXPECT_FAILS(train(), 2, AllOf(HasSubstr("rows.jsonl:9"), HasSubstr("max_seq_length")));
}

TEST_F(WrongInput, EveryTargetMasked) {
  EXPECT_FAILS(train({{"max_seq_length", 4}, {"overlong", "truncate"}}), 1, HasSubstr("max_seq_length"));
}

TEST_F(WrongInput, TruncatedAndCorruptWeights) {
  const std::string weights = read_text(path("model/model.safetensors"));
  write_text(path("model/model.safetensors"), weights.substr(0, weights.size() - 100));
  EXPECT_FAILS(train(), 2, HasSubstr("model.safetensors"));
  write_text(path("model/model.safetensors"), weights.substr(0, 5));
  EXPECT_FAILS(train(), 2, HasSubstr("model.safetensors"));
  std::string broken = weights;
  broken[9] = '\x01';
  write_text(path("model/model.safetensors"), broken);
  EXPECT_FAILS(train(), 2, HasSubstr("model.safetensors"));
}

TEST_F(WrongInput, WeightsThatDoNotFitTheConfig) {
  Json config = Json::parse(read_text(path("model/config.json")));
  config["intermediate_size"] = 32;
  write_text(path("model/config.json"), config.dump());
  EXPECT_FAILS(train(), 2, AllOf(HasSubstr("mlp."), HasSubstr("32"), HasSubstr("24")));
  config["intermediate_size"] = 24;
  config["num_hidden_layers"] = 3;
  write_text(path("model/config.json"), config.dump());
  EXPECT_FAILS(train(), 2, HasSubstr("model.layers.2."));
}

TEST_F(WrongInput, VocabularyLargerThanTheEmbedding) {
  Json config = model_config();
  config["vocab_size"] = 50;
  make_model("small", config);
  EXPECT_FAILS(train({{"model_name_or_path", "small"}}), 2, AllOf(HasSubstr("tokenizer"), HasSubstr("50")));
}

TEST_F(WrongInput, UnknownModelType) {
  Json config = model_config();
  config["model_type"] = "llama";
  write_text(path("model/config.json"), config.dump());
  EXPECT_FAILS(train(), 2, AllOf(HasSubstr("config.json"), HasSubstr("llama"), HasSubstr("qwen2")));
}

TEST_F(WrongInput, NoModelAndNoNetwork) {
  EXPECT_FAILS(train({{"model_name_or_path", "owner/none"}, {"cache_dir", "cache"}}), 2,
               AllOf(HasSubstr("model_name_or_path"), HasSubstr("cache/owner/none"), HasSubstr("models/none"),
                     HasSubstr("models--owner--none"), HasSubstr("lathe download")));
}

TEST_F(WrongInput, OutputFolderThatCannotBeWritten) {
  EXPECT_FAILS(train({{"output_dir", "rows.jsonl/out"}}), 2, AllOf(HasSubstr("rows.jsonl"), HasSubstr("output_dir")));
}

TEST_F(WrongInput, WrongTargetModules) {
  EXPECT_FAILS(train({{"lora_target_modules", "q_proj,qq_proj"}}), 2, HasSubstr("qq_proj"));
}

TEST_F(WrongInput, LossThatIsNotFiniteIsNeverSaved) {
  EXPECT_FAILS(train({{"learning_rate", 1e30}, {"num_train_epochs", 3}, {"save_strategy", "no"}}), 1,
               HasSubstr("finite"));
  EXPECT_FALSE(has_weights());
}

TEST_F(WrongInput, LearningRateZeroIsNoSuccess) {
  EXPECT_FAILS(train({{"learning_rate", 0}}), 1, HasSubstr("learning_rate"));
}

TEST_F(WrongInput, IsSaidWithoutStopping) {
  const ProgramRun run =
      train({{"warmup_steps", 100}, {"save_steps", 1000}, {"eval_strategy", "steps"}, {"eval_steps", 1000}});
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, AllOf(HasSubstr("warm-up (100 steps) is longer than the run"), HasSubstr("save_steps"),
                                HasSubstr("eval_steps")));
}

TEST_F(WrongInput, TruncatedRowsAreCounted) {
  write_text(path("rows.jsonl"), read_text(path("rows.jsonl")) + R"({"instruction":"a","input":"","output":")" +
                                     std::string(400, 'x') + "\"}\n");
  const ProgramRun run = train();
  EXPECT_EQ(run.exit_code, 0) << run.output;
  EXPECT_THAT(run.output, HasSubstr("1 cut (352 tokens lost)"));
}

}  // namespace
}  // namespace lathe
