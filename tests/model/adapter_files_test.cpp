// Adapter files against peft's own (tests/oracle/lora_files.py).
#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"
#include "model/fixtures.h"
#include "model/lora.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;
using testing::Oracle;
using Names = std::vector<std::string>;

const std::string kAdapterValues = std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/lora/";

class AdapterFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "lathe_adapter_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  // What is said of peft's adapter after a change to its configuration.
  std::string error_with(const std::string& key, const Json& value) {
    Json json = read_json_file(kAdapterValues + "adapter/adapter_config.json");
    json[key] = value;
    atomic_write(folder_ + "/adapter_config.json", dump_json(json, 2));
    std::filesystem::copy_file(kAdapterValues + "adapter/adapter_model.safetensors",
                               folder_ + "/adapter_model.safetensors",
                               std::filesystem::copy_options::overwrite_existing);
    try {
      (void)load_adapter(folder_, Oracle("qwen3_tied").shape);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData) << error.what();
      return error.what();
    }
    return "no error";
  }

  // Configuration and tensors in folder_ beside those that peft wrote.
  void expect_same_files(const std::string& folder) const {
    Json theirs = read_json_file(folder + "/adapter_config.json"),
         ours = read_json_file(folder_ + "/adapter_config.json");
    for (Json* json : {&theirs, &ours}) {
      auto& targets = (*json)["target_modules"];
      std::sort(targets.begin(), targets.end());  // a set: peft writes it in any order
    }
    EXPECT_EQ(dump_json(ours, 1), dump_json(theirs, 1));
    const auto their_file = SafetensorsFile::open(folder + "/adapter_model.safetensors");
    const auto our_file = SafetensorsFile::open(folder_ + "/adapter_model.safetensors");
    EXPECT_EQ(our_file.metadata(), their_file.metadata());
    ASSERT_EQ(our_file.tensors().size(), their_file.tensors().size());
    for (const auto& [name, entry] : their_file.tensors()) {
      const TensorEntry& own = our_file.tensors().at(name);
      EXPECT_EQ(own.dtype, entry.dtype);
      EXPECT_EQ(own.shape, entry.shape);
      EXPECT_TRUE(std::equal(own.bytes.begin(), own.bytes.end(), entry.bytes.begin(), entry.bytes.end())) << name;
    }
  }

  std::string folder_;
};

TEST_F(AdapterFilesTest, PeftsAdapterGivesPeftsLogits) {
  const Oracle oracle("qwen3_tied");
  const LoadedAdapter adapter = load_adapter(kAdapterValues + "adapter", oracle.shape);
  EXPECT_EQ(adapter.config.r, 4);
  EXPECT_EQ(adapter.config.alpha, 6.5);
  EXPECT_EQ(adapter.config.dropout, 0.05);
  EXPECT_TRUE(adapter.config.use_rslora);
  const SafetensorsFile values = SafetensorsFile::open(kAdapterValues + "adapter_logits.safetensors");
  const at::Tensor ids = map_tensor(values, values.tensors().at("ids"));
  const std::vector<int32_t> row(ids.const_data_ptr<int32_t>(), ids.const_data_ptr<int32_t>() + ids.numel());
  testing::MapStore store(oracle.shape);
  store.add(oracle.weights());
  store.add(adapter.weights);
  CausalLM model(oracle.shape, {.compute_dtype = at::kFloat, .lora = {.r = 4, .scale = adapter.config.scale()}});
  EXPECT_LE(testing::max_abs(model.logits(testing::lay_out({{row, row}}), store),
                             map_tensor(values, values.tensors().at("logits"))),
            1e-5);
}

TEST_F(AdapterFilesTest, SavedFilesAreThoseThatPeftWrites) {
  const ModelShape shape = Oracle("qwen3_tied").shape;
  const LoadedAdapter adapter = load_adapter(kAdapterValues + "adapter", shape);
  save_adapter(folder_, adapter.config, shape, adapter.weights);
  expect_same_files(kAdapterValues + "adapter");
}

// The logits of the stored model with peft's adapter, laid beside peft's own.
double logits_apart(const std::string& folder, const Oracle& oracle, const LoadedAdapter& adapter) {
  const SafetensorsFile values = SafetensorsFile::open(folder + "/logits.safetensors");
  const at::Tensor ids = map_tensor(values, values.tensors().at("ids"));
  const std::vector<int32_t> row(ids.const_data_ptr<int32_t>(), ids.const_data_ptr<int32_t>() + ids.numel());
  TensorMap weights = oracle.weights();
  add_adapter(weights, adapter.config, oracle.shape, adapter.weights);
  const ModelShape shape = shape_behind(adapter.config, oracle.shape);
  testing::MapStore store(shape);
  store.add(weights);
  CausalLM model(shape,
                 {.compute_dtype = at::kFloat, .lora = {.r = adapter.config.r, .scale = adapter.config.scale()}});
  return testing::max_abs(model.logits(testing::lay_out({{row, row}}), store),
                          map_tensor(values, values.tensors().at("logits")));
}

TEST_F(AdapterFilesTest, CopiesOfModulesToSaveAreReadAndWrittenAsPeftDoes) {
  const std::pair<const char*, const char*> cases[] = {
      {"parted", "qwen3_tied"}, {"tied", "qwen3_tied"}, {"mlp", "qwen2_untied_yarn"}};
  for (const auto& [name, model] : cases) {
    SCOPED_TRACE(name);
    const std::string theirs = kAdapterValues + "saved_" + name;
    const Oracle oracle(model);
    LoadedAdapter adapter = load_adapter(theirs, oracle.shape);
    EXPECT_LE(logits_apart(theirs, oracle, adapter), 1e-5);
    save_adapter(folder_, adapter.config, oracle.shape, adapter.weights);
    expect_same_files(theirs);
    // A base weight that is not replaced by its copy is noticed.
    std::erase_if(adapter.weights, [](const auto& one) { return !is_adapter(one.first.part); });
    EXPECT_GT(logits_apart(theirs, oracle, adapter), 1e-2);
  }
}

TEST_F(AdapterFilesTest, MagnitudesOfDoraAreReadAndWrittenAsPeftDoes) {
  const std::string theirs = kAdapterValues + "dora";
  const Oracle oracle("qwen3_tied");
  LoadedAdapter adapter = load_adapter(theirs, oracle.shape);
  EXPECT_TRUE(adapter.config.use_dora);
  EXPECT_LE(logits_apart(theirs, oracle, adapter), 1e-5);
  save_adapter(folder_, adapter.config, oracle.shape, adapter.weights);
  expect_same_files(theirs);
  for (auto& [id, tensor] : adapter.weights) {
    if (id.part == Part::kLoraMagnitude) tensor = at::ones_like(tensor);
  }
  EXPECT_GT(logits_apart(theirs, oracle, adapter), 1e-2);
}

TEST_F(AdapterFilesTest, CopiesThatDoNotFitAreRefused) {
  const ModelShape shape = Oracle("qwen3_tied").shape;
  LoadedAdapter adapter = load_adapter(kAdapterValues + "saved_parted", shape);
  const auto error_of = [&](const std::string& key, const Json& value) -> std::string {
    save_adapter(folder_, adapter.config, shape, adapter.weights);
    Json json = read_json_file(folder_ + "/adapter_config.json");
    json[key] = value;
    atomic_write(folder_ + "/adapter_config.json", dump_json(json, 2));
    try {
      (void)load_adapter(folder_, shape);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_THAT(error_of("modules_to_save", {"embed_tokens"}), HasSubstr("norm.weight"));
  EXPECT_THAT(error_of("modules_to_save", {"embed_tokens", "norm", "lm_head"}), HasSubstr("tensor is missing"));
  EXPECT_THAT(error_of("modules_to_save", {"embed_tokens", "norm", "classifier"}), HasSubstr("'classifier'"));
  EXPECT_EQ(error_of("ensure_weight_tying", true), "no error");
}

TEST_F(AdapterFilesTest, AllLinearIsWrittenAsNames) {
  const ModelShape shape = Oracle("qwen2_tied").shape;
  const LoraConfig config{.r = 2, .alpha = 4, .target_modules = "all-linear"};
  const TensorMap adapter = init_lora_weights(config, shape, 1, at::kFloat);
  save_adapter(folder_, config, shape, adapter);
  const LoadedAdapter again = load_adapter(folder_, shape);
  EXPECT_EQ(std::get<Names>(again.config.target_modules).size(), 7U);
  ASSERT_EQ(again.weights.size(), adapter.size());
  for (const auto& [id, tensor] : adapter) EXPECT_TRUE(at::equal(tensor, again.weights.at(id))) << hf_name(id);
}

TEST_F(AdapterFilesTest, OtherKindsAreRefusedByName) {
  EXPECT_EQ(error_with("a_key_of_a_later_version", {{"x", 1}}), "no error");
  EXPECT_THAT(error_with("peft_type", "LOHA"), HasSubstr("'LOHA'"));
  EXPECT_THAT(error_with("use_dora", true), HasSubstr("lora_magnitude_vector"));
  EXPECT_THAT(error_with("bias", "lora_only"), HasSubstr("lora_only"));
  EXPECT_THAT(error_with("rank_pattern", {{"q_proj", 8}}), HasSubstr("rank_pattern"));
  EXPECT_THAT(error_with("init_lora_weights", "pissa_niter_4"), HasSubstr("pissa"));
  EXPECT_THAT(error_with("r", "four"), HasSubstr("'r'"));
}

TEST_F(AdapterFilesTest, TensorsOfAnotherModelAreRefused) {
  EXPECT_THAT(error_with("r", 8), HasSubstr("[4, 56] where the model asks for [8, 56]"));
  EXPECT_THAT(error_with("target_modules", {"q_proj", "down_proj", "up_proj"}), HasSubstr("tensor is missing"));
  EXPECT_THAT(error_with("target_modules", {"q_proj"}), HasSubstr("belongs to no module"));
}

}  // namespace
}  // namespace lathe
