#include "app/training_sample.h"

#include <algorithm>
#include <cctype>
#include <memory>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/inference.h"
#include "base/json.h"
#include "base/log.h"
#include "model/generation.h"

namespace lathe {
namespace {

constexpr int64_t kLongestAnswer = 64;

struct Question {
  std::vector<int32_t> prompt, expected;
};

// The row up to its first trained token, and the trained tokens of that turn.
Question question_of(const Sample& sample) {
  const auto is_trained = [](int32_t label) { return label != kIgnoreLabel; };
  const auto begin = std::find_if(sample.labels.begin(), sample.labels.end(), is_trained);
  const auto end = std::find_if_not(begin, sample.labels.end(), is_trained);
  const auto first = begin - sample.labels.begin();
  return {{sample.input_ids.begin(), sample.input_ids.begin() + first}, {begin, end}};
}

// Lines under one another, behind the names of what they are.
std::string indented(std::string text) {
  while (!text.empty() && std::isspace(static_cast<unsigned char>(text.back())) != 0) text.pop_back();
  for (size_t at = 0; (at = text.find('\n', at)) != std::string::npos; ++at) text.insert(at + 1, 12, ' ');
  return text;
}

}  // namespace

void show_answer(TrainingRun& run, std::string_view when) {
  const Dataset* held_out = run.eval_dataset();
  const Dataset& dataset = held_out != nullptr && !held_out->samples.empty() ? *held_out : run.train_dataset();
  const Question question = question_of(dataset.samples.at(0));
  if (question.prompt.empty()) return;  // a row of plain text asks nothing
  const std::shared_ptr<const Tokenizer> loaded = run.load_tokenizer();
  const Tokenizer& tokenizer = *loaded;
  GenerationConfig config{.max_new_tokens = kLongestAnswer};
  config.eos_token_ids = end_ids(run.model().shape(), tokenizer, tokenizer.directory());
  const std::vector<int32_t> answer = generate(run.model(), run.weights(), question.prompt, config);
  log::info("A sample {}\n  prompt:   {}\n  expected: {}\n  answer:   {}", when,
            indented(tokenizer.decode(question.prompt, true)), indented(tokenizer.decode(question.expected, true)),
            indented(tokenizer.decode(answer, true)));
}

void show_held_out_loss(const TrainingRun& run) {
  std::vector<double> losses;
  for (const Json& entry : run.state().log_history) {
    if (entry.contains("eval_loss")) losses.push_back(entry["eval_loss"].get<double>());
  }
  if (losses.size() < 2) return;
  const bool best_is_loaded =
      run.arguments().load_best_model_at_end && run.arguments().metric_for_best_model == "eval_loss";
  const double before = losses.front();
  const double after = best_is_loaded ? *std::min_element(losses.begin(), losses.end()) : losses.back();
  log::info("Held-out loss: {:.3f} before training, {:.3f} after ({:+.0f} %)", before, after,
            100 * (after - before) / before);
}

}  // namespace lathe
