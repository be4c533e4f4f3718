#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/progress.h"
#include "train/callbacks.h"
#include "train/clock.h"

namespace lathe {
namespace {

constexpr const char* kKept = "trainer_log_bytes";

/// One JSON object a line, keys as other tools of this kind write them, so that their readers work.
class LogFileCallback final : public TrainerCallback {
 public:
  LogFileCallback(const std::string& output_dir, const Json& kept)
      : path_(output_dir + "/trainer_log.jsonl"), file_(path_, kept.is_object() ? kept.value(kKept, int64_t{0}) : 0) {}

  void on_log(const RunView& run, const Json& logs) override {
    Json line = {{"current_steps", run.state.global_step}, {"total_steps", run.state.max_steps}};
    copy(logs, "loss", line, "loss");
    copy(logs, "eval_loss", line, "eval_loss");
    copy(logs, "train_loss", line, "train_loss");
    copy(logs, "grad_norm", line, "grad_norm");
    copy(logs, "learning_rate", line, "lr");
    copy(logs, "epoch", line, "epoch");
    const auto done = static_cast<double>(run.state.global_step), all = static_cast<double>(run.state.max_steps);
    line["percentage"] = rounded(all > 0 ? 100 * done / all : 100, 2);
    line["elapsed_time"] = format_duration(run.elapsed_s);
    line["remaining_time"] = format_duration(done > 0 ? run.elapsed_s / done * std::max(0.0, all - done) : 0);
    line["throughput"] = rounded(run.tokens_per_second, 2);
    line["total_tokens"] = run.totals.tokens;
    line["memory_bytes"] = run.memory_bytes;
    file_.append(dump_json(line) + "\n");
  }

  void save_state(Json& state, std::vector<std::string>& logs) override {
    state[kKept] = file_.size();
    logs.push_back(path_);
  }

 private:
  static void copy(const Json& from, const char* key, Json& to, const char* as) {
    if (from.contains(key)) to[as] = from[key];
  }

  std::string path_;
  AppendFile file_;
};

}  // namespace

std::unique_ptr<TrainerCallback> make_log_file_callback(const std::string& output_dir, const Json& kept) {
  return std::make_unique<LogFileCallback>(output_dir, kept);
}

}  // namespace lathe
