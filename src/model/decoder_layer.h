#pragma once
// One decoder layer: forward and a backward that is called, not hidden. Eight lines each, by the same numbers.
//
// T tokens, H hidden, Q query heads, K kv heads, D head dim, I intermediate, R rank.
//
// Kept from forward to backward: x, the projected q, k, v (before their norms and rotation), the attention's output and
// log-sum-exp, the residual after attention, gate and up, and A dropout(x) of each adapter. Worked out again: both
// norms, q and k normalised and rotated, the attention's probabilities, silu(gate) · up, dropout masks. With
// gradient_checkpointing only x is kept and the rest is worked out again, bit for bit.
#include <ATen/core/Tensor.h>

#include <array>

#include "model/projection.h"

namespace lathe {

struct LayerSaved {
  at::Tensor x;                           ///< [T,H]
  at::Tensor q, k, v;                     ///< [T,Q,D], [T,K,D], [T,K,D]
  at::Tensor attention, lse;              ///< [T,Q·D], [T,Q]
  at::Tensor middle;                      ///< [T,H] x after attention
  at::Tensor gate, up;                    ///< [T,I]
  std::array<at::Tensor, kNumSites> a_x;  ///< [T,R] by site
};

/// Lives for one forward or backward of one layer, while its weights are acquired.
class DecoderLayer {
 public:
  DecoderLayer(const BlockView& view, int64_t index, const PassContext& pass);

  /// @param x [T,H] of the compute type  @param saved null: nothing is kept
  [[nodiscard]] at::Tensor forward(const at::Tensor& x, LayerSaved* saved) const;
  /// Hands the wanted gradients to the pass's sink. Reads and clears saved.
  /// @param want_dx something below this layer trains  @returns dx [T,H], undefined unless want_dx
  [[nodiscard]] at::Tensor backward(const at::Tensor& dy, LayerSaved& saved, bool want_dx) const;
  /// Whether any parameter of the layer wants a gradient.
  [[nodiscard]] bool trains() const;

 private:
  struct Needs;  // which gradients backward has to work out
  struct Keys {
    at::Tensor q, k;
  };
  [[nodiscard]] at::Tensor run(const at::Tensor& x, LayerSaved* saved) const;
  [[nodiscard]] Keys positioned(const at::Tensor& q, const at::Tensor& k) const;
  [[nodiscard]] at::Tensor normed(const at::Tensor& x, Site site, at::Tensor* rstd = nullptr) const;
  [[nodiscard]] at::Tensor heads_normed(const at::Tensor& x, Site site) const;
  [[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, at::Tensor* lse) const;
  [[nodiscard]] Needs needs(bool want_dx) const;
  [[nodiscard]] at::Tensor norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd, Site site,
                                         bool want_dx) const;
  [[nodiscard]] at::Tensor unposition(const at::Tensor& d, const at::Tensor& raw, Site norm) const;
  [[nodiscard]] at::Tensor mlp_backward(const at::Tensor& dy, LayerSaved& saved, const Needs& needs) const;
  [[nodiscard]] at::Tensor attention_backward(const at::Tensor& dmiddle, LayerSaved& saved, const Needs& needs) const;
  [[nodiscard]] bool wants(Site site) const;

  const BlockView& view_;
  BlockId block_;
  const PassContext& pass_;
  Projection q_, k_, v_, o_, gate_, up_, down_;
};

}  // namespace lathe
