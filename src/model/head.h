#pragma once
// The head: final norm, output matrix and cross-entropy. Logits exist for a chunk of supervised tokens at a time and
// are overwritten by their own gradient (as in Liger Kernel, 2024, and Cut Cross-Entropy, Wijmans et al. 2024).
//
// T tokens, N supervised tokens, H hidden, V vocabulary.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <vector>

#include "model/projection.h"

namespace lathe {

class Head {
 public:
  Head(const BlockView& view, const PassContext& pass) : view_(view), pass_(pass) {}

  /// Sum of the loss over the targets that are not kIgnoreLabel.  @param hidden [T,H]  @param targets [T]
  [[nodiscard]] double evaluate(const at::Tensor& hidden, const std::vector<int32_t>& targets) const;
  /// The same, and hands over the gradients of norm and matrix (a tied one as kEmbedTokens), multiplied by loss_scale.
  /// @param dhidden out: [T,H]; null: nothing below the head trains
  [[nodiscard]] double forward_backward(const at::Tensor& hidden, const std::vector<int32_t>& targets,
                                        double loss_scale, at::Tensor* dhidden) const;
  /// [T,V] fp32, whole.
  [[nodiscard]] at::Tensor logits(const at::Tensor& hidden) const;

 private:
  struct Supervised {
    at::Tensor positions, labels;  // [N] int64
  };
  [[nodiscard]] Supervised supervised(const std::vector<int32_t>& targets) const;
  [[nodiscard]] ParameterId matrix_id() const;
  [[nodiscard]] int64_t chunk_tokens(int64_t count, bool matrix_trains) const;

  const BlockView& view_;
  const PassContext& pass_;
};

}  // namespace lathe
