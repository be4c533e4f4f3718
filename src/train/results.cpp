#include "train/results.h"

#include <ATen/ATen.h>
#include <ATen/Parallel.h>
#include <fmt/format.h>
#include <torch/version.h>

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/file.h"
#include "base/memory_ledger.h"
#include "config/config_file.h"
#include "ops/device.h"
#include "train/clock.h"
#include "train/report.h"

namespace lathe {
namespace {

template <typename Bytes>
Json by_class(Bytes bytes_of, int64_t total) {
  Json classes = Json::object();
  for (size_t i = 0; i < kNumMemoryClasses; ++i) {
    const auto memory_class = static_cast<MemoryClass>(i);
    classes[std::string(name(memory_class))] = bytes_of(memory_class);
  }
  classes["total"] = total;
  return Json{{"cpu", classes}};
}

Json data_counts(const DataReport& data) {
  return Json{{"rows_read", data.rows_read},
              {"rows_kept", data.rows_kept},
              {"rows_held_out", data.rows_held_out},
              {"rows_skipped", data.rows_skipped},
              {"rows_truncated", data.rows_truncated},
              {"rows_dropped", data.rows_dropped},
              {"rows_duplicated", data.rows_duplicated},
              {"rows_without_labels", data.rows_without_labels},
              {"tokens", data.tokens},
              {"trained_tokens", data.trained_tokens},
              {"tokens_cut", data.tokens_cut},
              {"shortest_row", data.shortest},
              {"median_row", data.median},
              {"p95_row", data.p95},
              {"longest_row", data.longest}};
}

/// Tokens a second at each logged step, read back from trainer_log.jsonl.
Json speed_history(const std::string& output_dir) {
  Json history = Json::array();
  const std::string path = output_dir + "/trainer_log.jsonl";
  if (!file_exists(path)) return history;
  std::istringstream lines(read_text_file(path));
  for (std::string line; std::getline(lines, line);) {
    if (line.empty()) continue;
    const Json entry = parse_json(line, path);
    if (!entry.contains("loss")) continue;
    history.push_back({{"step", entry["current_steps"]}, {"tokens_per_second", entry["throughput"]}});
  }
  return history;
}

void write_json(const std::string& path, const Json& json) {
  atomic_write(path, dump_json(json, 4) + "\n");
}

/// "0:01:02.35", as Python prints a timedelta cut to two digits.
std::string duration_text(double seconds) {
  const auto hundredths = static_cast<int64_t>(std::floor(seconds * 100));
  const int64_t whole = hundredths / 100;
  return fmt::format("{}:{:02}:{:02}.{:02}", whole / 3600, whole / 60 % 60, whole % 60, hundredths % 100);
}

std::string metric_text(const std::string& key, const Json& value) {
  if (key.find("_runtime") != std::string::npos) return duration_text(value.get<double>());
  if (key == "total_flos") return fmt::format("{}GF", static_cast<int64_t>(value.get<double>()) >> 30);
  if (value.is_number_float()) return dump_json(Json(rounded(value.get<double>(), 4)));
  return value.is_string() ? value.get<std::string>() : dump_json(value);
}

}  // namespace

Json train_results(const ResultParts& parts) {
  const Trainer& trainer = parts.trainer;
  const RunTotals& totals = trainer.totals();
  const double runtime = totals.runtime_s;
  Json results = trainer.metrics();
  results["epoch"] = trainer.state().epoch;
  results["train_tokens_per_second"] = rounded(runtime > 0 ? static_cast<double>(totals.tokens) / runtime : 0, 3);
  results["checkpoints_saved"] = trainer.num_saves();
  results["checkpoint_stall_seconds"] = rounded(trainer.save_stall_s(), 4);
  results["train_samples"] = parts.data.rows_kept;
  results["tokens_seen"] = totals.tokens;
  results["tokens_trained"] = totals.trained_tokens;
  results["skipped_steps"] = totals.skipped_steps;
  if (totals.loss_scaler.is_object()) results["loss_scale"] = totals.loss_scaler["scale"];
  const MemoryLedger& ledger = cpu_ledger();
  results["peak_memory_bytes"] = by_class([&](MemoryClass c) { return ledger.peak(c); }, ledger.peak_total());
  if (!parts.device.is_cpu()) {
    const ops::DeviceMemory gpu = ops::device_memory(parts.device);
    results["peak_memory_bytes"][parts.device.str()] = {{"total", gpu.peak_bytes}, {"reserved", gpu.reserved_bytes}};
  }
  const auto planned = [&](MemoryClass c) { return parts.plan.bytes[static_cast<size_t>(c)]; };
  results["planned_memory_bytes"] = by_class(planned, parts.plan.total());
  const ProcessMemory memory = process_memory();
  results["peak_rss_bytes"] = memory.peak_rss_bytes;
  results["file_backed_bytes"] = memory.file_backed_bytes;
  results["startup_seconds"] = rounded(parts.startup_seconds, 3);
  results["startup_parts_seconds"] = parts.start_parts.json();
  results["train_input_wait_seconds"] = rounded(trainer.input_wait_s(), 6);
  const double used = runtime > 0 ? parts.model_flops / runtime : 0;
  results["model_flops_utilization"] =
      parts.machine_flops > 0 ? Json(rounded(used / parts.machine_flops, 4)) : Json(nullptr);
  results["machine_flops_per_second"] = parts.machine_flops;
  results["num_threads"] = at::get_num_threads();
  results["torch_version"] = TORCH_VERSION;
  results["data"] = data_counts(parts.data);
  if (parts.eval_data != nullptr) results["eval_data"] = data_counts(*parts.eval_data);
  return results;
}

void write_trainer_state(const std::string& output_dir, const TrainerState& state) {
  atomic_write(output_dir + "/trainer_state.json", dump_json(to_json(state), 2) + "\n");
}

void write_results(const ResultParts& parts) {
  const std::string& folder = parts.args.output_dir;
  const Json train = train_results(parts);
  Json all = train;
  write_json(folder + "/train_results.json", train);
  const Json& evaluation = parts.trainer.eval_metrics();
  if (!evaluation.is_null()) {
    write_json(folder + "/eval_results.json", evaluation);
    all.update(evaluation);
  }
  write_json(folder + "/all_results.json", all);
  atomic_write(folder + "/training_args.json", to_json_text(parts.args));
  write_trainer_state(folder, parts.trainer.state());

  const Json& history = parts.trainer.state().log_history;
  atomic_write(folder + "/training_loss.svg",
               line_chart("loss", {curve_of(history, "loss", "train"), curve_of(history, "eval_loss", "eval")}) + "\n");
  Json shown = all;
  shown["speed_history"] = speed_history(folder);
  atomic_write(folder + "/report.html", report_html({.title = "Training report: " + folder,
                                                     .log_history = history,
                                                     .results = shown,
                                                     .data_report = describe(parts.data),
                                                     .training_args = to_json_text(parts.args)}));
}

std::string metrics_block(const std::string& split, const Json& metrics) {
  std::vector<std::pair<std::string, std::string>> lines;
  size_t key_width = 0, value_width = 0;
  for (const auto& [key, value] : metrics.items()) {
    if (value.is_object() || value.is_array()) continue;
    lines.emplace_back(key, metric_text(key, value));
    key_width = std::max(key_width, lines.back().first.size());
    value_width = std::max(value_width, lines.back().second.size());
  }
  std::sort(lines.begin(), lines.end());
  std::string out = fmt::format("***** {} metrics *****", split);
  for (const auto& [key, value] : lines) out += fmt::format("\n  {:<{}} = {:>{}}", key, key_width, value, value_width);
  return out;
}

}  // namespace lathe
