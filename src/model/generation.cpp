#include "model/generation.h"

#include <ATen/CPUGeneratorImpl.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <set>

#include "base/signals.h"
#include "model/kv_cache.h"
#include "model/sampling.h"

namespace lathe {
namespace {

void check_prompt(const std::vector<int32_t>& prompt, int64_t vocab_size) {
  if (prompt.empty()) throw Error(ErrorKind::kConfig, "the prompt is empty: there is nothing to go on from");
  const auto [lowest, highest] = std::minmax_element(prompt.begin(), prompt.end());
  if (*lowest >= 0 && *highest < vocab_size) return;
  throw Error(ErrorKind::kData,
              fmt::format("the tokenizer gives id {} but the model's vocabulary has {} entries",
                          *lowest < 0 ? *lowest : *highest, vocab_size),
              {}, "tokenizer and model do not belong together");
}

}  // namespace

std::vector<int32_t> generate(CausalLM& model, WeightSource& weights, const std::vector<int32_t>& prompt,
                              const GenerationConfig& config, const std::function<bool(int32_t)>& on_token) {
  check_generation_config(config);
  check_prompt(prompt, model.shape().vocab_size);
  const auto& ends = config.eos_token_ids;
  at::Generator generator = at::detail::createCPUGenerator(config.seed);
  KeyValueCache cache(model.shape(), static_cast<int64_t>(prompt.size()) + config.max_new_tokens,
                      model.options().compute_dtype, model.options().device);
  std::set<int32_t> seen(prompt.begin(), prompt.end());
  std::vector<int32_t> answer, next = prompt;
  while (static_cast<int64_t>(answer.size()) < config.max_new_tokens) {
    throw_if_stopped();
    const at::Tensor scores = process_logits(model.next_logits(next, cache, weights), seen, config);
    const int32_t id = choose_token(scores, config, generator);
    answer.push_back(id);
    seen.insert(id);
    next = {id};
    if (on_token && !on_token(id)) break;
    if (std::find(ends.begin(), ends.end(), id) != ends.end()) break;
  }
  return answer;
}

}  // namespace lathe
