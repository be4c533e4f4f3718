#include "model/decoder_layer.h"

#include <ATen/ATen.h>

#include "ops/check.h"
#include "ops/rms_norm.h"
#include "ops/swiglu.h"

namespace lathe {
namespace {

AdapterSaved* slot(LayerSaved* saved, Site site) {
  return saved == nullptr ? nullptr : &saved->adapters[static_cast<size_t>(site)];
}

}  // namespace

// Each needs what the ones below it in the layer need: gradients flow from `gate_up` down to `dx`.
struct DecoderLayer::Needs {
  bool dx = false;         // d x
  bool projected = false;  // d q, d k, d v: the attention's own backward
  bool middle = false;     // d middle, the residual after attention
  bool gate_up = false;    // d gate, d up
};

DecoderLayer::DecoderLayer(const BlockView& view, int64_t index, const PassContext& pass)
    : view_(view),
      block_(BlockId::decoder(index)),
      pass_(pass),
      outputs_(index + 1 == pass.shape.num_layers ? pass.head_tokens : nullptr),
      q_(view, block_, Site::kQ, pass),
      k_(view, block_, Site::kK, pass),
      v_(view, block_, Site::kV, pass),
      o_(view, block_, Site::kO, pass),
      gate_(view, block_, Site::kGate, pass),
      up_(view, block_, Site::kUp, pass),
      down_(view, block_, Site::kDown, pass) {}

bool DecoderLayer::wants(Site site) const {
  return pass_.gradients != nullptr && pass_.gradients->wants({block_, site, Part::kWeight});
}

bool DecoderLayer::trains() const {
  return needs(false).gate_up || down_.trains();
}

DecoderLayer::Needs DecoderLayer::needs(bool want_dx) const {
  Needs needs;
  needs.dx = want_dx || wants(Site::kInputNorm);
  needs.projected = needs.dx || q_.trains() || k_.trains() || v_.trains() || wants(Site::kQNorm) || wants(Site::kKNorm);
  needs.middle = needs.projected || o_.trains();
  needs.gate_up = needs.middle || wants(Site::kPostNorm) || gate_.trains() || up_.trains();
  return needs;
}

at::Tensor DecoderLayer::normed(const at::Tensor& x, Site site, at::Tensor* rstd) const {
  return ops::rms_norm(x, view_.get(site), pass_.shape.rms_norm_eps, rstd);
}

at::Tensor DecoderLayer::heads_normed(const at::Tensor& x, Site site) const {
  if (!pass_.shape.qk_norm) return x;
  return normed(x.view({-1, pass_.shape.head_dim}), site).view(x.sizes());
}

at::Tensor DecoderLayer::picked(const at::Tensor& x) const {
  return outputs_ == nullptr ? x : x.index_select(0, outputs_->positions);
}

void DecoderLayer::add_to_picked(at::Tensor& x, const at::Tensor& rows) const {
  if (outputs_ == nullptr) {
    x.add_(rows);
  } else {
    x.index_add_(0, outputs_->positions, rows);
  }
}

ops::RotaryTable DecoderLayer::query_rotary() const {
  return {picked(pass_.rotary.cos), picked(pass_.rotary.sin)};
}

const std::vector<ops::AttentionRow>& DecoderLayer::attention_rows() const {
  return outputs_ == nullptr ? pass_.rows : outputs_->rows;
}

DecoderLayer::Keys DecoderLayer::positioned(const at::Tensor& q, const at::Tensor& k) const {
  return {ops::rotary(heads_normed(q, Site::kQNorm), query_rotary()),
          ops::rotary(heads_normed(k, Site::kKNorm), pass_.rotary)};
}

at::Tensor DecoderLayer::attend(const at::Tensor& q, const at::Tensor& k, const at::Tensor& v, at::Tensor* lse) const {
  at::Tensor out;
  if (pass_.cache == nullptr) {
    out = ops::attention(q, k, v, attention_rows(), lse);
  } else {
    const auto [keys, values] = pass_.cache->append(block_.layer, k, v);
    out = ops::attention(q, keys, values, attention_rows(), lse);
  }
  return out.view({q.size(0), -1});
}

at::Tensor DecoderLayer::forward(const at::Tensor& x, LayerSaved* saved) const {
  LATHE_EXPECT(x, ({ops::kAny, pass_.shape.hidden_size}), pass_.options.compute_dtype);
  if (saved == nullptr) return run(x, nullptr);
  saved->x = x;
  at::Tensor y = run(x, pass_.options.recompute == Recompute::kLayer ? nullptr : saved);
  share_norms(*saved);
  return y;
}

void DecoderLayer::share_norms(LayerSaved& saved) const {
  const std::pair<const Projection&, Site> projections[] = {{q_, Site::kQ},      {k_, Site::kK},       {v_, Site::kV},
                                                            {o_, Site::kO},      {gate_, Site::kGate}, {up_, Site::kUp},
                                                            {down_, Site::kDown}};
  for (const auto& [projection, site] : projections) projection.share_norms(saved.norms[static_cast<size_t>(site)]);
}

at::Tensor DecoderLayer::run(const at::Tensor& x, LayerSaved* saved) const {
  const auto kept_unless = [&](Recompute part) { return pass_.options.recompute == part ? nullptr : saved; };
  LayerSaved* const attention_saved = kept_unless(Recompute::kAttention);
  const at::Tensor attention = attended(projected(x, attention_saved), attention_saved);   // 1 to 4
  const at::Tensor middle = o_.forward(attention, slot(saved, Site::kO)).add_(picked(x));  // 5
  if (saved != nullptr) saved->middle = middle;
  const GateUp inner = gate_up(middle, kept_unless(Recompute::kMlp));                              // 6 and 7
  return down_.forward(ops::swiglu(inner.gate, inner.up), slot(saved, Site::kDown)).add_(middle);  // 8
}

DecoderLayer::Projected DecoderLayer::projected(const at::Tensor& x, LayerSaved* saved) const {
  const int64_t tokens = x.size(0), dim = pass_.shape.head_dim;
  const at::Tensor input = normed(x, Site::kInputNorm);                                                    // 1
  at::Tensor q = q_.forward(picked(input), slot(saved, Site::kQ)).view({-1, pass_.shape.num_heads, dim});  // 2
  at::Tensor k = k_.forward(input, slot(saved, Site::kK)).view({tokens, -1, dim});
  at::Tensor v = v_.forward(input, slot(saved, Site::kV)).view({tokens, -1, dim});
  if (saved != nullptr) saved->q = q, saved->k = k, saved->v = v;
  return {std::move(q), std::move(k), std::move(v)};
}

at::Tensor DecoderLayer::attended(const Projected& projected, LayerSaved* saved) const {
  const Keys at = positioned(projected.q, projected.k);                                              // 3
  at::Tensor attention = attend(at.q, at.k, projected.v, saved == nullptr ? nullptr : &saved->lse);  // 4
  if (saved != nullptr) saved->attention = attention;
  return attention;
}

DecoderLayer::GateUp DecoderLayer::gate_up(const at::Tensor& middle, LayerSaved* saved) const {
  const at::Tensor inner = normed(middle, Site::kPostNorm);          // 6
  at::Tensor gate = gate_.forward(inner, slot(saved, Site::kGate));  // 7
  at::Tensor up = up_.forward(inner, slot(saved, Site::kUp));
  if (saved != nullptr) saved->gate = gate, saved->up = up;
  return {std::move(gate), std::move(up)};
}

at::Tensor DecoderLayer::backward(const at::Tensor& dy, LayerSaved& saved, bool want_dx) const {
  LATHE_EXPECT(dy, ({outputs_ == nullptr ? saved.x.size(0) : outputs_->positions.size(0), pass_.shape.hidden_size}),
               pass_.options.compute_dtype);
  const Needs needs = this->needs(want_dx);
  share_norms(saved);
  if (pass_.options.recompute == Recompute::kLayer) (void)run(saved.x, &saved);
  const at::Tensor dmiddle = mlp_backward(dy, saved, needs);
  at::Tensor dx = needs.middle ? attention_backward(dmiddle, saved, needs) : at::Tensor();
  saved = {};
  return dx;
}

at::Tensor DecoderLayer::mlp_backward(const at::Tensor& dy, LayerSaved& saved, const Needs& needs) const {
  const auto adapter = [&](Site site) -> const AdapterSaved& { return saved.adapters[static_cast<size_t>(site)]; };
  if (!saved.gate.defined()) (void)gate_up(saved.middle, &saved);
  const at::Tensor da_down = down_.low_rank_gradient(dy);
  if (!needs.gate_up) {
    const at::Tensor activated = down_.needs_input() ? ops::swiglu(saved.gate, saved.up) : at::Tensor();
    down_.parameter_gradients(dy, activated, adapter(Site::kDown), da_down);
    return {};
  }
  // Gate and up have no reader after this, so their gradients take their place, and that of silu(gate) · up its value.
  at::Tensor activated, &dgate = saved.gate, &dup = saved.up;
  down_.input_gradient(dy, da_down, activated);  // 8
  ops::swiglu_backward_(activated, dgate, dup);
  down_.parameter_gradients(dy, activated, adapter(Site::kDown), da_down);
  activated.reset();
  at::Tensor dinner, rstd;
  const at::Tensor inner = normed(saved.middle, Site::kPostNorm, &rstd);
  at::Tensor* into = needs.middle || wants(Site::kPostNorm) ? &dinner : nullptr;
  gate_.backward(dgate, inner, adapter(Site::kGate), into);  // 7
  up_.backward(dup, inner, adapter(Site::kUp), into);
  saved.gate.reset(), saved.up.reset();
  if (into == nullptr) return {};
  at::Tensor dmiddle = norm_backward(dinner, saved.middle, rstd, Site::kPostNorm, needs.middle);  // 6
  return needs.middle ? dmiddle.add_(dy) : at::Tensor();
}

at::Tensor DecoderLayer::attention_backward(const at::Tensor& dmiddle, LayerSaved& saved, const Needs& needs) const {
  const auto adapter = [&](Site site) -> const AdapterSaved& { return saved.adapters[static_cast<size_t>(site)]; };
  const int64_t tokens = saved.x.size(0), outputs = dmiddle.size(0);
  if (!saved.q.defined()) (void)attended(projected(saved.x, &saved), &saved);
  at::Tensor dattention, dinput, dq_input, rstd;
  o_.backward(dmiddle, saved.attention, adapter(Site::kO), needs.projected ? &dattention : nullptr);  // 5
  if (!needs.projected) return {};
  const Keys at = positioned(saved.q, saved.k);
  const at::Tensor result = saved.attention.view(saved.q.sizes());
  const auto [dq, dk, dv] = ops::attention_backward(dattention.view(saved.q.sizes()),
                                                    {at.q, at.k, saved.v, result, saved.lse}, attention_rows());  // 4
  const at::Tensor dq_raw = unposition(dq, saved.q, Site::kQNorm, query_rotary()).view({outputs, -1});            // 3
  const at::Tensor dk_raw = unposition(dk, saved.k, Site::kKNorm, pass_.rotary).view({tokens, -1});
  const at::Tensor input = normed(saved.x, Site::kInputNorm, &rstd);
  // Where all tokens are picked, one sum serves q, k and v.
  at::Tensor* into = needs.dx ? &dinput : nullptr;
  at::Tensor* q_into = needs.dx && outputs_ != nullptr ? &dq_input : into;
  q_.backward(dq_raw, picked(input), adapter(Site::kQ), q_into);  // 2
  k_.backward(dk_raw, input, adapter(Site::kK), into);
  v_.backward(dv.view({tokens, -1}), input, adapter(Site::kV), into);
  if (into == nullptr) return {};
  if (dq_input.defined()) add_to_picked(dinput, dq_input);
  at::Tensor dx = norm_backward(dinput, saved.x, rstd, Site::kInputNorm, true);
  add_to_picked(dx, dmiddle);  // 1
  return dx;
}

at::Tensor DecoderLayer::norm_backward(const at::Tensor& dy, const at::Tensor& x, const at::Tensor& rstd, Site site,
                                       bool want_dx) const {
  at::Tensor dweight;
  at::Tensor dx = ops::rms_norm_backward(dy, x, view_.get(site), rstd, wants(site) ? &dweight : nullptr, want_dx);
  if (dweight.defined()) {
    pass_.gradients->ready({block_, site, Part::kWeight}, dweight, pass_.last_micro_batch);
  }
  return dx;
}

at::Tensor DecoderLayer::unposition(const at::Tensor& d, const at::Tensor& raw, Site norm,
                                    const ops::RotaryTable& rotary) const {
  const at::Tensor unrotated = ops::rotary_backward(d, rotary);
  if (!pass_.shape.qk_norm) return unrotated;
  const at::Tensor rows = raw.view({-1, pass_.shape.head_dim});
  at::Tensor rstd;
  (void)normed(rows, norm, &rstd);
  return norm_backward(unrotated.view(rows.sizes()), rows, rstd, norm, true).view(raw.sizes());
}

}  // namespace lathe
