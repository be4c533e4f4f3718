#pragma once
// One decoder layer: forward and a backward that is called, not hidden. Eight lines each, by the same numbers.
//
// The last layer's output is worked out for the N tokens that the head reads alone (model/head_tokens.h); elsewhere N
// is T.
//
// T tokens, H hidden, Q query heads, K kv heads, D head dim, I intermediate, R rank.
//
// Kept from forward to backward: x, the projected q, k, v (before their norms and rotation), the attention's output and
// log-sum-exp, the residual after attention, gate and up, and A dropout(x) of each adapter (with DoRA what the adapted
// weight makes of dropout(x), too). Worked out again: both
// norms, q and k normalised and rotated, the attention's probabilities, silu(gate) · up, dropout masks. With
// ModelOptions::recompute gate and up, or q, k, v and the attention, or all but x are worked out again too, bit for
// bit.
#include <ATen/core/Tensor.h>

#include <array>

#include "model/projection.h"

namespace lathe {

struct LayerSaved {
  at::Tensor x;                                  ///< [T,H]
  at::Tensor q, k, v;                            ///< [N,Q,D], [T,K,D], [T,K,D]
  at::Tensor attention, lse;                     ///< [N,Q·D], [N,Q]
  at::Tensor middle;                             ///< [N,H] x after attention
  at::Tensor gate, up;                           ///< [N,I]
  std::array<AdapterSaved, kNumSites> adapters;  ///< by site; of N tokens but for k and v
  std::array<at::Tensor, kNumSites> norms;       ///< DoRA's, by site: not worked out again
};

/// Lives for one forward or backward of one layer, while its weights are acquired.
class DecoderLayer {
 public:
  DecoderLayer(const BlockView& view, int64_t index, const PassContext& pass);

  /// @param x [T,H] of the compute type  @param saved null: nothing is kept  @returns [N,H]
  [[nodiscard]] at::Tensor forward(const at::Tensor& x, LayerSaved* saved) const;
  /// Hands the wanted gradients to the pass's sink. Reads and clears saved.
  /// @param dy [N,H]  @param want_dx something below this layer trains  @returns dx [T,H], undefined unless want_dx
  [[nodiscard]] at::Tensor backward(const at::Tensor& dy, LayerSaved& saved, bool want_dx) const;
  /// Whether any parameter of the layer wants a gradient.
  [[nodiscard]] bool trains() const;

 private:
  struct Needs;  // which gradients backward has to work out
  struct Keys {
    at::Tensor q, k;
  };
  struct Projected {
    at::Tensor q, k, v;
  };
  struct GateUp {
    at::Tensor gate, up;
  };
  [[nodiscard]] at::Tensor run(const at::Tensor& x, LayerSaved* saved) const;
  [[nodiscard]] Projected projected(const at::Tensor& x, LayerSaved* saved) const;
  [[nodiscard]] at::Tensor attended(const Projected& projected, LayerSaved* saved) const;
  [[nodiscard]] GateUp gate_up(const at::Tensor& middle, LayerSaved* saved) const;
  [[nodiscard]] Keys positioned(const at::Tensor& q, const at::Tensor& k) const;
  [[nodiscard]] at::Tensor normed(const at::Tensor& x, Site site, at::Tensor* rstd = nullptr) const;
  [[nodiscard]] at::Tensor heads_normed(const at::Tensor& x, Site site) const;
  [[nodiscard]] at::Tensor attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, at::Tensor* lse) const;
  [[nodiscard]] Needs needs(bool want_dx) const;
  [[nodiscard]] at::Tensor norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd, Site site,
                                         bool want_dx) const;
  [[nodiscard]] at::Tensor unposition(const at::Tensor& d, const at::Tensor& raw, Site norm,
                                      const ops::RotaryTable& rotary) const;
  [[nodiscard]] at::Tensor mlp_backward(const at::Tensor& dy, LayerSaved& saved, const Needs& needs) const;
  [[nodiscard]] at::Tensor attention_backward(const at::Tensor& dmiddle, LayerSaved& saved, const Needs& needs) const;
  [[nodiscard]] bool wants(Site site) const;
  void share_norms(LayerSaved& saved) const;                        // Projection::share_norms of each
  [[nodiscard]] at::Tensor picked(const at::Tensor& x) const;       // [T,…] → [N,…]
  void add_to_picked(at::Tensor& x, const at::Tensor& rows) const;  // x [T,…] += rows [N,…]
  [[nodiscard]] ops::RotaryTable query_rotary() const;
  [[nodiscard]] const std::vector<ops::AttentionRow>& attention_rows() const;

  const BlockView& view_;
  BlockId block_;
  const PassContext& pass_;
  const HeadTokens* outputs_;  // the last layer's; null: all tokens
  Projection q_, k_, v_, o_, gate_, up_, down_;
};

}  // namespace lathe
