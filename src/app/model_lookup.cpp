#include "app/model_lookup.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "app/hub.h"
#include "base/file.h"
#include "base/json.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::string basename(const std::string& name) {
  const size_t end = name.find_last_not_of('/');
  if (end == std::string::npos) return name;
  const size_t slash = name.rfind('/', end);
  return name.substr(slash == std::string::npos ? 0 : slash + 1,
                     end - (slash == std::string::npos ? 0 : slash + 1) + 1);
}

std::string hub_cache() {
  if (std::string path = environment("HF_HUB_CACHE"); !path.empty()) return path;
  if (std::string home = environment("HF_HOME"); !home.empty()) return home + "/hub";
  if (std::string cache = environment("XDG_CACHE_HOME"); !cache.empty()) return cache + "/huggingface/hub";
  return environment("HOME") + "/.cache/huggingface/hub";
}

// The cache's folder of a model, "models--owner--name", with refs/main (a commit) and snapshots/<commit>/.
std::string hub_cache_folder(const std::string& name) {
  std::string folder = "models--" + name;
  if (const size_t slash = folder.find('/'); slash != std::string::npos) folder.replace(slash, 1, "--");
  return hub_cache() + "/" + folder;
}

std::optional<std::string> hub_cache_snapshot(const std::string& name) {
  const std::string ref = hub_cache_folder(name) + "/refs/main";
  if (!file_exists(ref)) return std::nullopt;
  std::string commit = read_text_file(ref);
  commit.erase(commit.find_last_not_of(" \r\n") + 1);
  return hub_cache_folder(name) + "/snapshots/" + commit;
}

bool has_weights(const std::string& directory) {
  return file_exists(directory + "/model.safetensors") || file_exists(directory + "/model.safetensors.index.json");
}

// A snapshot of the cache may hold a part of the files (a tokenizer alone was asked for); folders of the user's count
// as soon as there is a config.json, so that what is missing in them is named and not downloaded over.
bool holds_model(const std::string& directory, const ModelRequest& request, bool is_cache) {
  if (!file_exists(directory + "/config.json")) return false;
  return !is_cache || !request.needs_weights || has_weights(directory);
}

[[noreturn]] void not_found(const ModelRequest& request, const HubSettings& settings, const std::string& why) {
  std::vector<std::string> places = candidate_folders(request);
  const std::string bring =
      is_hub_name(request.name)
          ? fmt::format(
                "bring it with `lathe download {}` where there is a network and copy the folder to {}, or set "
                "{} to the folder of a model",
                request.name, download_folder(request.name, request.cache_dir), request.key)
          : fmt::format("set {} to the folder of a model (it holds a config.json), or to a name on the hub",
                        request.key);
  throw Error(ErrorKind::kConfig,
              fmt::format("the model '{}' was found nowhere; no config.json in {}; the hub ({}): {}", request.name,
                          fmt::join(places, ", "), settings.endpoint, why),
              {.key = request.key}, bring);
}

std::string quantization_method(const std::string& directory) {
  const Json config = read_json_file(directory + "/config.json");
  const auto found = config.is_object() ? config.find("quantization_config") : config.end();
  if (!config.is_object() || found == config.end() || !found->is_object()) return "";
  return found->value("quant_method", "");
}

std::optional<std::string> pickle_in(const std::string& directory) {
  for (const char* name : {"pytorch_model.bin", "pytorch_model.bin.index.json", "consolidated.00.pth"}) {
    if (file_exists(directory + "/" + name)) return name;
  }
  return std::nullopt;
}

}  // namespace

std::vector<std::string> candidate_folders(const ModelRequest& request) {
  std::vector<std::string> folders;
  const auto add = [&](const std::string& folder) {
    if (std::find(folders.begin(), folders.end(), folder) == folders.end()) folders.push_back(folder);
  };
  const bool is_relative = !fs::path(request.name).is_absolute();
  if (request.cache_dir && is_relative) {
    add(*request.cache_dir + "/" + request.name);
    add(*request.cache_dir + "/" + basename(request.name));
  }
  add("models/" + basename(request.name));
  add(request.name);
  if (is_hub_name(request.name)) add(hub_cache_snapshot(request.name).value_or(hub_cache_folder(request.name)));
  return folders;
}

std::string find_model(const ModelRequest& request) {
  const std::vector<std::string> folders = candidate_folders(request);
  const std::string cache = is_hub_name(request.name) ? folders.back() : "";
  for (const std::string& folder : folders) {
    if (!holds_model(folder, request, folder == cache)) continue;
    check_model_folder(folder, request);
    return folder;
  }
  const HubSettings settings = hub_settings_from_environment();
  if (!is_hub_name(request.name)) not_found(request, settings, "not asked, for this is no name it could have");
  if (settings.offline) not_found(request, settings, "not asked, for HF_HUB_OFFLINE is set");
  const std::string folder = download_folder(request.name, request.cache_dir);
  try {
    download_model(settings, request.name, folder);
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) throw;
    not_found(request, settings, error.message());
  }
  check_model_folder(folder, request);
  return folder;
}

std::string download_folder(const std::string& name, const std::optional<std::string>& cache_dir) {
  return cache_dir ? *cache_dir + "/" + name : "models/" + basename(name);
}

void check_model_folder(const std::string& directory, const ModelRequest& request) {
  const std::string config = directory + "/config.json";
  if (const std::string method = quantization_method(directory); method == "gptq" || method == "awq") {
    throw Error(ErrorKind::kConfig, fmt::format("{} weights are not read", method == "gptq" ? "GPTQ" : "AWQ"),
                {.file = config, .key = "quantization_config"},
                "take the model's unquantised folder; use_qlora quantises it while loading");
  }
  if (!request.needs_weights || has_weights(directory)) return;
  if (const auto pickle = pickle_in(directory)) {
    throw Error(ErrorKind::kConfig, fmt::format("{} is a pickle, and there is no model.safetensors beside it", *pickle),
                {.file = directory + "/" + *pickle, .key = request.key},
                "pickle files can run code and are not read; take a model that is published as safetensors, or save it "
                "again with transformers' save_pretrained");
  }
  throw Error(ErrorKind::kConfig, "the folder has a config.json but no model.safetensors",
              {.file = directory, .key = request.key},
              "bring the weights, or give init_from_scratch=true for random ones");
}

}  // namespace lathe
