#pragma once
// One linear projection of a layer, with the adapter beside it when it has one: y = x Wᵀ + b + scale · B A dropout(x),
// or what DoRA makes of it (model/dora.h).
//
// T tokens, I in features, O out features, R rank.
#include <ATen/core/Tensor.h>

#include <vector>

#include "model/causal_lm.h"
#include "model/head_tokens.h"
#include "ops/attention.h"
#include "ops/dropout.h"
#include "ops/rotary.h"

namespace lathe {

/// What all layers share in one pass over a batch.
struct PassContext {
  const ModelShape& shape;
  const ModelOptions& options;
  ops::RotaryTable rotary;
  std::vector<ops::AttentionRow> rows;
  DropoutKey dropout;
  GradientSink* gradients = nullptr;  ///< null: nothing is kept for backward
  bool last_micro_batch = true;
  KeyValueCache* cache = nullptr;           ///< generation: earlier keys and values
  const HeadTokens* head_tokens = nullptr;  ///< what the last layer works out; null: its output for all tokens
};

/// What an adapter keeps from forward to backward.
struct AdapterSaved {
  at::Tensor a_x;        ///< [T,R] = scale · A dropout(x); undefined without an adapter
  at::Tensor direction;  ///< DoRA: [T,O] = (W + scale · B A) dropout(x)
};

/// The scale multiplies what has R columns, A dropout(x) and its gradient, so that no copy of B is made; peft
/// multiplies the output.
class Projection {
 public:
  Projection(const BlockView& view, BlockId block, Site site, const PassContext& pass);

  /// @param x [T,I]  @param saved out: kept for backward; may be null
  [[nodiscard]] at::Tensor forward(const at::Tensor& x, AdapterSaved* saved) const;
  /// input_gradient (unless dx is null), then parameter_gradients.
  void backward(const at::Tensor& dy, const at::Tensor& x, const AdapterSaved& saved, at::Tensor* dx) const;
  /// dx += the input's gradient (set when undefined).
  /// @param da_x of low_rank_gradient
  void input_gradient(const at::Tensor& dy, const at::Tensor& da_x, at::Tensor& dx) const;
  /// Hands over the gradients that are wanted.
  /// @param x [T,I] as in forward; may be undefined when !needs_input()
  void parameter_gradients(const at::Tensor& dy, const at::Tensor& x, const AdapterSaved& saved,
                           const at::Tensor& da_x) const;
  /// [T,R]: the gradient of A dropout(x) (scale · dy B), which both of the above read; undefined without an adapter.
  [[nodiscard]] at::Tensor low_rank_gradient(const at::Tensor& dy) const;

  /// DoRA: the norms are worked out once for a forward and its backward. kept: set when undefined, else taken over.
  void share_norms(at::Tensor& kept) const;

  [[nodiscard]] bool trains() const;       ///< any of its parts wants a gradient
  [[nodiscard]] bool needs_input() const;  ///< backward reads x

 private:
  [[nodiscard]] bool wants(Part part) const;
  void give_product(Part part, const at::Tensor& dy, const at::Tensor& x) const;  ///< dyᵀ x is its gradient
  [[nodiscard]] at::Tensor scaled(at::Tensor low) const;
  [[nodiscard]] bool drops() const;
  [[nodiscard]] at::Tensor drop(const at::Tensor& x) const;
  // DoRA's own, in model/projection_dora.cpp.
  [[nodiscard]] at::Tensor dora_forward(const at::Tensor& x, AdapterSaved* saved) const;
  void dora_input_gradient(const at::Tensor& dy, const at::Tensor& da_x, at::Tensor& dx) const;
  [[nodiscard]] at::Tensor magnitude_gradient(const at::Tensor& dy, const at::Tensor& direction) const;
  [[nodiscard]] const at::Tensor& norms() const;         // [O] fp32
  [[nodiscard]] at::Tensor magnitude_over_norm() const;  // [O] fp32

  const PassContext& pass_;
  BlockId block_;
  Site site_;
  ops::WeightView weight_;
  const at::Tensor& bias_;
  at::Tensor a_, b_;             // undefined without an adapter
  const at::Tensor& magnitude_;  // [O] fp32; undefined without DoRA
  mutable at::Tensor norms_;
};

}  // namespace lathe
