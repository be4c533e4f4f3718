#include "train/results.h"

#include <sstream>

#include "train/callbacks.h"
#include "train/training_fixture.h"

namespace lathe {
namespace {

using ResultsTest = TrainingTest;

TEST_F(ResultsTest, EveryFileThatIsPromisedIsThere) {
  run({"eval_strategy=steps", "eval_steps=5", "save_steps=5", "eval_split_ratio=0.1"});
  for (const char* name :
       {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "trainer_state.json", "train_results.json", "eval_results.json", "all_results.json", "training_args.json",
        "trainer_log.jsonl", "report.html", "training_loss.svg", "inference.json", "runs",
        "checkpoint-10/manifest.json", "checkpoint-10/adapter_config.json", "checkpoint-10/trainer_state.json",
        "checkpoint-10/tokenizer.json"}) {
    EXPECT_TRUE(exists(name)) << name;
  }
  const Json results = json("train_results.json");
  for (const char* key :
       {"train_runtime", "train_samples_per_second", "train_tokens_per_second", "train_loss", "peak_rss_bytes",
        "file_backed_bytes", "startup_seconds", "model_flops_utilization", "train_input_wait_seconds"}) {
    ASSERT_TRUE(results.contains(key)) << key;
    EXPECT_TRUE(results[key].is_number()) << key;
  }
  EXPECT_GT(results["train_tokens_per_second"].get<double>(), 0);
  EXPECT_GT(results["model_flops_utilization"].get<double>(), 0);
  EXPECT_LT(results["model_flops_utilization"].get<double>(), 1);
  double start_s = 0;
  for (const auto& [part, seconds] : results["startup_parts_seconds"].items()) start_s += seconds.get<double>();
  EXPECT_GT(start_s, 0);
  EXPECT_LE(start_s, results["startup_seconds"].get<double>() + 0.005);  // each is rounded to a thousandth
  const Json& peak = results["peak_memory_bytes"]["cpu"];
  const Json& plan = results["planned_memory_bytes"]["cpu"];
  EXPECT_EQ(peak["optimizer"], plan["optimizer"]);
  EXPECT_EQ(peak["master"], plan["master"]);
  // One adapter tensor may exist twice while the store takes its copy.
  EXPECT_NEAR(peak["weights"].get<double>(), plan["weights"].get<double>(), 0.03 * plan["weights"].get<double>());
  EXPECT_LE(peak["workspace"].get<int64_t>(), 64 << 10);
  EXPECT_GE(peak["gradients"].get<int64_t>(), plan["gradients"].get<int64_t>());
  EXPECT_EQ(results["data"]["rows_read"], 22);
  EXPECT_EQ(results["data"]["rows_held_out"], 2);
  EXPECT_EQ(results["data"]["rows_kept"], 20);
  EXPECT_EQ(results["eval_data"]["rows_kept"], 2);
  EXPECT_EQ(json("adapter_config.json")["peft_type"], "LORA");
  EXPECT_TRUE(json("eval_results.json").contains("eval_loss"));
  EXPECT_TRUE(json("all_results.json").contains("train_loss"));
  EXPECT_EQ(json("training_args.json")["lora_r"], 4);
}

TEST_F(ResultsTest, TheLogFileIsForMachines) {
  run();
  std::istringstream lines(bytes("trainer_log.jsonl"));
  std::string line;
  ASSERT_TRUE(std::getline(lines, line));
  const Json first = parse_json(line, "trainer_log.jsonl");
  for (const char* key : {"current_steps", "total_steps", "loss", "lr", "epoch", "percentage", "elapsed_time",
                          "remaining_time", "throughput", "total_tokens", "memory_bytes"}) {
    EXPECT_TRUE(first.contains(key)) << key;
  }
  EXPECT_EQ(first["total_steps"], 10);
  EXPECT_EQ(first["loss"], json("trainer_state.json")["log_history"][0]["loss"]);
}

TEST_F(ResultsTest, TheReportNeedsNothingFromTheNetwork) {
  run();
  const std::string html = bytes("report.html");
  EXPECT_NE(html.find("<polyline"), std::string::npos);
  EXPECT_EQ(html.find("src="), std::string::npos);
  EXPECT_EQ(html.find("<script"), std::string::npos);
  EXPECT_EQ(html.find("href="), std::string::npos);
}

TEST(FormatLogs, PrintsFourDigitsAsTransformers) {
  EXPECT_EQ(format_logs(Json{{"loss", 0.693147}, {"learning_rate", 2e-5}, {"epoch", 1.0}, {"step", 3}}),
            "{'loss': 0.6931, 'learning_rate': 2e-05, 'epoch': 1, 'step': 3}");
  EXPECT_EQ(with_commas(1234567), "1,234,567");
  EXPECT_EQ(with_commas(-123), "-123");
}

TEST(MetricsBlock, IsSortedAndAligned) {
  const std::string text =
      metrics_block("train", Json{{"train_runtime", 62.5}, {"epoch", 2.0}, {"train_loss", 1.23456789}});
  EXPECT_EQ(text,
            "***** train metrics *****\n"
            "  epoch         =        2.0\n"
            "  train_loss    =     1.2346\n"
            "  train_runtime = 0:01:02.50");
}

}  // namespace
}  // namespace lathe
