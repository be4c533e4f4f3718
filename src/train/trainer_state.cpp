#include "train/trainer_state.h"

#include <fmt/format.h>
#include <lathe/error.h>

namespace lathe {
namespace {

template <typename T>
Json optional_json(const std::optional<T>& value) {
  return value ? Json(*value) : Json(nullptr);
}

template <typename T>
void read(const Json& json, const char* key, T& out) {
  if (json.contains(key) && !json[key].is_null()) out = json[key].get<T>();
}

template <typename T>
void read(const Json& json, const char* key, std::optional<T>& out) {
  if (json.contains(key) && !json[key].is_null()) out = json[key].get<T>();
}

/// Runs f; a value of an unexpected type becomes an error that names the file.
template <typename F>
auto checked(const std::string& file, F f) {
  try {
    return f();
  } catch (const nlohmann::json::exception& error) {
    throw Error(ErrorKind::kData, fmt::format("not the state of a run: {}", error.what()), {.file = file});
  }
}

}  // namespace

Json to_json(const TrainerState& state) {
  // In alphabetical order, as transformers writes them.
  return Json{{"best_global_step", optional_json(state.best_global_step)},
              {"best_metric", optional_json(state.best_metric)},
              {"best_model_checkpoint", optional_json(state.best_model_checkpoint)},
              {"epoch", state.epoch},
              {"eval_steps", state.eval_steps},
              {"global_step", state.global_step},
              {"is_hyper_param_search", false},
              {"is_local_process_zero", true},
              {"is_world_process_zero", true},
              {"log_history", state.log_history},
              {"logging_steps", state.logging_steps},
              {"max_steps", state.max_steps},
              {"num_input_tokens_seen", state.num_input_tokens_seen},
              {"num_train_epochs", state.num_train_epochs},
              {"save_steps", state.save_steps},
              {"stateful_callbacks", Json::object()},
              {"total_flos", state.total_flos},
              {"train_batch_size", state.train_batch_size},
              {"trial_name", nullptr},
              {"trial_params", nullptr}};
}

TrainerState read_trainer_state(const std::string& path) {
  const Json json = read_json_file(path);
  return checked(path, [&] {
    TrainerState state;
    read(json, "epoch", state.epoch);
    read(json, "global_step", state.global_step);
    read(json, "max_steps", state.max_steps);
    read(json, "logging_steps", state.logging_steps);
    read(json, "eval_steps", state.eval_steps);
    read(json, "save_steps", state.save_steps);
    read(json, "train_batch_size", state.train_batch_size);
    read(json, "num_train_epochs", state.num_train_epochs);
    read(json, "num_input_tokens_seen", state.num_input_tokens_seen);
    read(json, "total_flos", state.total_flos);
    if (json.contains("log_history")) state.log_history = json["log_history"];
    read(json, "best_metric", state.best_metric);
    read(json, "best_global_step", state.best_global_step);
    read(json, "best_model_checkpoint", state.best_model_checkpoint);
    return state;
  });
}

Json to_json(const RunTotals& totals) {
  return Json{{"loss_since_log", totals.loss_since_log},
              {"loss", totals.loss},
              {"last_logged_step", totals.last_logged_step},
              {"tokens", totals.tokens},
              {"trained_tokens", totals.trained_tokens},
              {"rows", totals.rows},
              {"evaluations_without_gain", totals.evaluations_without_gain},
              {"skipped_steps", totals.skipped_steps},
              {"plateau", totals.plateau},
              {"loss_scaler", totals.loss_scaler},
              {"runtime_s", totals.runtime_s},
              {"evaluation_pending", totals.evaluation_pending}};
}

RunTotals parse_run_totals(const Json& json, const std::string& file) {
  return checked(file, [&] {
    RunTotals totals;
    read(json, "loss_since_log", totals.loss_since_log);
    read(json, "loss", totals.loss);
    read(json, "last_logged_step", totals.last_logged_step);
    read(json, "tokens", totals.tokens);
    read(json, "trained_tokens", totals.trained_tokens);
    read(json, "rows", totals.rows);
    read(json, "evaluations_without_gain", totals.evaluations_without_gain);
    read(json, "skipped_steps", totals.skipped_steps);
    if (json.contains("plateau")) totals.plateau = json["plateau"];
    if (json.contains("loss_scaler")) totals.loss_scaler = json["loss_scaler"];
    read(json, "runtime_s", totals.runtime_s);
    read(json, "evaluation_pending", totals.evaluation_pending);
    return totals;
  });
}

}  // namespace lathe
