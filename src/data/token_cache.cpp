#include "data/token_cache.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <system_error>
#include <utility>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/program_id.h"
#include "base/sha256.h"
#include "data/token_file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kEnding = ".tokens";

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

struct CachedFile {
  fs::file_time_type used;
  int64_t bytes;
  fs::path path;
};

/// The folder's token files; what a killed run left half-written goes when it is old enough to be nobody's.
std::vector<CachedFile> list(const std::string& folder) {
  std::vector<CachedFile> files;
  std::error_code error;
  for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    std::error_code gone;  // by another process
    const fs::file_time_type used = fs::last_write_time(it->path(), gone);
    const auto bytes = static_cast<int64_t>(fs::file_size(it->path(), gone));
    if (gone) continue;
    const std::string name = it->path().filename().string();
    if (name.ends_with(kEnding)) files.push_back({used, bytes, it->path()});
    if (name.find(std::string(kEnding) + ".tmp.") == std::string::npos) continue;
    if (fs::file_time_type::clock::now() - used > std::chrono::hours(1)) fs::remove(it->path(), gone);
  }
  return files;
}

}  // namespace

TokenCache::TokenCache(std::string folder, bool overwrite, int64_t most_bytes)
    : folder_(std::move(folder)), overwrite_(overwrite), most_bytes_(most_bytes) {}

std::string TokenCache::default_folder() {
  if (const std::string own = variable("LATHE_CACHE_DIR"); !own.empty()) return own;
  if (const std::string xdg = variable("XDG_CACHE_HOME"); !xdg.empty()) return xdg + "/lathe";
  if (const std::string home = variable("HOME"); !home.empty()) return home + "/.cache/lathe";
  return "";
}

std::string TokenCache::file_of(const std::string& key) const {
  return fmt::format("{}/{}{}", folder_, Sha256().update(key).hex(), kEnding);
}

std::optional<Dataset> TokenCache::find(const std::string& key, const std::vector<std::string>& paths,
                                        int64_t vocab_size) const {
  const std::string file = file_of(key);
  if (folder_.empty() || overwrite_ || !file_exists(file)) return std::nullopt;
  try {
    Dataset dataset = map_token_file(file, paths, key, vocab_size);
    mark_as_used(file);
    log::info("Tokens: mapped from {} (overwrite_cache=true makes them anew)", file);
    return dataset;
  } catch (const Error& error) {
    if (error.kind() != ErrorKind::kData) throw;
    log::warning("the token cache is damaged and is made anew: {}", error.what());
    std::error_code stays;
    fs::remove(file, stays);
    return std::nullopt;
  }
}

Dataset TokenCache::keep(Dataset dataset, const std::string& key, const std::vector<std::string>& paths,
                         int64_t vocab_size) {
  const auto give_up = [&](const std::string& why) {
    if (!std::exchange(complained_, true)) log::warning("the tokens are not kept for later runs: {}", why);
    return std::move(dataset);
  };
  if (folder_.empty()) return give_up("there is no HOME; LATHE_CACHE_DIR names a folder for them");
  const std::string file = file_of(key);
  try {
    ensure_writable_directory(folder_, "LATHE_CACHE_DIR");
    write_token_file(file, dataset, paths, key);
    prune(file);
    Dataset mapped = map_token_file(file, paths, key, vocab_size);
    log::info("Tokens: kept for later runs in {}", file);
    return mapped;
  } catch (const Error& error) {
    if (error.kind() == ErrorKind::kInterrupted) throw;
    return give_up(error.what());
  }
}

void TokenCache::prune(const std::string& kept) const {
  std::vector<CachedFile> files = list(folder_);
  std::ranges::sort(files, {}, &CachedFile::used);
  int64_t bytes = 0;
  for (const CachedFile& file : files) bytes += file.bytes;
  for (const CachedFile& file : files) {
    if (bytes <= most_bytes_) return;
    if (file.path == fs::path(kept)) continue;
    std::error_code stays;
    if (fs::remove(file.path, stays)) bytes -= file.bytes;
  }
}

std::string token_cache_key(const DataFiles& data, const std::vector<std::string>& paths, BadRowPolicy policy,
                            const Tokenizer& tokenizer, const EncodeOptions& options) {
  Json files = Json::array();  // where one ends, and whether it may be an array, decides on rows as its bytes do
  for (size_t i = 0; i < paths.size(); ++i) files.push_back(Json::array({data.sizes[i], paths[i].ends_with(".json")}));
  return dump_json(Json{
      {"program", program_id()},
      {"data", data.fingerprint},
      {"files", files},
      {"skip_bad_rows", policy == BadRowPolicy::kSkip},
      {"tokenizer", tokenizer.fingerprint()},
      {"eos", tokenizer.eos_id().value_or(-1)},
      {"template", name(options.template_kind)},
      {"enable_thinking", options.enable_thinking ? Json(*options.enable_thinking) : Json(nullptr)},
      {"max_seq_length", options.max_seq_length},
      {"truncation_side", options.truncation_side == TruncationSide::kLeft ? "left" : "right"},
      {"overlong", static_cast<int>(options.overlong)},
      {"train_on_prompt", options.train_on_prompt},
  });
}

Dataset read_dataset(const std::vector<std::string>& paths, BadRowPolicy policy, const Tokenizer& tokenizer,
                     const EncodeOptions& options, TokenCache& cache) {
  const DataFiles data = fingerprint_files(paths);
  const std::string key = token_cache_key(data, paths, policy, tokenizer, options);
  if (std::optional<Dataset> found = cache.find(key, paths, tokenizer.vocab_size())) return *std::move(found);
  Dataset dataset = encode_rows(read_rows(paths, policy), tokenizer, options);
  // A file that changed since must not stand under the key of what it held.
  if (dataset.fingerprint != data.fingerprint) return dataset;
  return cache.keep(std::move(dataset), key, paths, tokenizer.vocab_size());
}

}  // namespace lathe
