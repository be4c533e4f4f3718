#include "train/checkpoint.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "base/safetensors.h"
#include "base/sha256.h"
#include "model/tensor_file.h"
#include "ops/dtype.h"
#include "train/output_folder.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr int kManifestFormat = 1;
constexpr const char* kManifest = "manifest.json";
constexpr const char* kOptimizer = "optimizer.safetensors";
constexpr const char* kState = "trainer_state.json";

constexpr int64_t kPieceElements = int64_t{4} << 20;

/// Everything that the store and the optimizer keep of one parameter.
std::vector<StateTensor> state_of(ParameterStore& store, Optimizer& optimizer, size_t parameter) {
  std::vector<StateTensor> state = optimizer.state(parameter);
  for (StateTensor& one : store.state(parameter)) state.push_back(std::move(one));
  return state;
}

TensorToSave to_save(const std::string& parameter, const StateTensor& state) {
  TensorToSave tensor{.name = parameter + state.suffix, .dtype = ops::to_dtype(state.dtype), .shape = state.sizes};
  tensor.produce = [state](const ByteWriter& write) {
    const int64_t count = c10::multiply_integers(state.sizes);
    for (int64_t begin = 0; begin < count; begin += kPieceElements) {
      const at::Tensor piece = state.read(begin, std::min(kPieceElements, count - begin));
      write({static_cast<const std::byte*>(piece.const_data_ptr()), piece.nbytes()});
    }
  };
  return tensor;
}

void save_optimizer(const std::string& path, const ModelSaver& saver, ParameterStore& store, Optimizer& optimizer) {
  std::vector<TensorToSave> tensors;
  for (size_t i = 0; i < store.parameters().size(); ++i) {
    const std::string name = saver.file_name(store.parameters()[i].id);
    for (const StateTensor& state : state_of(store, optimizer, i)) tensors.push_back(to_save(name, state));
  }
  save_safetensors(path, tensors, {{"format", "pt"}, {"step", std::to_string(optimizer.num_steps())}});
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
}

void load_optimizer(const std::string& path, const ModelSaver& saver, ParameterStore& store, Optimizer& optimizer) {
  const SafetensorsFile file = SafetensorsFile::open(path);
  for (size_t i = 0; i < store.parameters().size(); ++i) {
    const std::string name = saver.file_name(store.parameters()[i].id);
    for (const StateTensor& state : state_of(store, optimizer, i)) copy_in(file, path, name, state);
  }
  const auto step = file.metadata().find("step");
  if (step == file.metadata().end()) throw Error(ErrorKind::kData, "it has no step count", {.file = path});
  optimizer.set_num_steps(std::stoll(step->second));
}

Json to_json(const Fingerprints& fingerprints) {
  return Json{{"base_weights", fingerprints.base_weights.get()},
              {"data", fingerprints.data},
              {"tokenizer", fingerprints.tokenizer},
              {"template", fingerprints.template_text}};
}

Json describe_files(const std::string& folder) {
  std::vector<std::string> names;
  for (const auto& entry : fs::directory_iterator(folder)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  Json files = Json::object();
  for (const std::string& name : names) {
    const std::string path = folder + "/" + name;
    files[name] = {{"bytes", fs::file_size(path)}, {"sha256", sha256_file(path)}};
  }
  return files;
}

void hash_sampled(Sha256& hash, const MappedFile& file) {
  constexpr size_t kWhole = size_t{4} << 30, kPiece = size_t{1} << 20, kStride = size_t{64} << 20;
  const std::span<const std::byte> bytes = file.bytes();
  if (bytes.size() <= kWhole) {
    hash.update(bytes);
    return;
  }
  hash.update(fmt::format("{}", bytes.size()));
  for (size_t at = 0; at < bytes.size(); at += kStride) {
    hash.update(bytes.subspan(at, std::min(kPiece, bytes.size() - at)));
  }
  hash.update(bytes.last(kPiece));
}

int64_t step_of(const std::string& folder) {
  return read_trainer_state(folder + "/" + kState).global_step;
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

void write_checkpoint(const std::string& folder, const ModelSaver& saver, ParameterStore& store,
                      const CheckpointContents& contents, const Fingerprints& fingerprints) {
  const std::string beside = folder + ".tmp";
  if (file_exists(beside)) remove_directory(beside);
  ensure_writable_directory(beside, "output_dir");
  saver.save(beside, store);
  if (contents.optimizer != nullptr) {
    save_optimizer(beside + "/" + kOptimizer, saver, store, *contents.optimizer);
  }
  atomic_write(beside + "/" + kState, dump_json(to_json(contents.state), 2) + "\n");
  atomic_write(beside + "/training_args.json", contents.training_args);
  const Json manifest = {{"format", kManifestFormat},          {"global_step", contents.state.global_step},
                         {"files", describe_files(beside)},    {"fingerprints", to_json(fingerprints)},
                         {"totals", to_json(contents.totals)}, {"callbacks", contents.callbacks}};
  atomic_write(beside + "/" + kManifest, dump_json(manifest, 2) + "\n");
  if (file_exists(folder)) remove_directory(folder);  // a damaged one, or one of a run that was taken back
  commit_directory(beside, folder);
}

std::optional<std::string> find_damage(const std::string& folder) {
  const std::string manifest_path = folder + "/" + kManifest;
  if (!file_exists(manifest_path)) return fmt::format("{} is missing", kManifest);
  try {
    const Json manifest = read_json_file(manifest_path);
    if (manifest.value("format", 0) != kManifestFormat) return fmt::format("{} is of another format", kManifest);
    for (const auto& [name, file] : manifest.at("files").items()) {
      const std::string path = folder + "/" + name;
      if (!file_exists(path)) return name + " is missing";
      if (fs::file_size(path) != file.at("bytes").get<uintmax_t>())
        return name + " does not have the size it was saved with";
      if (sha256_file(path) != file.at("sha256").get<std::string>()) {
        return name + " does not have the checksum it was saved with";
      }
    }
    if (!manifest["files"].contains(kOptimizer)) return "it has no optimizer state (save_only_model)";
  } catch (const nlohmann::json::exception&) {
    return fmt::format("{} lacks what a manifest has", kManifest);
  } catch (const Error& error) {
    return error.message();
  }
  return std::nullopt;
}

ResumeChoice choose_checkpoint(const std::optional<std::string>& setting, const std::string& output_dir) {
  if (!setting || setting->empty() || *setting == "false") return {"", ""};
  if (*setting != "true") {
    const auto damage = find_damage(*setting);
    if (damage) {
      throw Error(ErrorKind::kConfig, fmt::format("'{}' is no whole checkpoint: {}", *setting, *damage),
                  {.file = "", .line = 0, .key = "resume_from_checkpoint"},
                  "give another one, or true for the newest whole one of output_dir");
    }
    return {*setting, fmt::format("Resuming from {} at step {}", *setting, step_of(*setting))};
  }
  std::vector<CheckpointFolder> all = list_checkpoints(output_dir);
  for (auto folder = all.rbegin(); folder != all.rend(); ++folder) {
    const auto damage = find_damage(folder->path);
    if (!damage) return {folder->path, fmt::format("Resuming from {} at step {}", folder->path, folder->step)};
    log::warning("{} is damaged: {}; the one before it is tried", folder->path, *damage);
  }
  return {"", all.empty() ? fmt::format("Nothing to resume from in {}: starting from step 0, row 0", output_dir)
                          : fmt::format("No whole checkpoint in {}: starting from step 0, row 0", output_dir)};
}

void check_fingerprints(const std::string& folder, const Fingerprints& fingerprints) {
  const Json manifest = read_json_file(folder + "/" + kManifest);
  const Json ours = to_json(fingerprints);
  const std::pair<const char*, const char*> kinds[] = {
      {"base_weights", "base weights"}, {"data", "data"}, {"tokenizer", "tokenizer"}, {"template", "template"}};
  std::string differing;
  for (const auto& [key, words] : kinds) {
    if (manifest["fingerprints"].value(key, "") == ours[key].get<std::string>()) continue;
    differing += fmt::format("{}{}", differing.empty() ? "" : ", ", words);
  }
  if (differing.empty()) return;
  throw Error(ErrorKind::kConfig, fmt::format("'{}' was made with other {} than this run's", folder, differing),
              {.file = "", .line = 0, .key = "resume_from_checkpoint"},
              "resume with the same ones, or start a new run from the weights alone with adapter_name_or_path");
}

RestoredCheckpoint read_checkpoint(const std::string& folder, const ModelSaver& saver, ParameterStore& store,
                                   Optimizer& optimizer) {
  store.load_trained(saver.load(folder));
  load_optimizer(folder + "/" + kOptimizer, saver, store, optimizer);
  const Json manifest = read_json_file(folder + "/" + kManifest);
  return {read_trainer_state(folder + "/" + kState),
          parse_run_totals(manifest.value("totals", Json::object()), folder + "/" + kManifest),
          manifest.value("callbacks", Json::object())};
}

}  // namespace lathe
