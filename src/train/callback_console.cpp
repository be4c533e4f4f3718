#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/log.h"
#include "base/memory_ledger.h"
#include "base/progress.h"
#include "config/training_arguments.h"
#include "train/callbacks.h"

namespace lathe {
namespace {

class ConsoleCallback final : public TrainerCallback {
 public:
  void on_train_begin(const RunView& run) override {
    bar_ = std::make_unique<ProgressBar>("train", run.state.max_steps, run.first_step, !run.args.disable_tqdm);
  }

  void on_step_end(const RunView& run) override {
    if (bar_) bar_->update(run.state.global_step, status(run));
  }

  void on_log(const RunView& run, const Json& logs) override {
    Json shown = logs;
    shown.erase("total_flos");
    if (logs.contains("loss")) {
      log::info("{} {} tokens/s, peak memory {}", format_logs(shown),
                with_commas(static_cast<int64_t>(run.tokens_per_second)), format_bytes(run.memory_bytes));
    } else {
      log::info("{}", format_logs(shown));
    }
  }

  void on_evaluate_begin(const RunView& run, int64_t num_batches) override {
    evaluated_ = 0;
    eval_bar_ = std::make_unique<ProgressBar>("eval", num_batches, 0, !run.args.disable_tqdm);
  }

  void on_prediction_step(const RunView&) override {
    if (eval_bar_) eval_bar_->update(++evaluated_, "");
  }

  void on_evaluate(const RunView&, const Json&) override { eval_bar_.reset(); }
  void on_save(const RunView&, const std::string& folder) override { log::info("Saved {}", folder); }

  void on_train_end(const RunView&) override {
    eval_bar_.reset();
    if (bar_) bar_->finish();
    bar_.reset();
  }

 private:
  static std::string status(const RunView& run) {
    return fmt::format("loss {:.4g}, {} tokens/s, {}", run.loss,
                       with_commas(static_cast<int64_t>(run.tokens_per_second)), format_bytes(run.memory_bytes));
  }

  std::unique_ptr<ProgressBar> bar_, eval_bar_;
  int64_t evaluated_ = 0;
};

}  // namespace

std::string with_commas(int64_t value) {
  const std::string digits = std::to_string(value);
  std::string out;
  for (size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && digits[i - 1] != '-' && (digits.size() - i) % 3 == 0) out.push_back(',');
    out.push_back(digits[i]);
  }
  return out;
}

std::string format_logs(const Json& logs) {
  std::string out = "{";
  for (const auto& [key, value] : logs.items()) {
    if (out.size() > 1) out += ", ";
    out += fmt::format("'{}': ", key);
    out += value.is_number_float() ? fmt::format("{:.4g}", value.get<double>()) : value.dump();
  }
  return out + "}";
}

std::unique_ptr<TrainerCallback> make_console_callback() {
  return std::make_unique<ConsoleCallback>();
}

}  // namespace lathe
