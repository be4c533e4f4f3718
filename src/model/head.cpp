#include "model/head.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

#include <algorithm>

#include "ops/check.h"
#include "ops/cross_entropy.h"
#include "ops/linear.h"
#include "ops/product.h"
#include "ops/rms_norm.h"

namespace lathe {
namespace {

constexpr int64_t kChunksInOne = 2;  // while the matrix trains

/// Rows of the next chunk. A rest of a few rows would read the whole matrix for little: it joins the chunk before it.
int64_t next_chunk(int64_t left, int64_t chunk) {
  return left <= chunk + chunk / 4 ? left : chunk;
}

/// While the matrix trains, each chunk passes over its whole gradient, and rounds it where it is bf16: fewer are better
/// then. Equal ones, because a pass for a few tokens costs nearly as much as one for many.
int64_t trained_chunk(int64_t count, int64_t chunk) {
  const int64_t most = chunk * kChunksInOne;
  const int64_t chunks = std::max<int64_t>(1, (count + most - 1) / most);
  return (count + chunks - 1) / chunks;
}

}  // namespace

Head::Supervised Head::supervised(const std::vector<int32_t>& targets) const {
  const auto count = std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t != kIgnoreLabel; });
  Supervised chosen{at::empty({count}, at::dtype(at::kLong)), at::empty({count}, at::dtype(at::kLong))};
  auto* position = chosen.positions.mutable_data_ptr<int64_t>();
  auto* label = chosen.labels.mutable_data_ptr<int64_t>();
  for (size_t i = 0; i < targets.size(); ++i) {
    if (targets[i] == kIgnoreLabel) continue;
    LATHE_ASSERT(targets[i] >= 0 && targets[i] < pass_.shape.vocab_size);
    *position++ = static_cast<int64_t>(i);
    *label++ = targets[i];
  }
  return {chosen.positions.to(pass_.options.device), chosen.labels.to(pass_.options.device)};
}

ParameterId Head::matrix_id() const {
  if (pass_.shape.tie_word_embeddings) return {BlockId::embedding(), Site::kEmbedTokens, Part::kWeight};
  return {BlockId::head(), Site::kLmHead, Part::kWeight};
}

at::Tensor Head::logits(const at::Tensor& hidden) const {
  const at::Tensor normed = ops::rms_norm(hidden, view_.get(Site::kFinalNorm), pass_.shape.rms_norm_eps, nullptr);
  return ops::linear(normed, view_.get(Site::kLmHead), {}).to(at::kFloat);
}

double Head::evaluate(const at::Tensor& hidden, const std::vector<int32_t>& targets) const {
  const Supervised chosen = supervised(targets);
  const int64_t count = chosen.labels.size(0), chunk = pass_.options.loss_chunk_tokens;
  const at::Tensor normed = ops::rms_norm(hidden.index_select(0, chosen.positions), view_.get(Site::kFinalNorm),
                                          pass_.shape.rms_norm_eps, nullptr);
  double loss = 0;
  for (int64_t begin = 0, n = 0; begin < count; begin += n) {
    n = next_chunk(count - begin, chunk);
    at::Tensor logits = ops::linear(normed.narrow(0, begin, n), view_.get(Site::kLmHead), {});
    loss += ops::cross_entropy(logits, chosen.labels.narrow(0, begin, n), pass_.options.label_smoothing, std::nullopt);
  }
  return loss;
}

double Head::forward_backward(const at::Tensor& hidden, const std::vector<int32_t>& targets, double loss_scale,
                              at::Tensor* dhidden) const {
  const Supervised chosen = supervised(targets);
  const int64_t count = chosen.labels.size(0);
  const at::Tensor& matrix = view_.get(Site::kLmHead);
  const ParameterId norm_id = {BlockId::head(), Site::kFinalNorm, Part::kWeight};
  const bool want_matrix = count > 0 && pass_.gradients->wants(matrix_id());
  const bool want_norm = pass_.gradients->wants(norm_id);
  const int64_t given = pass_.options.loss_chunk_tokens, chunk = want_matrix ? trained_chunk(count, given) : given;
  const bool want_dnormed = want_norm || dhidden != nullptr;
  const at::Tensor picked = hidden.index_select(0, chosen.positions);
  at::Tensor rstd, dnorm;
  const at::Tensor normed = ops::rms_norm(picked, view_.get(Site::kFinalNorm), pass_.shape.rms_norm_eps, &rstd);
  at::Tensor dnormed = want_dnormed ? at::empty_like(normed) : at::Tensor();
  const GradientPlace dmatrix = want_matrix ? pass_.gradients->borrow(matrix_id()) : GradientPlace();
  double loss = 0;
  for (int64_t begin = 0, n = 0; begin < count; begin += n) {
    n = want_matrix ? std::min(count - begin, chunk) : next_chunk(count - begin, chunk);
    const at::Tensor rows = normed.narrow(0, begin, n);
    at::Tensor logits = ops::linear(rows, matrix, {});
    loss += ops::cross_entropy(logits, chosen.labels.narrow(0, begin, n), pass_.options.label_smoothing, loss_scale);
    if (want_dnormed) {
      ops::product_into(dnormed.narrow(0, begin, n), logits, matrix, false);
    }
    if (want_matrix) ops::linear_weight_gradient(logits, rows, dmatrix.tensor, begin > 0 || !dmatrix.fresh);
  }
  if (want_matrix) pass_.gradients->written(matrix_id(), pass_.last_micro_batch);
  if (!want_dnormed) return loss;
  const at::Tensor dpicked = ops::rms_norm_backward(dnormed, picked, view_.get(Site::kFinalNorm), rstd,
                                                    want_norm ? &dnorm : nullptr, dhidden != nullptr);
  if (want_norm) pass_.gradients->ready(norm_id, dnorm, pass_.last_micro_batch);
  if (dhidden != nullptr) {
    *dhidden = at::zeros(hidden.sizes(), hidden.options()).index_copy_(0, chosen.positions, dpicked);
  }
  return loss;
}

}  // namespace lathe
