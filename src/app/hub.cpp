#include "app/hub.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cctype>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <thread>

#include "app/hub_file.h"
#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/memory_ledger.h"

namespace lathe {
namespace {

std::string environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

bool is_true(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(), [](unsigned char c) { return std::toupper(c); });
  return text == "1" || text == "ON" || text == "YES" || text == "TRUE";
}

bool is_wanted(const std::string& name) {
  static const std::regex weights(R"(model(-\d+-of-\d+)?\.safetensors|model\.safetensors\.index\.json)");
  static const std::vector<std::string> others = {"config.json",         "generation_config.json",
                                                  "tokenizer.json",      "tokenizer_config.json",
                                                  "chat_template.jinja", "vocab.json",
                                                  "merges.txt",          "special_tokens_map.json",
                                                  "added_tokens.json",   "LICENSE"};
  return std::regex_match(name, weights) || std::find(others.begin(), others.end(), name) != others.end();
}

HubFile parse_file(const Json& sibling) {
  HubFile file{sibling.at("rfilename").get<std::string>(), sibling.value("size", int64_t{-1}), std::nullopt};
  if (sibling.contains("lfs") && sibling["lfs"].is_object()) {
    file.sha256 = sibling["lfs"].at("sha256").get<std::string>();
    file.size = sibling["lfs"].value("size", file.size);
  }
  return file;
}

HubListing parse_listing(const Json& answer, const std::string& name) {
  HubListing listing;
  listing.commit = answer.at("sha").get<std::string>();
  bool has_pickle = false, has_safetensors = false;
  for (const Json& sibling : answer.at("siblings")) {
    HubFile file = parse_file(sibling);
    has_pickle |= file.name.starts_with("pytorch_model") && file.name.ends_with(".bin");
    if (!is_wanted(file.name)) continue;
    has_safetensors |= file.name.ends_with(".safetensors");
    listing.files.push_back(std::move(file));
  }
  if (!has_safetensors) {
    throw Error(ErrorKind::kConfig,
                fmt::format("'{}' has no safetensors{} on the hub", name,
                            has_pickle ? ", only pytorch_model.bin, a pickle," : ""),
                {}, "pickle files can run code and are not read; take a model that is published as safetensors");
  }
  std::stable_partition(listing.files.begin(), listing.files.end(),
                        [](const HubFile& file) { return file.name != "config.json"; });
  if (listing.files.back().name != "config.json") {
    throw Error(ErrorKind::kConfig, fmt::format("'{}' has no config.json on the hub: it is not a model", name));
  }
  return listing;
}

[[noreturn]] void refuse_listing(const HubSettings& settings, const std::string& name, const HttpResponse& response) {
  if (response.status == 401 || response.status == 403) {
    throw Error(ErrorKind::kConfig,
                fmt::format("{} gives no access to '{}' (status {})", settings.endpoint, name, response.status), {},
                "check the name; for a private or gated model set HF_TOKEN to a token that may read it");
  }
  if (response.status == 404) {
    throw Error(ErrorKind::kConfig, fmt::format("{} has no model '{}'", settings.endpoint, name), {}, "check the name");
  }
  throw Error(ErrorKind::kIo,
              fmt::format("{} cannot be asked for '{}': {}", settings.endpoint, name,
                          response.status == 0 ? response.error : fmt::format("status {}", response.status)));
}

bool is_there(const std::string& path, const HubFile& file) {
  std::error_code error;
  const auto size = std::filesystem::file_size(path, error);
  // Without a size there is nothing to hold a file to: it is fetched again.
  return !error && file.size >= 0 && static_cast<int64_t>(size) == file.size;
}

}  // namespace

HubSettings hub_settings_from_environment() {
  HubSettings settings;
  if (std::string endpoint = environment("HF_ENDPOINT"); !endpoint.empty()) {
    while (endpoint.ends_with("/")) endpoint.pop_back();
    settings.endpoint = endpoint;
  }
  settings.token = environment("HF_TOKEN");
  settings.offline = is_true(environment("HF_HUB_OFFLINE"));
  return settings;
}

bool is_hub_name(const std::string& name) {
  static const std::regex pattern(R"([A-Za-z0-9_][A-Za-z0-9_.-]*(/[A-Za-z0-9_][A-Za-z0-9_.-]*)?)");
  return std::regex_match(name, pattern) && name.size() <= 96;
}

HubListing list_hub_files(const HubSettings& settings, const std::string& name) {
  const std::string url = fmt::format("{}/api/models/{}/revision/main?blobs=true", settings.endpoint, name);
  std::string body;
  const HttpResponse response = http_get(
      hub_request(settings, url), [&](int) { body.clear(); }, [&](std::string_view piece) { body += piece; });
  if (response.status != 200 || !response.error.empty()) refuse_listing(settings, name, response);
  try {
    return parse_listing(parse_json(body, url), name);
  } catch (const nlohmann::json::exception&) {
    throw Error(ErrorKind::kIo, fmt::format("{} does not answer as a Hugging Face hub does", url), {},
                "check HF_ENDPOINT");
  }
}

void download_model(const HubSettings& settings, const std::string& name, const std::string& directory) {
  const HubListing listing = list_hub_files(settings, name);
  ensure_writable_directory(directory, "cache_dir");
  int64_t missing_bytes = 0;
  for (const HubFile& file : listing.files) {
    if (!is_there(directory + "/" + file.name, file)) missing_bytes += std::max<int64_t>(file.size, 0);
  }
  if (const int64_t free = free_disk_bytes(directory); missing_bytes > free) {
    throw Error(ErrorKind::kIo, fmt::format("'{}' takes {} but {} has {} free", name, format_bytes(missing_bytes),
                                            directory, format_bytes(free)));
  }
  log::info("Downloading {} ({}) from {} to {}", name, format_bytes(missing_bytes), settings.endpoint, directory);
  for (const HubFile& file : listing.files) {
    const std::string path = directory + "/" + file.name;
    if (is_there(path, file)) continue;
    const std::string url = fmt::format("{}/{}/resolve/{}/{}", settings.endpoint, name, listing.commit, file.name);
    download_hub_file(settings, url, file, path);
  }
}

}  // namespace lathe
