#include "train/checkpoint.h"

#include <lathe/error.h>

#include <filesystem>
#include <sstream>

#include "model/tensor_file.h"
#include "train/output_folder.h"
#include "train/training_fixture.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

class CheckpointTest : public TrainingTest {
 protected:
  /// Runs to the end, and again from checkpoint-4 on: both leave the same weights and the same state.
  void expect_the_same_bits(const std::vector<std::string>& words, const std::string& weights) {
    for (const std::string& folder : {out(), root_ + "/undisturbed"}) std::filesystem::remove_all(folder);
    run(words);
    std::filesystem::rename(out(), root_ + "/undisturbed");
    run(words);
    for (const char* name : {"checkpoint-8", "checkpoint-10"}) std::filesystem::remove_all(out(name));
    std::filesystem::remove(out("train_results.json"));
    std::vector<std::string> again = words;
    again.emplace_back("resume_from_checkpoint=true");
    run(again);
    for (const std::string& name :
         {weights, "checkpoint-8/" + weights, "checkpoint-10/" + weights,
          std::string("checkpoint-8/optimizer.safetensors"), std::string("checkpoint-10/optimizer.safetensors")}) {
      EXPECT_TRUE(bytes(name) == read_text_file(root_ + "/undisturbed/" + name)) << name;
    }
  }
  void expect_the_same_bits_of_the_model(const std::vector<std::string>& words) {
    expect_the_same_bits(words, "model.safetensors");
  }
  void expect_the_same_bits_of_the_adapter(const std::vector<std::string>& words) {
    expect_the_same_bits(words, "adapter_model.safetensors");
  }
  /// The TensorBoard file of a run; "": it has none.
  static std::string events_of(const std::string& output_dir) {
    for (const auto& entry : fs::recursive_directory_iterator(output_dir + "/runs")) {
      if (entry.is_regular_file()) return entry.path().string();
    }
    return "";
  }
};

TEST_F(CheckpointTest, GoesOnFromACheckpointAsIfNeverKilled) {
  run();
  std::filesystem::rename(out(), root_ + "/undisturbed");
  run();
  for (const char* name : {"checkpoint-8", "checkpoint-10"}) std::filesystem::remove_all(out(name));
  for (const char* name : {"adapter_model.safetensors", "train_results.json", "trainer_state.json"}) {
    std::filesystem::remove(out(name));
  }
  run({"resume_from_checkpoint=true"});
  for (const char* name : {"adapter_model.safetensors", "checkpoint-10/adapter_model.safetensors",
                           "checkpoint-10/optimizer.safetensors", "checkpoint-8/optimizer.safetensors"}) {
    EXPECT_TRUE(bytes(name) == read_text_file(root_ + "/undisturbed/" + name)) << name;
  }
  Json ours = json("trainer_state.json"), theirs = read_json_file(root_ + "/undisturbed/trainer_state.json");
  for (Json* state : {&ours, &theirs}) {
    for (const char* key : {"train_runtime", "train_samples_per_second", "train_steps_per_second"}) {
      (*state)["log_history"].back().erase(key);
    }
  }
  EXPECT_EQ(ours, theirs);
  std::istringstream lines(bytes("trainer_log.jsonl"));
  int64_t count = 0;
  for (std::string line; std::getline(lines, line); ++count) (void)parse_json(line, "trainer_log.jsonl");
  EXPECT_EQ(count, 11);  // ten steps and the end, none twice
}

TEST_F(CheckpointTest, FullTrainingInBf16GoesOnToTheBit) {
  const std::vector<std::string> words = {"use_lora=false", "bf16=true", "gradient_accumulation_steps=1",
                                          "learning_rate=0.001"};
  expect_the_same_bits_of_the_model(words);
  // Masters are saved in fp32 under the parameter's name, and they are more than the model's own file has.
  const SafetensorsFile state = SafetensorsFile::open(out("checkpoint-10/optimizer.safetensors"));
  const TensorEntry& master = state.tensors().at("model.layers.0.mlp.up_proj.weight.master");
  EXPECT_EQ(master.dtype, DType::kF32);
  const at::Tensor values = map_tensor(state, master);
  EXPECT_FALSE(at::equal(values, values.to(at::kBFloat16).to(at::kFloat)));
}

TEST_F(CheckpointTest, StrictFp16GoesOnToTheBit) {
  const std::vector<std::string> words = {"bf16=false", "fp16=true", "strict_precision=true", "learning_rate=0.001"};
  expect_the_same_bits_of_the_adapter(words);
  std::vector<std::string> whole = words;
  whole.emplace_back("use_lora=false");
  expect_the_same_bits_of_the_model(whole);
  EXPECT_EQ(SafetensorsFile::open(out("model.safetensors")).tensors().at("model.norm.weight").dtype, DType::kF16);
}

TEST_F(CheckpointTest, WhatASaveKilledBeforeItsEndLeftIsDropped) {
  const std::vector<std::string> words = {"save_total_limit=2", "save_steps=1"};
  run(words);
  const auto folders = [&] {
    std::vector<int64_t> steps;
    for (const CheckpointFolder& folder : list_checkpoints(root_ + "/out")) steps.push_back(folder.step);
    return steps;
  };
  ASSERT_EQ(folders(), (std::vector<int64_t>{9, 10}));
  std::filesystem::copy(out("checkpoint-9"), out("checkpoint-8"));
  std::filesystem::remove(out("train_results.json"));
  std::vector<std::string> again = words;
  again.emplace_back("resume_from_checkpoint=true");
  run(again);
  EXPECT_EQ(folders(), (std::vector<int64_t>{9, 10}));
}

/// Else the next start would go on with the course that was left, whose steps are more.
TEST_F(CheckpointTest, ARunThatWentBackIsGoneOnWithNotTheCourseItLeft) {
  run();
  std::vector<std::string> back = {"resume_from_checkpoint=" + out("checkpoint-4"), "learning_rate=0.001",
                                   "max_steps=6"};
  run(back);
  EXPECT_NE(bytes("train.log").find("not the checkpoint's: max_steps 10 -> 6, learning_rate 0.01 -> 0.001\n"),
            std::string::npos);
  EXPECT_EQ(choose_checkpoint("true", out()).folder, out("checkpoint-6"));
  int aside = 0;
  for (const auto& entry : fs::directory_iterator(out())) {
    if (!entry.path().filename().string().starts_with("checkpoint-10.")) continue;
    EXPECT_EQ(find_damage(entry.path()), std::nullopt);
    ++aside;
  }
  EXPECT_EQ(aside, 1);
}

TEST_F(CheckpointTest, FromCheckpointsThatNobodyCanGoOnFromARunBeginsBesideThem) {
  run({"save_only_model=true"});
  const std::string kept = bytes("checkpoint-10/adapter_model.safetensors");
  fs::remove(out("train_results.json"));
  run({"resume_from_checkpoint=true", "overwrite_output_dir=false", "seed=7"});
  int found = 0;
  for (const auto& entry : fs::directory_iterator(root_)) {
    if (!entry.path().filename().string().starts_with("out.")) continue;
    found += read_text_file(entry.path() / "checkpoint-10/adapter_model.safetensors") == kept ? 1 : 0;
  }
  EXPECT_EQ(found, 1);
}

TEST_F(CheckpointTest, ARefusedRunLeavesResultsWhereTheyAre) {
  run();
  const std::string before = bytes("adapter_model.safetensors");
  const auto siblings = [&] { return std::distance(fs::directory_iterator(root_), fs::directory_iterator()); };
  const auto count = siblings();
  for (const char* word : {"lora_target_modules=no_such_module", "lr_scheduler_kwargs={\"no_such\": 1}"}) {
    EXPECT_THROW(run({word}), Error) << word;
    EXPECT_EQ(siblings(), count) << word;
    EXPECT_TRUE(bytes("adapter_model.safetensors") == before) << word;
  }
}

TEST_F(CheckpointTest, WhatWasSaidBeforeTheFolderWasOpenedIsInItsLog) {
  run();
  const std::string first = read_text_file(out("train.log"));
  run();
  EXPECT_NE(read_text_file(out("train.log")).find("holds another run's results: renamed to"), std::string::npos);
  EXPECT_EQ(first.find("renamed to"), std::string::npos);
}

// Rank 128: matrices of the tiny model's adapter are large enough for moments in 8 bits.
TEST_F(CheckpointTest, MomentsIn8BitsGoOnToTheBit) {
  const std::vector<std::string> words = {"optim=adamw_bnb_8bit", "lora_r=128", "learning_rate=0.001"};
  expect_the_same_bits_of_the_adapter(words);
  const SafetensorsFile state = SafetensorsFile::open(out("checkpoint-10/optimizer.safetensors"));
  const std::string name = "base_model.model.model.layers.0.mlp.up_proj.lora_B.weight";
  EXPECT_EQ(state.tensors().at(name + ".exp_avg").dtype, DType::kU8);
  EXPECT_EQ(state.tensors().at(name + ".exp_avg_absmax").shape, std::vector<int64_t>{64 * 128 / 256});
  std::filesystem::remove_all(out("checkpoint-10"));
  EXPECT_THROW(run({"optim=adamw_torch", "lora_r=128", "resume_from_checkpoint=true"}), Error);
}

TEST_F(CheckpointTest, EveryKindOfAdapterAndOptimizerGoesOnToTheBit) {
  const std::vector<std::vector<std::string>> kinds = {
      {"bf16=true", "gradient_accumulation_steps=1", "learning_rate=0.001"},
      {"bf16=true", "use_dora=true", "learning_rate=0.001"},
      {"bf16=true", "modules_to_save=embed_tokens,norm", "learning_rate=0.001"},
      {"optim=adafactor", "learning_rate=0.01"},
      {"optim=rmsprop", "optim_args=centered=true, momentum=0.9", "learning_rate=0.001", "loraplus_lr_ratio=4"},
      {"optim=sgd", "learning_rate=0.1"}};
  for (const std::vector<std::string>& words : kinds) {
    SCOPED_TRACE(words[0] + " " + words[1]);
    expect_the_same_bits_of_the_adapter(words);
  }
}

TEST_F(CheckpointTest, AnOlderOneThatIsNamedIsGoneOnFrom) {
  run();
  const std::string wanted = bytes("adapter_model.safetensors");
  run({"resume_from_checkpoint=" + out("checkpoint-4")});
  EXPECT_TRUE(bytes("adapter_model.safetensors") == wanted);
  EXPECT_EQ(find_damage(out("checkpoint-10")), std::nullopt);
}

TEST_F(CheckpointTest, ARunsOwnFolderIsKnownHoweverItIsWritten) {
  run();
  const std::string wanted = bytes("adapter_model.safetensors");
  const auto siblings = [&] { return std::distance(fs::directory_iterator(root_), fs::directory_iterator()); };
  const auto before = siblings();
  for (const std::string& from :
       {root_ + "/./out/checkpoint-4", out("checkpoint-4/"), fs::relative(out("checkpoint-4")).string()}) {
    run({"resume_from_checkpoint=" + from});
    EXPECT_TRUE(bytes("adapter_model.safetensors") == wanted) << from;
    EXPECT_EQ(siblings(), before) << from;
  }
}

TEST_F(CheckpointTest, AFolderWhoseNameBeginsAlikeIsAnotherRuns) {
  run();
  fs::rename(out(), root_ + "/out10");
  run({"seed=7"});
  const std::string other = bytes("adapter_model.safetensors");
  const std::string events = read_text_file(events_of(root_ + "/out10"));
  run({"resume_from_checkpoint=" + root_ + "/out10/checkpoint-4"});
  int kept = 0;
  for (const auto& entry : fs::directory_iterator(root_)) {
    if (!entry.path().filename().string().starts_with("out.")) continue;
    kept += read_text_file(entry.path() / "adapter_model.safetensors") == other ? 1 : 0;
  }
  EXPECT_EQ(kept, 1);
  // The run that was gone on from keeps its curve.
  EXPECT_TRUE(read_text_file(events_of(root_ + "/out10")) == events);
  EXPECT_FALSE(events_of(out()).empty());
}

/// The folder it resumes to has checkpoints of the same steps, of a run that is set aside.
TEST_F(CheckpointTest, TheBestOfARunThatGoesOnElsewhereIsItsOwn) {
  std::vector<std::string> words = {"eval_strategy=steps", "eval_steps=4", "load_best_model_at_end=true",
                                    "greater_is_better=true"};
  run(words);
  fs::rename(out(), root_ + "/first");
  run({"seed=7"});
  words.push_back("resume_from_checkpoint=" + root_ + "/first/checkpoint-8/");
  run(words);
  const std::string best = root_ + "/first/checkpoint-4";
  EXPECT_EQ(json("trainer_state.json")["best_model_checkpoint"], best);
  EXPECT_TRUE(bytes("adapter_model.safetensors") == read_text_file(best + "/adapter_model.safetensors"));
}

TEST_F(CheckpointTest, ALogThatIsGoneCostsNoCheckpoint) {
  PendingCheckpoint pending;
  pending.folder = root_ + "/checkpoint-1";
  pending.manifest = Json::object();
  std::promise<std::string> base;
  base.set_value("");
  pending.fingerprints.base_weights = base.get_future().share();
  pending.logs = {root_ + "/gone/events"};
  write_checkpoint(pending);
  EXPECT_EQ(find_damage(pending.folder), std::nullopt);
}

TEST_F(CheckpointTest, ADamagedBestModelIsNotLoaded) {
  // The first evaluation is the worst: with greater_is_better its checkpoint is the best.
  const std::vector<std::string> words = {"eval_strategy=steps", "eval_steps=4", "load_best_model_at_end=true",
                                          "greater_is_better=true"};
  run(words);
  const auto best = json("trainer_state.json")["best_model_checkpoint"].get<std::string>();
  EXPECT_TRUE(bytes("adapter_model.safetensors") == read_text_file(best + "/adapter_model.safetensors"));
  const std::string last = out("checkpoint-10");
  ASSERT_EQ(std::filesystem::path(best).filename(), "checkpoint-4");
  std::string broken = read_text_file(best + "/adapter_model.safetensors");
  broken.back() = static_cast<char>(broken.back() ^ 1);
  atomic_write(best + "/adapter_model.safetensors", broken);
  std::filesystem::remove(out("train_results.json"));
  std::vector<std::string> again = words;
  again.emplace_back("resume_from_checkpoint=true");
  run(again);
  EXPECT_TRUE(bytes("adapter_model.safetensors") == read_text_file(last + "/adapter_model.safetensors"));
}

TEST_F(CheckpointTest, AnotherMeaningOfTheSameTensorsIsRefused) {
  const std::vector<std::string> tied = {"modules_to_save=embed_tokens", "ensure_weight_tying=true"};
  run(tied);
  const auto refusal = [&](std::vector<std::string> words) -> std::string {
    words.push_back("resume_from_checkpoint=" + out("checkpoint-8"));
    try {
      run(words);
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.kind()), 2);
      return error.what();
    }
    return "it went on";
  };
  EXPECT_NE(refusal({tied[0], tied[1], "lora_alpha=4"}).find("another scale"), std::string::npos);
  EXPECT_NE(refusal({tied[0]}).find("another tying of embeddings"), std::string::npos);
}

TEST_F(CheckpointTest, OneOfTheModelAloneIsNotGoneOnFrom) {
  run({"save_only_model=true"});
  EXPECT_FALSE(std::filesystem::exists(out("checkpoint-10/optimizer.safetensors")));
  EXPECT_TRUE(std::filesystem::exists(out("checkpoint-10/adapter_model.safetensors")));
  EXPECT_THROW(run({"resume_from_checkpoint=" + out("checkpoint-10")}), Error);
}

TEST_F(CheckpointTest, AnotherOptimizersStateIsRefused) {
  run({"optim=adamw_torch"});
  for (const char* other : {"optim=sgd", "optim=lion_32bit", "optim=adafactor"}) {
    SCOPED_TRACE(other);
    try {
      run({"resume_from_checkpoint=" + out("checkpoint-8"), other});
      ADD_FAILURE() << "it went on";
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.kind()), 2);
      EXPECT_NE(std::string(error.what()).find("the checkpoint was made with"), std::string::npos) << error.what();
    }
  }
}

/// Nothing of the draws is stored: a step's number says them.
TEST_F(CheckpointTest, Bf16WithoutMastersGoesOnToTheBit) {
  const std::vector<std::string> words = {"use_lora=false", "bf16=true", "bf16_stochastic_rounding=true",
                                          "learning_rate=0.001"};
  expect_the_same_bits_of_the_model(words);
  const SafetensorsFile state = SafetensorsFile::open(out("checkpoint-10/optimizer.safetensors"));
  for (const auto& [name, entry] : state.tensors()) EXPECT_FALSE(name.ends_with(".master")) << name;
  std::vector<std::string> other = words;
  other.emplace_back("seed=43");
  other.emplace_back("data_seed=42");  // the same rows, other draws
  run(other);
  EXPECT_FALSE(bytes("model.safetensors") == read_text_file(root_ + "/undisturbed/model.safetensors"));
}

TEST_F(CheckpointTest, ADamagedCheckpointGivesWayToTheOneBefore) {
  run();
  const std::string wanted = bytes("adapter_model.safetensors");
  std::string broken = bytes("checkpoint-10/adapter_model.safetensors");
  broken[broken.size() - 3] = static_cast<char>(broken[broken.size() - 3] ^ 1);
  atomic_write(out("checkpoint-10/adapter_model.safetensors"), broken);
  const auto damage = find_damage(out("checkpoint-10"));
  ASSERT_TRUE(damage.has_value());
  EXPECT_NE(damage->find("adapter_model.safetensors"), std::string::npos);
  ::testing::internal::CaptureStderr();
  EXPECT_EQ(choose_checkpoint("true", out()).folder, out("checkpoint-8"));
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("checkpoint-10 cannot be gone on from: damaged: adapter_model.safetensors"), std::string::npos)
      << said;
  EXPECT_THROW(choose_checkpoint(out("checkpoint-10"), out()), Error);
  EXPECT_EQ(choose_checkpoint(std::nullopt, out()).folder, "");
  EXPECT_NE(choose_checkpoint("true", root_ + "/nowhere").sentence.find("from step 0"), std::string::npos);
  run({"resume_from_checkpoint=true"});
  EXPECT_TRUE(bytes("adapter_model.safetensors") == wanted);
}

TEST_F(CheckpointTest, ResumingWithOtherDataOrWeightsIsRefusedByName) {
  run();
  write_rows(23);
  for (const char* what : {"data", "base weights"}) {
    try {
      run({"resume_from_checkpoint=true"});
      FAIL() << "accepted";
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kConfig);
      EXPECT_NE(std::string(error.what()).find(what), std::string::npos) << error.what();
    }
    write_model(8);
  }
}

TEST_F(CheckpointTest, ResumingWithOtherEvaluationRowsIsRefusedAndWithoutAnyIsNot) {
  const std::string other = root_ + "/eval.jsonl";
  fs::copy_file(root_ + "/rows.jsonl", other);
  const std::vector<std::string> words = {"eval_strategy=steps", "eval_steps=4", "eval_data_path=" + other};
  run(words);
  std::vector<std::string> again = words;
  again.push_back("resume_from_checkpoint=" + out("checkpoint-4"));
  atomic_write(other, read_text_file(other) + read_text_file(other));
  try {
    run(again);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_NE(std::string(error.what()).find("other evaluation data"), std::string::npos) << error.what();
  }
  run({again.back()});
}

TEST_F(CheckpointTest, ResumingOverAnotherKindOfBaseIsRefused) {
  run({"use_qlora=true", "quantization_bit=4"});
  for (const char* word : {"use_qlora=false", "quantization_bit=8", "bnb_4bit_quant_type=fp4"}) {
    try {
      run({"use_qlora=true", "quantization_bit=4", "resume_from_checkpoint=" + out("checkpoint-8"), word});
      ADD_FAILURE() << word << " was accepted";
    } catch (const Error& error) {
      EXPECT_NE(std::string(error.what()).find("quantisation of the base weights"), std::string::npos) << error.what();
    }
  }
}

TEST_F(CheckpointTest, FingerprintsSeeASingleBit) {
  const std::string before = fingerprint_weights(root_ + "/model");
  EXPECT_EQ(fingerprint_weights(root_ + "/model"), before);
  std::string weights = read_text_file(root_ + "/model/model.safetensors");
  weights.back() = static_cast<char>(weights.back() ^ 1);
  atomic_write(root_ + "/model/model.safetensors", weights);
  EXPECT_NE(fingerprint_weights(root_ + "/model"), before);
}

}  // namespace
}  // namespace lathe
