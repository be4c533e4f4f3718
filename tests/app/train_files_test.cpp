// What a LoRA run leaves behind and says: the files and console lines that docs/cli.md promises.
#include <gmock/gmock.h>

#include <sstream>

#include "app/run_lathe.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;

class TrainFiles : public ProgramTest {
 protected:
  [[nodiscard]] Json read(const std::string& name) const {
    const std::string text = read_text(path(name));
    EXPECT_FALSE(text.empty()) << name;
    return text.empty() ? Json() : Json::parse(text);
  }
};

TEST_F(TrainFiles, OfALoraRunAreAllThere) {
  const ProgramRun run = train();
  ASSERT_EQ(run.exit_code, 0) << run.output;
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "trainer_state.json",
                           "train_results.json", "all_results.json", "training_args.json", "trainer_log.jsonl",
                           "train.log", "runs", "checkpoint-2", "checkpoint-4", "report.html"}) {
    EXPECT_TRUE(exists(std::string("out/") + name)) << name;
  }
  for (const char* name : {"adapter_config.json", "adapter_model.safetensors", "trainer_state.json"}) {
    EXPECT_TRUE(exists(std::string("out/checkpoint-4/") + name)) << name;
  }
  const Json adapter = read("out/adapter_config.json");
  EXPECT_EQ(adapter.at("peft_type"), "LORA");
  EXPECT_EQ(adapter.at("r"), 2);
}

TEST_F(TrainFiles, StateLogAndResultsTellTheSameStory) {
  ASSERT_EQ(train().exit_code, 0);
  const Json state = read("out/trainer_state.json");
  EXPECT_EQ(state.at("global_step"), 4);
  int logged = 0;
  for (const Json& entry : state.at("log_history")) {
    if (!entry.contains("loss")) continue;
    ++logged;
    for (const char* key : {"grad_norm", "learning_rate", "epoch", "step"}) EXPECT_TRUE(entry.contains(key)) << key;
  }
  EXPECT_EQ(logged, 4);
  std::istringstream lines(read_text(path("out/trainer_log.jsonl")));
  int steps = 0;
  for (std::string line; std::getline(lines, line);) {
    const Json entry = Json::parse(line);
    if (!entry.contains("loss")) continue;
    ++steps;
    for (const char* key : {"current_steps", "total_steps", "lr", "epoch", "percentage", "elapsed_time",
                            "remaining_time", "throughput", "total_tokens", "memory_bytes"}) {
      EXPECT_TRUE(entry.contains(key)) << key;
    }
  }
  EXPECT_EQ(steps, 4);
  const Json results = read("out/train_results.json");
  for (const char* key :
       {"train_runtime", "train_samples_per_second", "train_tokens_per_second", "train_loss", "peak_memory_bytes",
        "planned_memory_bytes", "peak_rss_bytes", "file_backed_bytes", "startup_seconds", "model_flops_utilization"}) {
    EXPECT_TRUE(results.contains(key)) << key;
  }
  EXPECT_EQ(read("out/training_args.json").at("lora_r"), 2);
}

TEST_F(TrainFiles, ConsoleSaysWhatTransformersSays) {
  const std::string output = train().output;
  for (const char* text :
       {"***** Running training *****", "Num examples = 8", "Num Epochs = 1", "Total optimization steps = 4",
        "Number of trainable parameters", "{'loss': ", "'grad_norm': ", "'learning_rate': ", "'epoch': ", "tokens/s",
        "train metrics", "Learning rate:", "LoRA rank:"}) {
    EXPECT_THAT(output, HasSubstr(text));
  }
}

TEST_F(TrainFiles, AnotherRunsResultsAreMovedAsideOrKept) {
  ASSERT_EQ(train().exit_code, 0);
  const std::string before = read_text(path("out/adapter_model.safetensors"));
  const ProgramRun refused = train({{"overwrite_output_dir", false}});
  EXPECT_EQ(refused.exit_code, 2) << refused.output;
  EXPECT_EQ(read_text(path("out/adapter_model.safetensors")), before);
  ASSERT_EQ(train({{"seed", 7}, {"overwrite_output_dir", true}}).exit_code, 0);
  EXPECT_NE(read_text(path("out/adapter_model.safetensors")), before);
  int kept = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (!entry.path().filename().string().starts_with("out.")) continue;
    kept += read_text(entry.path().string() + "/adapter_model.safetensors") == before ? 1 : 0;
  }
  EXPECT_EQ(kept, 1);
}

/// As when Ctrl-C ends `… | tee log` as well.
TEST_F(TrainFiles, AReaderThatWentAwayEndsNoRun) {
  const char* with_its_code = R"(sh -c '"$0" "$@" 2>&1; echo $? > code')";
  ASSERT_EQ(run_lathe(folder_, "train -c train.json | true", with_its_code).exit_code, 0);
  EXPECT_EQ(read_text(path("code")), "0\n");
  EXPECT_TRUE(exists("out/adapter_model.safetensors"));
}

TEST_F(TrainFiles, TheTrainedFolderAnswers) {
  ASSERT_EQ(train().exit_code, 0);
  const std::string words = " --prompt 'Say number 3' --max-new-tokens 4";
  const ProgramRun adapted = run_lathe(folder_, "generate -m model --adapter out" + words);
  EXPECT_EQ(adapted.exit_code, 0) << adapted.output;
  EXPECT_EQ(run_lathe(folder_, "generate -m out" + words).output, adapted.output);
}

}  // namespace
}  // namespace lathe
