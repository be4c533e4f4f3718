// `lathe plan` from the command line: what it prints and the exit code.
#include <ATen/core/Tensor.h>

#include <nlohmann/json.hpp>

#include "app/commands/config_commands.h"
#include "base/json.h"
#include "model/lora.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;
using ::testing::HasSubstr;
using PlanCommand = ConfigCommands;

TEST_F(PlanCommand, WithoutRowsTakesTheLongestThereCanBe) {
  EXPECT_EQ(run({"plan", "-c", root_ + "/run.json"}), 0) << error_;
  EXPECT_THAT(out_, HasSubstr("largest micro-batch: 200 tokens, from rows of max_seq_length (the data is not there)"));
  EXPECT_THAT(out_, HasSubstr("memory plan: "));
  EXPECT_THAT(out_, HasSubstr("disk: "));
}

TEST_F(PlanCommand, WithRowsTakesTheLongestOfThem) {
  const std::string tokenizer = LATHE_SOURCE_DIR "/tests/data/tiny_tokenizer/";
  for (const char* file : {"tokenizer.json", "tokenizer_config.json"}) {
    fs::copy(tokenizer + file, root_ + "/model/" + file);
  }
  const std::string short_row = R"({"instruction": "a", "input": "", "output": "b"})";
  const std::string long_row = R"({"instruction": "a", "input": "", "output": "b b b b b b b b b b b b b b b b"})";
  atomic_write(root_ + "/rows.jsonl", short_row + "\n" + short_row + "\n" + short_row + "\n");
  ASSERT_EQ(run({"plan", "-c", root_ + "/run.json", "--json"}), 0) << error_;
  const Json small = parse_json(out_, "small");
  EXPECT_EQ(small["micro_batch_tokens"], 2 * small["longest_row"].get<int64_t>());
  atomic_write(root_ + "/rows.jsonl", short_row + "\n" + long_row + "\n" + short_row + "\n");
  ASSERT_EQ(run({"plan", "-c", root_ + "/run.json", "--json"}), 0) << error_;
  const Json large = parse_json(out_, "large");
  EXPECT_EQ(large["micro_batch_tokens"], large["longest_row"].get<int64_t>() + small["longest_row"].get<int64_t>());
  EXPECT_GT(large["total_bytes"].get<int64_t>(), small["total_bytes"].get<int64_t>());
  ASSERT_EQ(run({"plan", "-c", root_ + "/run.json", "packing=true", "--json"}), 0) << error_;
  EXPECT_EQ(parse_json(out_, "packed")["micro_batch_tokens"],  // every row in one pack
            large["longest_row"].get<int64_t>() + 2 * small["longest_row"].get<int64_t>());
}

TEST_F(PlanCommand, AsJsonAddsUp) {
  ASSERT_EQ(run({"plan", "-c", root_ + "/run.json", "--json", "--device-memory", "8GiB"}), 0) << error_;
  const Json json = parse_json(out_, "plan");
  EXPECT_EQ(json["available_bytes"], int64_t{8} << 30U);
  EXPECT_EQ(json["fits"], true);
  EXPECT_EQ(json["compute_dtype"], "float32");
  int64_t sum = 0;
  for (const auto& [name, bytes] : json["classes"].items()) sum += bytes.get<int64_t>();
  EXPECT_EQ(json["total_bytes"], sum);
}

TEST_F(PlanCommand, ThatDoesNotFitLeavesWithThree) {
  EXPECT_EQ(run({"plan", "-c", root_ + "/run.json", "--device-memory", "1MiB"}), 3);
  EXPECT_THAT(error_, HasSubstr("the run does not fit in memory: it needs"));
  EXPECT_THAT(error_, HasSubstr("hint: "));
}

TEST_F(PlanCommand, RefusesSeveralRanks) {
  EXPECT_EQ(run({"plan", "-c", root_ + "/run.json", "--world-size", "2"}), 2);
  EXPECT_THAT(error_, HasSubstr("--world-size 2: training on several ranks is not part of this version"));
}

TEST_F(PlanCommand, CountsAGivenAdaptersOwnSettings) {
  const ModelShape shape = read_model_shape(root_ + "/model");
  LoraConfig config;
  config.r = 16, config.target_modules = std::vector<std::string>{"q_proj"};
  const std::string adapter = root_ + "/adapter";
  fs::create_directories(adapter);
  save_adapter(adapter, config, shape, init_lora_weights(config, shape, 1, at::kFloat));
  ASSERT_EQ(run({"plan", "-c", root_ + "/run.json", "--json", "adapter_name_or_path=" + adapter}), 0) << error_;
  EXPECT_EQ(parse_json(out_, "plan")["trainable_parameters"], 2 * 16 * (64 + 64));
}

TEST_F(PlanCommand, RefusesAnAdapterThatTrainWouldRefuse) {
  EXPECT_EQ(run({"plan", "-c", root_ + "/run.json", "adapter_name_or_path=" + root_ + "/nowhere"}), 2);
  EXPECT_THAT(error_, HasSubstr("nowhere/adapter_config.json"));
  EXPECT_EQ(run({"plan", "-c", root_ + "/run.json", "lora_target_modules=qq_proj"}), 2);
  EXPECT_THAT(error_, HasSubstr("'qq_proj' matches no module of the model"));
  EXPECT_EQ(run({"plan", "-c", root_ + "/run.json", "modules_to_save=not_there"}), 2);
  EXPECT_THAT(error_, HasSubstr("not_there"));
}

TEST_F(PlanCommand, CountsAnEvaluationAtTheStart) {
  ASSERT_EQ(run({"plan", "-c", root_ + "/run.json", "per_device_eval_batch_size=5", "eval_on_start=true"}), 0)
      << error_;
  EXPECT_THAT(out_, HasSubstr("largest evaluation batch: 500 tokens"));
}

TEST_F(PlanCommand, TakesOverrides) {
  ASSERT_EQ(run({"plan", "-c", root_ + "/run.json", "max_seq_length=50"}), 0) << error_;
  EXPECT_THAT(out_, HasSubstr("largest micro-batch: 100 tokens"));
}

}  // namespace
}  // namespace lathe
