#pragma once
// Weights and gradients held in plain maps, and the stored models of transformers (tests/oracle/model_logits.py).
#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <map>
#include <set>
#include <string>
#include <vector>

#include "base/safetensors.h"
#include "config/model_shape.h"
#include "model/causal_lm.h"
#include "model/lora.h"
#include "model/model_files.h"
#include "model/tensor_file.h"

namespace lathe::testing {

/// Hands out a TensorMap's weights and adds gradients up.
class MapStore final : public WeightSource, public GradientSink {
 public:
  explicit MapStore(const ModelShape& shape) : tied_(shape.tie_word_embeddings) {}

  void add(const TensorMap& weights) {
    for (const auto& [id, tensor] : weights) blocks_[id.block].set(id.site, id.part, tensor);
    if (tied_) {
      blocks_[BlockId::head()].set(Site::kLmHead, Part::kWeight, blocks_[BlockId::embedding()].get(Site::kEmbedTokens));
    }
  }
  void train(const TensorMap& weights) {
    for (const auto& [id, tensor] : weights) wanted_.insert(id);
  }
  void want(const ParameterId& id) { wanted_.insert(id); }

  void prefetch(BlockId) override {}
  const BlockView& acquire(BlockId block) override {
    ++held_;
    return blocks_.at(block);
  }
  void release(BlockId) override { --held_; }
  bool wants(const ParameterId& id) const override { return wanted_.contains(id); }
  void ready(const ParameterId& id, const at::Tensor& contribution, bool) override {
    EXPECT_TRUE(wants(id)) << hf_name(id);
    ++contributions[id];
    at::Tensor& sum = gradients[id];
    sum = sum.defined() ? sum + contribution.to(at::kFloat) : contribution.to(at::kFloat).clone();
  }
  GradientPlace borrow(const ParameterId& id) override {
    at::Tensor& sum = gradients[id];
    const bool fresh = !sum.defined();
    if (fresh) sum = at::full_like(blocks_.at(id.block).get(id.site, id.part), NAN, at::dtype(at::kFloat));
    return {sum, fresh};
  }
  void written(const ParameterId& id, bool) override {
    EXPECT_TRUE(wants(id)) << hf_name(id);
    ++contributions[id];
  }
  int held() const { return held_; }

  TensorMap gradients;
  std::map<ParameterId, int> contributions;

 private:
  bool tied_;
  int held_ = 0;
  std::map<BlockId, BlockView> blocks_;
  std::set<ParameterId> wanted_;
};

/// A row of ids, labels not shifted.
struct Row {
  std::vector<int32_t> ids, labels;
};

inline Batch lay_out(const std::vector<Row>& rows) {
  Batch batch;
  batch.cu_seqlens = {0};
  for (size_t r = 0; r < rows.size(); ++r) {
    const Row& row = rows[r];
    for (size_t t = 0; t < row.ids.size(); ++t) {
      batch.input_ids.push_back(row.ids[t]);
      batch.targets.push_back(t + 1 < row.ids.size() ? row.labels[t + 1] : kIgnoreLabel);
      batch.positions.push_back(static_cast<int32_t>(t));
    }
    batch.cu_seqlens.push_back(static_cast<int32_t>(batch.input_ids.size()));
    batch.rows.push_back(static_cast<int64_t>(r));
  }
  return batch;
}

/// One stored model and what transformers and peft made of it.
struct Oracle {
  explicit Oracle(const std::string& name)
      : folder(std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/model/" + name),
        shape(read_model_shape(folder)),
        values(SafetensorsFile::open(folder + "/oracle.safetensors")) {
    for (int i = 0; values.tensors().contains("ids." + std::to_string(i)); ++i) {
      rows.push_back({ints("ids." + std::to_string(i)), ints("labels." + std::to_string(i))});
    }
  }
  at::Tensor get(const std::string& name) const { return map_tensor(values, values.tensors().at(name)); }
  double number(const std::string& name) const { return get(name).item<double>(); }
  /// All rows' logits laid end to end, [T,V].
  at::Tensor logits(const std::string& prefix) const {
    std::vector<at::Tensor> parts;
    for (size_t i = 0; i < rows.size(); ++i) parts.push_back(get(prefix + std::to_string(i)));
    return at::cat(parts);
  }
  TensorMap weights(at::ScalarType dtype = at::kFloat) const { return load_model_weights(folder, shape, dtype); }
  TensorMap adapter() const {
    TensorMap adapter;
    for (const auto& [name, entry] : values.tensors()) {
      if (!name.starts_with("lora.")) continue;
      adapter[parse_hf_name(name.substr(5)).value()] = map_tensor(values, entry);
    }
    return adapter;
  }

  std::string folder;
  ModelShape shape;
  SafetensorsFile values;
  std::vector<Row> rows;

 private:
  std::vector<int32_t> ints(const std::string& name) const {
    const at::Tensor tensor = get(name);
    return {tensor.const_data_ptr<int32_t>(), tensor.const_data_ptr<int32_t>() + tensor.numel()};
  }
};

inline constexpr const char* kModels[] = {"qwen2_tied", "qwen2_untied_yarn", "qwen3_tied", "qwen3_untied_bias"};

/// ‖ours − theirs‖ / ‖theirs‖.
inline double relative(const at::Tensor& ours, const at::Tensor& theirs) {
  return ((ours - theirs).norm() / theirs.norm().clamp_min(1e-30)).item<double>();
}
inline double max_abs(const at::Tensor& ours, const at::Tensor& theirs) {
  return (ours - theirs).abs().max().item<double>();
}

inline ModelOptions fp32_options() {
  return {.compute_dtype = at::kFloat, .loss_chunk_tokens = 7};
}
/// The stored adapters' settings: r 4, alpha 6.
inline ModelOptions lora_options(at::ScalarType dtype = at::kFloat) {
  return {.compute_dtype = dtype, .lora = {.r = 4, .scale = 1.5}, .loss_chunk_tokens = 7};
}

/// Forward and backward of one micro-batch. @returns the loss
inline double step(CausalLM& model, MapStore& store, const Batch& batch, const DropoutKey& dropout = {},
                   double loss_scale = 1) {
  const auto saved = make_saved_activations();
  const double loss = model.forward(batch, store, &store, *saved, loss_scale, true, dropout);
  model.backward(batch, store, store, *saved, true, dropout);
  EXPECT_EQ(store.held(), 0);
  return loss;
}

}  // namespace lathe::testing
