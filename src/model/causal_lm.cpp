#include "model/causal_lm.h"

#include <ATen/ATen.h>
#include <ATen/core/grad_mode.h>
#include <lathe/error.h>

#include "model/decoder_layer.h"
#include "model/head.h"
#include "model/neftune.h"
#include "model/rope.h"
#include "ops/check.h"
#include "ops/embedding_gradient.h"
#include "ops/profile.h"

namespace lathe {
namespace {

at::Tensor int_tensor(const std::vector<int32_t>& values, at::Device device) {
  at::Tensor tensor = at::empty({static_cast<int64_t>(values.size())}, at::dtype(at::kInt));
  std::copy(values.begin(), values.end(), tensor.mutable_data_ptr<int32_t>());
  return tensor.to(device);
}

std::vector<ops::AttentionRow> rows_of(const Batch& batch) {
  std::vector<ops::AttentionRow> rows;
  for (size_t row = 0; row + 1 < batch.cu_seqlens.size(); ++row) {
    const int64_t begin = batch.cu_seqlens[row], length = batch.cu_seqlens[row + 1] - begin;
    rows.push_back({begin, length, begin, length});
  }
  return rows;
}

// A block's weights for as long as this lives.
class Acquired {
 public:
  Acquired(WeightSource& weights, BlockId block) : weights_(weights), block_(block), view_(weights.acquire(block)) {}
  ~Acquired() { weights_.release(block_); }
  Acquired(const Acquired&) = delete;
  Acquired& operator=(const Acquired&) = delete;
  const BlockView& operator*() const { return view_; }

 private:
  WeightSource& weights_;
  BlockId block_;
  const BlockView& view_;
};

bool any_part_wanted(const GradientSink& gradients, BlockId block) {
  for (size_t site = 0; site < kNumSites; ++site) {
    for (size_t part = 0; part < kNumParts; ++part) {
      if (gradients.wants({block, static_cast<Site>(site), static_cast<Part>(part)})) return true;
    }
  }
  return false;
}

struct Kept final : SavedActivations {
  std::vector<LayerSaved> layers;
  at::Tensor
      dhidden;  // [N,H] of the head's tokens: the gradient at the last layer's output, already known from the head
  ops::RotaryTable rotary;
  HeadTokens head_tokens;
  int64_t lowest = 0;  // first layer that takes part in backward; -1: the embedding trains too
};

Kept& kept(SavedActivations& saved) {
  auto* const mine = dynamic_cast<Kept*>(&saved);
  LATHE_ASSERT(mine != nullptr);
  return *mine;
}

}  // namespace

std::unique_ptr<SavedActivations> make_saved_activations() {
  return std::make_unique<Kept>();
}

struct CausalLM::Impl {
  ModelShape shape;
  ModelOptions options;
  RopeFrequencies rope;

  PassContext pass(const std::vector<int32_t>& positions) const {
    return {.shape = shape,
            .options = options,
            .rotary = ops::rotary_table(int_tensor(positions, options.device), rope.inverse, rope.attention_factor,
                                        options.compute_dtype),
            .rows = {},
            .dropout = {}};
  }

  // -1: the embedding; num_layers: nothing below the head.
  int64_t lowest_trained(const GradientSink& gradients) const {
    if (gradients.wants(kTableId)) return -1;
    int64_t layer = 0;
    while (layer < shape.num_layers && !any_part_wanted(gradients, BlockId::decoder(layer))) ++layer;
    return layer;
  }

  at::Tensor embed(const std::vector<int32_t>& ids, WeightSource& weights) const {
    const Acquired block(weights, BlockId::embedding());
    const at::Tensor& table = (*block).get(Site::kEmbedTokens);
    LATHE_EXPECT(table, ({shape.vocab_size, shape.hidden_size}), options.compute_dtype);
    return table.index_select(0, int_tensor(ids, options.device));
  }

  // Hidden state [T,H] after the last layer; layers from `lowest` on keep what backward needs.
  at::Tensor run_layers(at::Tensor hidden, WeightSource& weights, const PassContext& pass,
                        std::vector<LayerSaved>* saved, int64_t lowest) const {
    for (int64_t layer = 0; layer < shape.num_layers; ++layer) {
      weights.prefetch(layer + 1 < shape.num_layers ? BlockId::decoder(layer + 1) : BlockId::head());
      const Acquired block(weights, BlockId::decoder(layer));
      LayerSaved* keep = saved != nullptr && layer >= lowest ? &(*saved)[static_cast<size_t>(layer)] : nullptr;
      const ops::ProfileScope profiled(ops::ProfileKind::kPhase, "forward of layer", layer);
      hidden = DecoderLayer(*block, layer, pass).forward(hidden, keep);
    }
    return hidden;
  }
};

CausalLM::CausalLM(ModelShape shape, ModelOptions options) {
  LATHE_ASSERT(options.compute_dtype == at::kFloat || options.compute_dtype == at::kBFloat16 ||
               options.compute_dtype == at::kHalf);
  LATHE_ASSERT(options.loss_chunk_tokens > 0);
  RopeFrequencies rope = rope_frequencies(shape);
  rope.inverse = rope.inverse.to(options.device);
  impl_ = std::make_unique<Impl>(Impl{std::move(shape), options, std::move(rope)});
}

CausalLM::~CausalLM() = default;

double CausalLM::forward(const Batch& batch, WeightSource& weights, GradientSink* gradients, SavedActivations& saved,
                         double loss_scale, bool last_micro_batch, const DropoutKey& dropout) {
  const at::NoGradGuard no_grad;
  PassContext pass = impl_->pass(batch.positions);
  pass.rows = rows_of(batch);
  pass.gradients = gradients;
  pass.last_micro_batch = last_micro_batch;
  pass.dropout = dropout;
  const HeadTokens outputs = head_tokens(batch);
  pass.head_tokens = &outputs;
  at::Tensor hidden = impl_->embed(batch.input_ids, weights);
  if (gradients == nullptr) {
    hidden = impl_->run_layers(std::move(hidden), weights, pass, nullptr, 0);
    const Acquired head(weights, BlockId::head());
    return Head(*head, pass).evaluate(hidden, outputs.targets);
  }
  if (impl_->options.neftune_noise_alpha > 0) {
    add_neftune_noise(hidden, impl_->options.neftune_noise_alpha, batch.longest_row(), dropout);
  }
  Kept& keep = kept(saved);
  keep = {};
  keep.lowest = impl_->lowest_trained(*gradients);
  keep.rotary = pass.rotary;
  keep.head_tokens = outputs;
  keep.layers.resize(static_cast<size_t>(impl_->shape.num_layers));
  hidden = impl_->run_layers(std::move(hidden), weights, pass, &keep.layers, keep.lowest);
  const Acquired head(weights, BlockId::head());
  const bool want_dhidden = keep.lowest < impl_->shape.num_layers;
  const ops::ProfileScope profiled(ops::ProfileKind::kPhase, "head, forward and backward");
  return Head(*head, pass)
      .forward_backward(hidden, outputs.targets, loss_scale, want_dhidden ? &keep.dhidden : nullptr);
}

void CausalLM::backward(const Batch& batch, WeightSource& weights, GradientSink& gradients, SavedActivations& saved,
                        bool last_micro_batch, const DropoutKey& dropout) {
  const at::NoGradGuard no_grad;
  Kept& keep = kept(saved);
  const PassContext pass{.shape = impl_->shape,
                         .options = impl_->options,
                         .rotary = keep.rotary,
                         .rows = rows_of(batch),
                         .dropout = dropout,
                         .gradients = &gradients,
                         .last_micro_batch = last_micro_batch,
                         .head_tokens = &keep.head_tokens};
  at::Tensor dhidden = std::move(keep.dhidden);
  for (int64_t layer = impl_->shape.num_layers - 1; layer >= std::max<int64_t>(keep.lowest, 0); --layer) {
    if (layer > std::max<int64_t>(keep.lowest, 0)) weights.prefetch(BlockId::decoder(layer - 1));
    const Acquired block(weights, BlockId::decoder(layer));
    const ops::ProfileScope profiled(ops::ProfileKind::kPhase, "backward of layer", layer);
    dhidden = DecoderLayer(*block, layer, pass)
                  .backward(dhidden, keep.layers[static_cast<size_t>(layer)], layer > keep.lowest);
  }
  if (keep.lowest < 0) {
    const GradientPlace place = gradients.borrow(kTableId);
    ops::embedding_gradient(int_tensor(batch.input_ids, dhidden.device()), dhidden, place.tensor, !place.fresh);
    gradients.written(kTableId, last_micro_batch);
  }
  keep = {};
}

at::Tensor CausalLM::logits(const Batch& batch, WeightSource& weights) {
  const at::NoGradGuard no_grad;
  PassContext pass = impl_->pass(batch.positions);
  pass.rows = rows_of(batch);
  const at::Tensor hidden = impl_->run_layers(impl_->embed(batch.input_ids, weights), weights, pass, nullptr, 0);
  const Acquired head(weights, BlockId::head());
  return Head(*head, pass).logits(hidden).cpu();
}

at::Tensor CausalLM::next_logits(const std::vector<int32_t>& ids, KeyValueCache& cache, WeightSource& weights) {
  const at::NoGradGuard no_grad;
  const auto count = static_cast<int64_t>(ids.size());
  LATHE_ASSERT(count > 0);
  std::vector<int32_t> positions(ids.size());
  for (size_t i = 0; i < positions.size(); ++i)
    positions[i] = static_cast<int32_t>(cache.length()) + static_cast<int32_t>(i);
  PassContext pass = impl_->pass(positions);
  pass.rows = {{0, count, 0, cache.length() + count}};
  pass.cache = &cache;
  const at::Tensor hidden = impl_->run_layers(impl_->embed(ids, weights), weights, pass, nullptr, 0);
  cache.advance(count);
  const Acquired head(weights, BlockId::head());
  return Head(*head, pass).logits(hidden.narrow(0, count - 1, 1)).squeeze(0).cpu();
}

const ModelShape& CausalLM::shape() const {
  return impl_->shape;
}
const ModelOptions& CausalLM::options() const {
  return impl_->options;
}

}  // namespace lathe
