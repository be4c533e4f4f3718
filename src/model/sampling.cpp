#include "model/sampling.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace lathe {
namespace {

constexpr float kRemoved = -std::numeric_limits<float>::infinity();

void penalise_repetition(at::Tensor& scores, const std::set<int32_t>& seen, double penalty) {
  auto* values = scores.mutable_data_ptr<float>();
  const auto factor = static_cast<float>(penalty);
  for (const int32_t id : seen) {
    if (id < 0 || id >= scores.numel()) continue;
    values[id] = values[id] < 0 ? values[id] * factor : values[id] / factor;
  }
}

at::Tensor keep_top_k(const at::Tensor& scores, int64_t top_k) {
  const int64_t k = std::min(top_k, scores.numel());
  const at::Tensor smallest_kept = std::get<0>(at::topk(scores, k)).select(0, k - 1);
  return scores.masked_fill(scores < smallest_kept, kRemoved);
}

// The smallest set of ids whose probabilities add up to top_p or more; always at least the likeliest one.
at::Tensor keep_top_p(const at::Tensor& scores, double top_p) {
  const auto [sorted, order] = at::sort(scores, /*dim=*/-1, /*descending=*/false);
  at::Tensor removed = at::softmax(sorted, -1).cumsum(-1) <= 1 - top_p;
  removed.select(0, removed.numel() - 1).fill_(false);
  return scores.masked_fill(at::empty_like(removed).scatter_(0, order, removed), kRemoved);
}

void require(bool holds, const char* key, const char* range, double value) {
  if (!holds) throw Error(ErrorKind::kConfig, fmt::format("'{}' must be {}, not {}", key, range, value), {.key = key});
}

}  // namespace

at::Tensor process_logits(const at::Tensor& logits, const std::set<int32_t>& seen, const GenerationConfig& config) {
  at::Tensor scores = logits.to(at::kFloat).contiguous();
  if (config.repetition_penalty != 1) {
    scores = scores.clone();
    penalise_repetition(scores, seen, config.repetition_penalty);
  }
  if (config.temperature <= 0) return scores;
  if (config.temperature != 1) scores = scores / config.temperature;
  if (config.top_k > 0) scores = keep_top_k(scores, config.top_k);
  if (config.top_p < 1) scores = keep_top_p(scores, config.top_p);
  return scores;
}

int32_t choose_token(const at::Tensor& scores, const GenerationConfig& config, at::Generator& generator) {
  const at::Tensor chosen = config.temperature > 0
                                ? at::multinomial(at::softmax(scores, -1), 1, /*replacement=*/false, generator)
                                : at::argmax(scores, -1);
  return static_cast<int32_t>(chosen.item<int64_t>());
}

void check_generation_config(const GenerationConfig& config) {
  require(config.max_new_tokens > 0, "max_new_tokens", "greater than 0", static_cast<double>(config.max_new_tokens));
  require(config.temperature >= 0 && std::isfinite(config.temperature), "temperature", "0 or greater",
          config.temperature);
  require(config.top_p >= 0 && config.top_p <= 1, "top_p", "between 0 and 1", config.top_p);
  require(config.top_k >= 0, "top_k", "0 (off) or greater", static_cast<double>(config.top_k));
  require(config.repetition_penalty > 0 && std::isfinite(config.repetition_penalty), "repetition_penalty",
          "greater than 0", config.repetition_penalty);
}

}  // namespace lathe
