#include "train/training_run.h"

#include <lathe/error.h>
#include <lathe/trainer.h>

#include "train/training_fixture.h"

namespace lathe {
namespace {

using TrainingRunTest = TrainingTest;

TEST_F(TrainingRunTest, AnAdapterThatNeverMovedIsAFailure) {
  try {
    run({"learning_rate=0"});
    FAIL() << "went on";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 1);
    EXPECT_NE(std::string(error.what()).find("learning_rate is 0"), std::string::npos) << error.what();
  }
  EXPECT_EQ(logged(json("trainer_state.json"), "loss").size(), 10u);
}

TEST_F(TrainingRunTest, WholeModelsTrainInEveryPrecision) {
  for (const char* precision : {"bf16=true", "bf16=false", "fp16=true"}) {
    run({"use_lora=false", precision, "strict_precision=true", "learning_rate=0.003"});
    const std::vector<double> losses = logged(json("trainer_state.json"), "loss");
    EXPECT_LT(losses.back(), losses.front() - 0.05) << precision;
    EXPECT_TRUE(exists("model.safetensors"));
    EXPECT_TRUE(exists("config.json"));
    EXPECT_EQ(find_damage(out("checkpoint-10")), std::nullopt);
  }
}

/// fp16 itself: its numbers are fp16's and neither bf16's nor fp32's, and its state goes on to the bit
/// (CheckpointTest).
TEST_F(TrainingRunTest, StrictFp16IsAPrecisionOfItsOwn) {
  const auto losses_of = [&](const std::vector<std::string>& words) {
    run(words);
    return logged(json("trainer_state.json"), "loss");
  };
  const std::vector<double> exact = losses_of({"bf16=false", "fp16=false"}), bf16 = losses_of({"bf16=true"}),
                            fp16 = losses_of({"bf16=false", "fp16=true", "strict_precision=true"});
  const double far = std::fabs(bf16.back() - exact.back()), near = std::fabs(fp16.back() - exact.back());
  EXPECT_GT(near, 0);
  EXPECT_LT(near, far);
}

/// At a rate whose updates lie far below a bf16 step of most weights: the run without masters learns what the one with
/// masters learns, and half a percent of the way is what its draws differ by.
TEST_F(TrainingRunTest, Bf16WithoutMastersFollowsTheRunWithThem) {
  const std::vector<std::string> words = {"use_lora=false", "bf16=true", "learning_rate=0.0003"};
  run(words);
  const std::vector<double> masters = logged(json("trainer_state.json"), "loss");
  EXPECT_GT(json("train_results.json")["peak_memory_bytes"]["cpu"]["master"], 0);
  std::vector<std::string> drawn = words;
  drawn.emplace_back("bf16_stochastic_rounding=true");
  run(drawn);
  const std::vector<double> alone = logged(json("trainer_state.json"), "loss");
  const double way = masters.front() - masters.back();
  ASSERT_GT(way, 0.02);
  EXPECT_NEAR(alone.front(), masters.front(), 1e-3 * masters.front());
  EXPECT_NEAR(alone.back(), masters.back(), 0.1 * way);
  const Json results = json("train_results.json");
  EXPECT_EQ(results["peak_memory_bytes"]["cpu"].value("master", 0), 0);
  EXPECT_EQ(results["planned_memory_bytes"]["cpu"].value("master", 0), 0);
}

/// In 4 and 8 bits, from a file and from random weights, with products in either type.
TEST_F(TrainingRunTest, AdaptersTrainOverQuantisedWeights) {
  for (const std::vector<std::string>& settings :
       {std::vector<std::string>{"quantization_bit=4"},
        {"quantization_bit=8", "bf16=true"},
        {"bnb_4bit_quant_type=fp4", "bnb_4bit_use_double_quant=false", "bf16=true"},
        {"bnb_4bit_compute_dtype=bfloat16", "init_from_scratch=true"}}) {
    std::vector<std::string> all = {"use_qlora=true", "learning_rate=0.02"};
    all.insert(all.end(), settings.begin(), settings.end());
    run(all);
    const std::vector<double> losses = logged(json("trainer_state.json"), "loss");
    EXPECT_LT(losses.back(), losses.front()) << settings[0];
    EXPECT_TRUE(exists("adapter_model.safetensors"));
    EXPECT_FALSE(exists("model.safetensors"));
  }
}

/// In both precisions, over a quantised base, and from where an earlier run stopped.
TEST_F(TrainingRunTest, ModulesToSaveTrainBesideTheAdapter) {
  for (const char* more : {"bf16=false", "bf16=true", "use_qlora=true"}) {
    SCOPED_TRACE(more);
    const std::vector<std::string> words = {"modules_to_save=embed_tokens,norm", more, "learning_rate=0.01"};
    run(words);
    const std::string whole = bytes("adapter_model.safetensors");
    const SafetensorsFile file = SafetensorsFile::open(out("adapter_model.safetensors"));
    const at::Tensor trained = map_tensor(file, file.tensors().at("base_model.model.model.embed_tokens.weight"));
    const SafetensorsFile base = SafetensorsFile::open(root_ + "/model/model.safetensors");
    const at::Tensor first = map_tensor(base, base.tensors().at("model.embed_tokens.weight"));
    EXPECT_GT((trained.to(at::kFloat) - first).abs().max().item<double>(), 1e-3);
    EXPECT_TRUE(file.tensors().contains("base_model.model.model.layers.1.input_layernorm.weight"));
    std::vector<std::string> resumed = words;
    resumed.push_back("resume_from_checkpoint=" + out("checkpoint-4"));
    run(resumed);
    EXPECT_TRUE(bytes("adapter_model.safetensors") == whole);
  }
}

TEST_F(TrainingRunTest, DoraTrainsGoesOnAndIsTakenUp) {
  for (const char* more : {"use_qlora=true", "bf16=false", "bf16=true"}) {
    SCOPED_TRACE(more);
    const std::vector<std::string> words = {"use_dora=true", more, "learning_rate=0.01", "lora_dropout=0.1"};
    run(words);
    const std::string whole = bytes("adapter_model.safetensors");
    const std::vector<double> losses = logged(json("trainer_state.json"), "loss");
    EXPECT_LT(losses.back(), losses.front());
    std::vector<std::string> resumed = words;
    resumed.push_back("resume_from_checkpoint=" + out("checkpoint-4"));
    run(resumed);
    EXPECT_TRUE(bytes("adapter_model.safetensors") == whole);
  }
  std::filesystem::rename(out(), root_ + "/first");
  // A rate that moves nothing: what was read is what is written.
  const std::string first = "adapter_name_or_path=" + root_ + "/first";
  run({first, "bf16=false", "learning_rate=1e-30"});
  const std::string again = bytes("adapter_model.safetensors");
  EXPECT_TRUE(again == read_text_file(root_ + "/first/adapter_model.safetensors"));
  run({first, "use_qlora=true", "bf16=false", "learning_rate=1e-30"});
  EXPECT_TRUE(bytes("adapter_model.safetensors") == again);
  std::filesystem::remove_all(root_ + "/first");
  run({"bf16=false"});
  std::filesystem::rename(out(), root_ + "/first");
  EXPECT_THROW(run({first, "use_dora=true"}), Error);  // it is plain LoRA
}

TEST_F(TrainingRunTest, AGivenAdapterIsPlannedAsItIs) {
  run({"lora_r=2", "lora_target_modules=q_proj,v_proj"});
  std::filesystem::rename(out(), root_ + "/first");
  run({"adapter_name_or_path=" + root_ + "/first", "lora_r=64"});
  const Json results = json("train_results.json");
  EXPECT_EQ(results["planned_memory_bytes"]["cpu"]["optimizer"], results["peak_memory_bytes"]["cpu"]["optimizer"])
      << results;
  EXPECT_THROW(run({"adapter_name_or_path=" + root_ + "/first", "modules_to_save=lm_head", "ensure_weight_tying=true"}),
               Error);
}

TEST_F(TrainingRunTest, ModulesToSaveThatCannotTrainAreRefused) {
  const auto error_of = [&](const std::vector<std::string>& words) -> std::string {
    try {
      run(words);
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.kind()), 2);
      return error.what();
    }
    return "no error";
  };
  EXPECT_NE(error_of({"modules_to_save=up_proj", "use_qlora=true"}).find("held in few bits"), std::string::npos);
  EXPECT_NE(error_of({"modules_to_save=classifier"}).find("'classifier' matches no module"), std::string::npos);
  EXPECT_NE(error_of({"modules_to_save=proj"}).find("would have an adapter and a copy"), std::string::npos);
}

TEST_F(TrainingRunTest, ATokenizerLargerThanTheModelIsRefused) {
  const Json config = json_of_model();
  Json small = config;
  small["vocab_size"] = 600;
  atomic_write(root_ + "/model/config.json", dump_json(small));
  try {
    run();
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 2);
    EXPECT_NE(std::string(error.what()).find("600"), std::string::npos) << error.what();
  }
  EXPECT_FALSE(std::filesystem::exists(out()));
}

TEST_F(TrainingRunTest, TokensFromTheCacheGiveTheSameRunAndTheSameReport) {
  const std::string path = root_ + "/rows.jsonl";
  atomic_write(path, read_text_file(path) + "{\"nothing\": 1}\n");
  const auto run_once = [&](const std::vector<std::string>& more, const std::string& sentence) {
    std::vector<std::string> words = {"on_bad_row=skip", "max_seq_length=30", "eval_split_ratio=0.2",
                                      "eval_strategy=epoch"};
    words.insert(words.end(), more.begin(), more.end());
    ::testing::internal::CaptureStderr();
    run(words);
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_NE(said.find(sentence), std::string::npos) << said;
    EXPECT_NE(said.find(path + ":23: row skipped: "), std::string::npos) << said;
    return dump_json(json("train_results.json")["data"]) + bytes("adapter_model.safetensors") +
           dump_json(Json(logged(json("trainer_state.json"), "eval_loss")));
  };
  const std::string first = run_once({}, "Tokens: kept for later runs in " + root_ + "/cache/");
  EXPECT_EQ(json("train_results.json")["data"]["rows_skipped"], 1);
  EXPECT_GT(json("train_results.json")["data"]["rows_truncated"], 0);
  EXPECT_TRUE(run_once({}, "Tokens: mapped from ") == first);
  EXPECT_TRUE(run_once({"overwrite_cache=true"}, "Tokens: kept for later runs in ") == first);
}

TEST_F(TrainingRunTest, RowsHeldOutForNothingAreSaid) {
  const auto said = [&](const std::vector<std::string>& words) {
    ::testing::internal::CaptureStderr();
    run(words);
    return ::testing::internal::GetCapturedStderr();
  };
  const std::string sentence = "that are never evaluated";
  EXPECT_NE(said({"val_size=0.2"}).find("eval_split_ratio holds out 4 rows " + sentence), std::string::npos);
  EXPECT_EQ(said({"val_size=0.2", "eval_on_start=true"}).find(sentence), std::string::npos);
}

TEST_F(TrainingRunTest, OneCallTrains) {
  const TrainSummary summary =
      train("", {"model_name_or_path=" + root_ + "/model", "data_path=" + root_ + "/rows.jsonl", "output_dir=" + out(),
                 "use_lora=true", "fp16=false", "max_steps=2", "warmup_steps=0", "learning_rate=0.01"});
  EXPECT_EQ(summary.global_step, 2);
  EXPECT_GT(summary.train_loss, 0);
  EXPECT_TRUE(exists("adapter_model.safetensors"));
}

}  // namespace
}  // namespace lathe
