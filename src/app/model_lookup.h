#pragma once
// From a model's name to the folder that holds it (docs/cli.md, "Where models are looked for").
#include <optional>
#include <string>
#include <vector>

namespace lathe {

struct ModelRequest {
  std::string name;                        ///< a name on the hub, or a path
  std::optional<std::string> cache_dir;    ///< the key of that name
  std::string key = "model_name_or_path";  ///< what an error points at: a key, or an option as "--model"
  bool needs_weights = true;               ///< false: config.json and tokenizer are enough
};

/// Folders that may hold the model, in the order in which they are tried; the Hugging Face cache's comes last.
[[nodiscard]] std::vector<std::string> candidate_folders(const ModelRequest& request);

/// The first candidate with a config.json; else the model is downloaded (app/hub.h).
/// @throws Error(kConfig): nowhere, naming every place; a folder of GPTQ or AWQ weights, or of pickles alone.
[[nodiscard]] std::string find_model(const ModelRequest& request);

/// Where a download of that name goes: `<cache_dir>/<name>`, or `models/<basename>`.
[[nodiscard]] std::string download_folder(const std::string& name, const std::optional<std::string>& cache_dir);

/// @throws Error(kConfig) when the folder's weights are of a kind that is not read, naming it.
void check_model_folder(const std::string& directory, const ModelRequest& request);

}  // namespace lathe
