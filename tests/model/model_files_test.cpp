// Model folders: transformers' files in, ours out, and what is refused.
#include "model/model_files.h"

#include <ATen/ATen.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"
#include "base/memory_ledger.h"
#include "model/fixtures.h"

namespace lathe {
namespace {

using ::testing::HasSubstr;
using testing::Oracle;

class ModelFilesTest : public ::testing::Test {
 protected:
  void SetUp() override {
    folder_ = ::testing::TempDir() + "lathe_model_files_" + std::to_string(::getpid()) + "_" +
              ::testing::UnitTest::GetInstance()->current_test_info()->name();
    std::filesystem::create_directories(folder_);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }

  std::string error_of(const ModelShape& shape) {
    try {
      (void)load_model_weights(folder_, shape, at::kFloat);
    } catch (const Error& error) {
      EXPECT_EQ(error.kind(), ErrorKind::kData);
      return error.what();
    }
    return "no error";
  }
  void write(const TensorMap& weights) {
    NamedTensors named;
    for (const auto& [id, tensor] : weights) named.emplace_back(hf_name(id), tensor);
    save_tensors(folder_ + "/model.safetensors", named);
  }

  std::string folder_;
};

TEST_F(ModelFilesTest, SavedWeightsLoadEqual) {
  const Oracle oracle("qwen3_untied_bias");
  const TensorMap weights = oracle.weights();
  save_model_weights(folder_, oracle.shape, weights);
  const TensorMap again = load_model_weights(folder_, read_model_shape(folder_), at::kFloat);
  ASSERT_EQ(again.size(), weights.size());
  for (const auto& [id, tensor] : weights) EXPECT_TRUE(at::equal(tensor, again.at(id))) << hf_name(id);
}

TEST_F(ModelFilesTest, ShardsHoldEveryTensorOnceWithinTheLimit) {
  const Oracle oracle("qwen2_tied");
  const TensorMap weights = oracle.weights();
  save_model_weights(folder_, oracle.shape, weights, 30'000);
  EXPECT_FALSE(file_exists(folder_ + "/model.safetensors"));
  size_t tensors = 0, files = 0;
  for (const auto& entry : std::filesystem::directory_iterator(folder_)) {
    if (entry.path().extension() != ".safetensors") continue;
    ++files;
    const SafetensorsFile file = SafetensorsFile::open(entry.path().string());
    int64_t bytes = 0;
    for (const auto& [name, tensor] : file.tensors()) bytes += static_cast<int64_t>(tensor.bytes.size());
    EXPECT_LE(bytes, 30'000);
    tensors += file.tensors().size();
  }
  EXPECT_EQ(tensors, weights.size());
  EXPECT_GT(files, 2U);
  const TensorMap again = load_model_weights(folder_, oracle.shape, at::kFloat);
  for (const auto& [id, tensor] : weights) EXPECT_TRUE(at::equal(tensor, again.at(id))) << hf_name(id);
}

TEST_F(ModelFilesTest, WeightsOfTheWantedTypeAreViewsAndCounted) {
  const Oracle oracle("qwen2_tied");
  const int64_t before = cpu_ledger().current(MemoryClass::kWeights);
  {
    const TensorMap weights = oracle.weights();
    EXPECT_EQ(cpu_ledger().current(MemoryClass::kWeights) - before, 4 * oracle.shape.num_parameters());
  }
  EXPECT_EQ(cpu_ledger().current(MemoryClass::kWeights), before);
}

TEST_F(ModelFilesTest, ConvertedWeightsAreRoundedToNearest) {
  const Oracle oracle("qwen2_tied");
  const TensorMap wide = oracle.weights(), narrow = oracle.weights(at::kBFloat16);
  for (const auto& [id, tensor] : wide) EXPECT_TRUE(at::equal(tensor.to(at::kBFloat16), narrow.at(id))) << hf_name(id);
}

TEST_F(ModelFilesTest, TiedHeadInTheFileIsAccepted) {
  const Oracle oracle("qwen2_tied");
  TensorMap weights = oracle.weights();
  const ParameterId table{BlockId::embedding(), Site::kEmbedTokens, Part::kWeight};
  const ParameterId head{BlockId::head(), Site::kLmHead, Part::kWeight};
  weights[head] = weights[table];
  write(weights);
  EXPECT_EQ(load_model_weights(folder_, oracle.shape, at::kFloat).size(), weights.size() - 1);
  const at::Tensor kept = weights[table];
  weights.erase(table);
  write(weights);
  EXPECT_TRUE(at::equal(load_model_weights(folder_, oracle.shape, at::kFloat).at(table), kept));
  weights[table] = kept + 1;
  write(weights);
  EXPECT_THAT(error_of(oracle.shape), HasSubstr("lm_head.weight"));
}

TEST_F(ModelFilesTest, MissingTensorIsNamed) {
  const Oracle oracle("qwen2_tied");
  TensorMap weights = oracle.weights();
  weights.erase({BlockId::decoder(1), Site::kUp, Part::kWeight});
  write(weights);
  EXPECT_THAT(error_of(oracle.shape),
              HasSubstr("'model.layers.1.mlp.up_proj.weight': tensor of shape [56, 32] is missing"));
}

TEST_F(ModelFilesTest, WrongShapeNamesBothShapes) {
  const Oracle oracle("qwen2_tied");
  TensorMap weights = oracle.weights();
  weights[{BlockId::decoder(0), Site::kQ, Part::kBias}] = at::zeros({31});
  write(weights);
  const std::string error = error_of(oracle.shape);
  EXPECT_THAT(error, HasSubstr("model.layers.0.self_attn.q_proj.bias"));
  EXPECT_THAT(error, HasSubstr("model.safetensors"));
  EXPECT_THAT(error, HasSubstr("[31]"));
  EXPECT_THAT(error, HasSubstr("[32]"));
}

TEST_F(ModelFilesTest, UnexpectedTensorsAndIntegersAreRefused) {
  const Oracle oracle("qwen2_tied");
  TensorMap weights = oracle.weights();
  weights[{BlockId::decoder(2), Site::kQ, Part::kWeight}] = at::zeros({32, 32});
  write(weights);
  EXPECT_THAT(error_of(oracle.shape), HasSubstr("model.layers.2.self_attn.q_proj.weight"));
  weights = oracle.weights();
  weights[{BlockId::decoder(0), Site::kQ, Part::kWeight}] = at::zeros({32, 32}, at::kChar);
  write(weights);
  EXPECT_THAT(error_of(oracle.shape), HasSubstr("not a floating-point type"));
}

TEST_F(ModelFilesTest, FolderWithoutWeightsSaysWhatToDo) {
  EXPECT_THAT(error_of(Oracle("qwen2_tied").shape), HasSubstr("lathe init"));
}

TEST_F(ModelFilesTest, TruncatedFileIsRefused) {
  const Oracle oracle("qwen2_tied");
  write(oracle.weights());
  std::filesystem::resize_file(folder_ + "/model.safetensors", 50'000);
  EXPECT_THAT(error_of(oracle.shape), HasSubstr("model.safetensors"));
}

/// Projections alone are quantised, each as it would be by itself; the rest is what it is without quantisation.
TEST_F(ModelFilesTest, QuantisedWhileLoading) {
  const Oracle oracle("qwen3_untied_bias");
  const TensorMap weights = oracle.weights();
  const ops::QuantizationSettings settings{.kind = ops::Quantization::kNf4, .compute_dtype = at::kFloat};
  const QuantizedModel model = load_quantized_model(oracle.folder, oracle.shape, at::kFloat, settings);
  EXPECT_EQ(model.quantized.size(), static_cast<size_t>(7 * oracle.shape.num_layers));
  EXPECT_EQ(model.quantized.size() + model.dense.size(), weights.size());
  for (const auto& [id, weight] : model.quantized) {
    EXPECT_TRUE(at::equal(weight->open(), ops::QuantizedWeight::quantize(weights.at(id), settings).open()))
        << hf_name(id);
  }
  for (const auto& [id, tensor] : model.dense) EXPECT_TRUE(at::equal(tensor, weights.at(id))) << hf_name(id);

  const QuantizedModel in_memory = quantize_model(weights, settings);
  EXPECT_EQ(in_memory.dense.size(), model.dense.size());
  for (const auto& [id, weight] : in_memory.quantized) {
    EXPECT_TRUE(at::equal(weight->open(), model.quantized.at(id)->open())) << hf_name(id);
  }
}

}  // namespace
}  // namespace lathe
