#pragma once
// Models from the Hugging Face hub, or from a server that speaks like it (HF_ENDPOINT).
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

struct HubSettings {
  std::string endpoint = "https://huggingface.co";
  std::string token;  ///< empty: none
  bool offline = false;
  double retry_delay_s = 1;  ///< before the second try of a broken transfer; doubles with each further one
  int tries = 5;             ///< of one file, each going on where the last one broke
};

/// HF_ENDPOINT, HF_TOKEN, HF_HUB_OFFLINE.
[[nodiscard]] HubSettings hub_settings_from_environment();

struct HubFile {
  std::string name;                   ///< relative to the repository, no folders in it
  int64_t size = -1;                  ///< -1: not told
  std::optional<std::string> sha256;  ///< of large files; others are held to their size
};

struct HubListing {
  std::string commit;
  std::vector<HubFile> files;  ///< those that a model needs: config, tokenizer, safetensors
};

/// "owner/name" or "name", as the hub allows.
[[nodiscard]] bool is_hub_name(const std::string& name);

/// What the hub says of a model. @throws Error(kConfig): no such model, no access, a model without safetensors;
/// Error(kIo): the hub cannot be reached or answers with something else.
[[nodiscard]] HubListing list_hub_files(const HubSettings& settings, const std::string& name);

/// Fetches a model's files into directory; config.json comes last, so a folder that has one is whole. Files that are
/// there with the right size stay; a broken transfer goes on where it stopped, in this call and in the next.
/// @throws Error(kIo) naming the file: server's answer, wrong size, wrong SHA-256 (the bytes are removed), disk full.
void download_model(const HubSettings& settings, const std::string& name, const std::string& directory);

}  // namespace lathe
