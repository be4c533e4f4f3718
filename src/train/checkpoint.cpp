#include "train/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <algorithm>
#include <filesystem>
#include <set>
#include <unordered_map>

#include "base/file.h"
#include "base/log.h"
#include "base/mapped_pages.h"
#include "base/safetensors.h"
#include "base/sha256.h"
#include "base/signals.h"
#include "config/config_file.h"
#include "model/tensor_file.h"
#include "ops/dtype.h"
#include "ops/elements.h"
#include "train/checkpoint_folder.h"
#include "train/output_folder.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "trainer_state.json";
constexpr const char* kSettings = "training_args.json";

/// Everything that the store and the optimizer keep of one parameter.
std::vector<StateTensor> state_of(ParameterStore& store, Optimizer& optimizer, size_t parameter) {
  std::vector<StateTensor> state = optimizer.state(parameter);
  for (StateTensor& one : store.state(parameter)) state.push_back(std::move(one));
  return state;
}

FileToSave optimizer_file(const ModelSaver& saver, ParameterStore& store, Optimizer& optimizer) {
  FileToSave file{.name = kOptimizer, .metadata = {{"step", std::to_string(optimizer.num_steps())}}};
  for (size_t i = 0; i < store.parameters().size(); ++i) {
    const std::string name = saver.file_name(store.parameters()[i].id);
    for (StateTensor& state : state_of(store, optimizer, i)) file.produced.push_back(to_save(name, std::move(state)));
  }
  return file;
}

/// For each parameter how many tensors of the files are written when none of its own is left. A tensor's owner is told
/// by its name, up to a suffix; one without an owner is everybody's.
std::vector<size_t> last_reads(const FilesToSave& files, const ModelSaver& saver,
                               const std::vector<TrainableParameter>& parameters) {
  std::unordered_map<std::string, size_t> owners;
  for (size_t i = 0; i < parameters.size(); ++i) owners[saver.file_name(parameters[i].id)] = i;
  std::vector<size_t> last(parameters.size(), 0);
  size_t count = 0;
  for (const FileToSave& file : files) {
    for (const TensorToSave& tensor : entries_of(file)) {
      const std::string& name = tensor.name;
      ++count;
      const auto whole = owners.find(name);
      const auto owner = whole != owners.end() ? whole : owners.find(name.substr(0, name.rfind('.')));
      if (owner != owners.end()) {
        last[owner->second] = count;
      } else {
        std::fill(last.begin(), last.end(), count);
      }
    }
  }
  return last;
}

void copy_in(const SafetensorsFile& file, const std::string& path, const std::string& parameter,
             const StateTensor& state) {
  const std::string name = parameter + state.suffix;
  const auto found = file.tensors().find(name);
  if (found == file.tensors().end() || found->second.shape != state.sizes ||
      found->second.dtype != ops::to_dtype(state.dtype)) {
    throw Error(ErrorKind::kData, fmt::format("'{}' is missing or has another shape than this run's", name),
                {.file = path}, "resume with the settings the checkpoint was made with");
  }
  state.write(map_tensor(file, found->second));
  give_back_pages(found->second.bytes);  // else the file would lie beside the state that was read from it
}

void load_optimizer(const std::string& path, const ModelSaver& saver, ParameterStore& store, Optimizer& optimizer) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  std::set<std::string> read;
  for (size_t i = 0; i < store.parameters().size(); ++i) {
    const std::string name = saver.file_name(store.parameters()[i].id);
    for (const StateTensor& state : state_of(store, optimizer, i)) {
      copy_in(file, path, name, state);
      read.insert(name + state.suffix);
    }
  }
  for (const auto& [name, entry] : file.tensors()) {
    if (read.contains(name)) continue;
    throw Error(
        ErrorKind::kData, fmt::format("'{}' is nothing that this run keeps", name), {.file = path},
        "resume with the optim, optim_args, precision and bf16_stochastic_rounding the checkpoint was made with");
  }
  const auto step = file.metadata().find("step");
  if (step == file.metadata().end()) throw Error(ErrorKind::kData, "it has no step count", {.file = path});
  optimizer.set_num_steps(std::stoll(step->second));
}

Json to_json(const Fingerprints& fingerprints) {
  return Json{{"base_weights", fingerprints.base_weights.get()},
              {"data", fingerprints.data},
              {"tokenizer", fingerprints.tokenizer},
              {"template", fingerprints.template_text},
              {"quantization", fingerprints.quantization},
              {"row_ends", fingerprints.row_ends},
              {"eval_data", fingerprints.eval_data}};
}

void hash_sampled(Sha256& hash, const MappedFile& file) {
  constexpr size_t kWhole = size_t{4} << 30, kPiece = size_t{1} << 20, kStride = size_t{64} << 20;
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() <= kWhole) {
    hash.update_mapped(bytes);
    return;
  }
  hash.update(fmt::format("{}", bytes.size()));
  for (size_t at = 0; at < bytes.size(); at += kStride) {
    hash.update_mapped(bytes.subspan(at, std::min(kPiece, bytes.size() - at)));
  }
  hash.update_mapped(bytes.last(kPiece));
}

int64_t step_of(const std::string& folder) {
  return read_trainer_state(folder + "/" + kState).global_step;
}

/// A log that is gone or whose disk fails costs lines, not the checkpoint.
void sync_logs(const std::vector<std::string>& paths) {
  for (const std::string& path : paths) {
    try {
      sync_file(path);
    } catch (const Error& error) {
      log::warning("lines of a log may be lost: {}", error.what());
    }
  }
}

}  // namespace

std::string fingerprint_weights(const std::string& model_directory) {
  std::vector<std::string> paths;
  for (const auto& entry : fs::directory_iterator(model_directory)) {
    const std::string name = entry.path().filename().string();
    if (name == "config.json" || entry.path().extension() == ".safetensors") paths.push_back(entry.path().string());
  }
  std::sort(paths.begin(), paths.end());
  Sha256 hash;
  for (const std::string& path : paths) {
    hash.update(fs::path(path).filename().string());
    hash_sampled(hash, *MappedFile::open(path));
  }
  return hash.hex();
}

PendingCheckpoint collect_checkpoint(const std::string& folder, const ModelSaver& saver, ParameterStore& store,
                                     const CheckpointContents& contents, const Fingerprints& fingerprints) {
  PendingCheckpoint pending{.folder = folder, .files = saver.files(store), .fingerprints = fingerprints};
  if (contents.optimizer != nullptr) {
    pending.files.push_back(optimizer_file(saver, store, *contents.optimizer));
  }
  copy_from_gpu(pending.files);
  pending.last_reads = last_reads(pending.files, saver, store.parameters());
  pending.files.push_back({.name = kState, .text = dump_json(to_json(contents.state), 2) + "\n"});
  pending.files.push_back({.name = kSettings, .text = contents.training_args});
  pending.manifest = {{"global_step", contents.state.global_step},
                      {"totals", to_json(contents.totals)},
                      {"row_order", contents.row_order},
                      {"callbacks", contents.callbacks}};
  pending.logs = contents.logs;
  return pending;
}

void write_checkpoint(const PendingCheckpoint& pending, const SaveProgress& progress) {
  Json manifest = pending.manifest;
  manifest["fingerprints"] = to_json(pending.fingerprints);
  sync_logs(pending.logs);
  write_checkpoint_folder(pending.folder, pending.files, std::move(manifest), progress);
}

std::optional<std::string> why_not_resume(const std::string& folder) {
  if (const auto damage = find_damage(folder)) return "damaged: " + *damage;
  if (!read_manifest(folder)["files"].contains(kOptimizer)) return "it has no optimizer state (save_only_model)";
  return std::nullopt;
}

ResumeChoice choose_checkpoint(const std::optional<std::string>& setting, const std::string& output_dir) {
  if (!setting || setting->empty() || *setting == "false") return {"", ""};
  if (*setting != "true") {
    const auto damage = why_not_resume(*setting);
    if (damage) {
      throw Error(ErrorKind::kConfig, fmt::format("'{}' is no whole checkpoint: {}", *setting, *damage),
                  {.file = "", .line = 0, .key = "resume_from_checkpoint"},
                  "give another one, or true for the newest whole one of output_dir");
    }
    const int64_t step = step_of(*setting);
    return {*setting, fmt::format("Resuming from {} at step {}", *setting, step), step};
  }
  std::vector<CheckpointFolder> all = list_checkpoints(output_dir);
  for (auto folder = all.rbegin(); folder != all.rend(); ++folder) {
    throw_if_stopped();  // each is read whole
    const auto damage = why_not_resume(folder->path);
    const int64_t step = folder->step;
    if (!damage) return {folder->path, fmt::format("Resuming from {} at step {}", folder->path, step), step};
    log::warning("{} cannot be gone on from: {}; the one before it is tried", folder->path, *damage);
  }
  return {"", all.empty() ? fmt::format("Nothing to resume from in {}: starting from step 0, row 0", output_dir)
                          : fmt::format("No whole checkpoint in {}: starting from step 0, row 0", output_dir)};
}

void check_fingerprints(const std::string& folder, const Fingerprints& fingerprints) {
  const Json manifest = read_manifest(folder);
  const Json ours = to_json(fingerprints);
  const Json& theirs = manifest["fingerprints"];
  struct Kind {
    const char *key, *words;
    bool may_lack = false;  // checkpoints of an older version do not have it
  };
  const Kind kinds[] = {{"base_weights", "base weights"},
                        {"data", "data"},
                        {"tokenizer", "tokenizer"},
                        {"template", "template"},
                        {"quantization", "quantisation of the base weights", true},
                        {"row_ends", "enable_thinking or end token", true},
                        {"eval_data", "evaluation data", true}};
  std::vector<std::string> differing;
  for (const auto& [key, words, may_lack] : kinds) {
    if (may_lack && !theirs.contains(key)) continue;
    const auto before = theirs.value(key, ""), now = ours[key].get<std::string>();
    // Best metric, early stopping and plateaus compare with what was measured on other rows; without any there is
    // nothing to compare.
    if (std::string_view(key) == "eval_data" && (before.empty() || now.empty())) continue;
    if (before != now) differing.emplace_back(words);
  }
  if (differing.empty()) return;
  throw Error(ErrorKind::kConfig,
              fmt::format("'{}' was made with other {} than this run's", folder, fmt::join(differing, ", ")),
              {.file = "", .line = 0, .key = "resume_from_checkpoint"},
              "resume with the same ones, or start a new run from the weights alone with adapter_name_or_path");
}

std::string changed_settings(const std::string& folder, const TrainingArguments& now) {
  const std::string path = folder + "/" + kSettings;
  if (!file_exists(path)) return "";
  static const std::set<std::string> of_the_start = {"resume_from_checkpoint", "output_dir", "logging_dir",
                                                     "overwrite_output_dir",   "max_time",   "show_sample"};
  const Json before = read_json_file(path), after = parse_json(to_json_text(now), "settings");
  std::vector<std::string> changes;
  for (const auto& [key, value] : after.items()) {
    if (key.starts_with('_') || of_the_start.contains(key) || !before.contains(key) || before[key] == value) continue;
    changes.push_back(fmt::format("{} {} -> {}", key, dump_json(before[key]), dump_json(value)));
  }
  return fmt::format("{}", fmt::join(changes, ", "));
}

RestoredCheckpoint read_checkpoint(const std::string& folder, const ModelSaver& saver, ParameterStore& store,
                                   Optimizer& optimizer) {
  store.load_trained(saver.load(folder));
  load_optimizer(folder + "/" + kOptimizer, saver, store, optimizer);
  const Json manifest = read_manifest(folder);
  return {read_trainer_state(folder + "/" + kState),
          parse_run_totals(manifest.value("totals", Json::object()), folder + "/manifest.json"),
          manifest.value("row_order", Json()), manifest.value("callbacks", Json::object())};
}

}  // namespace lathe
