#include <fmt/format.h>
#include <unistd.h>

#include <ctime>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "config/config_file.h"
#include "config/training_arguments.h"
#include "train/callbacks.h"
#include "train/clock.h"
#include "train/output_folder.h"
#include "train/tensorboard.h"

namespace lathe {
namespace {

constexpr const char* kKept = "tensorboard";

/// "Nov24_03-43-10_host", torch's name for a run.
std::string run_name() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char date[32];
  std::strftime(date, sizeof(date), "%b%d_%H-%M-%S", &local);
  char host[256] = "localhost";
  gethostname(host, sizeof(host) - 1);
  return fmt::format("{}_{}", date, host);
}

class TensorBoardCallback final : public TrainerCallback {
 public:
  TensorBoardCallback(const TrainingArguments& args, const Json& kept) {
    const Json before = kept.is_object() ? kept.value(kKept, Json::object()) : Json::object();
    const std::string path = before.value("path", "");
    const std::string& place = args.logging_dir.empty() ? args.output_dir : args.logging_dir;
    if (!path.empty() && file_exists(path) && lies_in(path, place)) {  // another run's file is not written to
      writer_ = std::make_unique<EventWriter>(path, before.value("bytes", int64_t{0}));
      return;
    }
    const std::string folder = args.logging_dir.empty() ? args.output_dir + "/runs/" + run_name() : args.logging_dir;
    ensure_writable_directory(folder, "logging_dir");
    writer_ = std::make_unique<EventWriter>(folder, wall_time_s());
    writer_->add_text("args", to_json_text(args), 0, wall_time_s());
  }

  void on_log(const RunView& run, const Json& logs) override {
    for (const auto& [key, value] : logs.items()) {
      if (value.is_number()) {
        writer_->add_scalar(scalar_tag(key), value.get<double>(), run.state.global_step, wall_time_s());
      }
    }
  }

  void save_state(Json& state, std::vector<std::string>& logs) override {
    state[kKept] = {{"path", writer_->path()}, {"bytes", writer_->size()}};
    logs.push_back(writer_->path());
  }

 private:
  std::unique_ptr<EventWriter> writer_;
};

}  // namespace

std::string scalar_tag(const std::string& key) {
  if (key.starts_with("eval_")) return "eval/" + key.substr(5);
  if (key.starts_with("test_")) return "test/" + key.substr(5);
  return "train/" + key;
}

std::unique_ptr<TrainerCallback> make_tensorboard_callback(const TrainingArguments& args, const Json& kept) {
  return std::make_unique<TensorBoardCallback>(args, kept);
}

}  // namespace lathe
