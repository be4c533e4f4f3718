#include "train/checkpoint_folder.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <regex>
#include <utility>

#include "base/file.h"
#include "base/log.h"
#include "base/sha256.h"
#include "base/write_calls.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr int kManifestFormat = 2;
constexpr const char* kManifest = "manifest.json";
constexpr const char* kManifestSum = "manifest.sha256";  // the manifest's own, as sha256sum -c reads it

std::string parent_of(const std::string& folder) {
  const fs::path parent = fs::path(folder).parent_path();
  return parent.empty() ? "." : parent.string();
}

/// A file whose SHA-256 is worked out while its bytes are still in the cache.
class HashedFile {
 public:
  explicit HashedFile(const std::string& path) : file_(path) {}

  void write(std::span<const std::byte> bytes) {
    constexpr size_t kPiece = size_t{1} << 20;
    for (size_t at = 0; at < bytes.size(); at += kPiece) {
      const auto piece = bytes.subspan(at, std::min(kPiece, bytes.size() - at));
      file_.write(piece);
      hash_.update(piece);
    }
    size_ += bytes.size();
  }
  void write(std::string_view text) { write(std::as_bytes(std::span(text.data(), text.size()))); }
  void sync_and_close() { file_.sync_and_close(); }
  [[nodiscard]] Json description() { return {{"bytes", size_}, {"sha256", hash_.hex()}}; }

 private:
  NewFile file_;
  Sha256 hash_;
  size_t size_ = 0;
};

void write_contents(HashedFile& out, const FileToSave& file, const SaveProgress& progress) {
  if (!file.copied_from.empty()) return out.write(MappedFile::open(file.copied_from)->bytes());
  const std::vector<TensorToSave> tensors = entries_of(file);
  if (tensors.empty() && file.metadata.empty()) return out.write(file.text);
  out.write(safetensors_head(tensors, file.metadata));
  for (const TensorToSave& tensor : tensors) {
    write_tensor(tensor, [&](std::span<const std::byte> piece) { out.write(piece); });
    if (progress.tensor_written) progress.tensor_written();
  }
}

/// Every file of the folder written, then every file synced: nobody has to wait for a disk while tensors are read.
Json write_data(const std::string& folder, const FilesToSave& files, const SaveProgress& progress) {
  std::vector<HashedFile> open;
  open.reserve(files.size());
  for (const FileToSave& file : files) {
    open.emplace_back(folder + "/" + file.name);
    write_contents(open.back(), file, progress);
  }
  write_calls().point("save.written");
  Json sums = Json::object();
  for (size_t i = 0; i < files.size(); ++i) {
    open[i].sync_and_close();
    sums[files[i].name] = open[i].description();
  }
  write_calls().point("save.synced");
  return sums;
}

std::string sum_line(std::string_view manifest) {
  return fmt::format("{}  {}\n", Sha256().update(manifest).hex(), kManifest);
}

void write_manifest(const std::string& folder, const Json& manifest) {
  const std::string text = dump_json(manifest, 2) + "\n";
  NewFile file(folder + "/" + kManifest), sum(folder + "/" + kManifestSum);
  file.write(text);
  sum.write(sum_line(text));
  file.sync_and_close();
  sum.sync_and_close();
  sync_directory(folder);
  write_calls().point("save.manifest_synced");
}

void remove_if_possible(const std::string& folder) {
  try {
    remove_directory(folder);
  } catch (const std::exception&) {
    // It is a stray, and the next start takes it away.
  }
}

/// Puts a whole folder in its place. Killed between the two renames, what was there is put back by the next start.
void put_in_place(const std::string& beside, const std::string& folder) {
  const std::string aside = aside_name(folder);
  const bool replaces = file_exists(folder);
  if (replaces) {
    remove_directory(aside);
    rename_directory(folder, aside);
    write_calls().point("save.old_aside");
  }
  try {
    rename_directory(beside, folder);
  } catch (...) {
    if (replaces) (void)write_calls().rename(aside.c_str(), folder.c_str());  // needs no memory
    throw;
  }
  write_calls().point("save.renamed");
  sync_directory(parent_of(folder));
  write_calls().point("save.durable");
  remove_if_possible(aside);
}

}  // namespace

std::string aside_name(const std::string& folder) {
  return folder + ".old";
}

void write_checkpoint_folder(const std::string& folder, const FilesToSave& files, Json manifest,
                             const SaveProgress& progress) {
  const std::string beside = folder + ".tmp";
  write_calls().point("save.begin");
  try {
    remove_directory(beside);
    make_directory(beside);
    manifest["format"] = kManifestFormat;
    manifest["files"] = write_data(beside, files, progress);
    write_manifest(beside, manifest);
    put_in_place(beside, folder);
  } catch (...) {
    remove_if_possible(beside);  // on a full disk its room is what the next try needs
    throw;
  }
}

Json read_manifest(const std::string& folder) {
  const std::string path = folder + "/" + kManifest;
  const std::string text = read_text_file(path);
  if (read_text_file(folder + "/" + kManifestSum) != sum_line(text)) {
    throw Error(ErrorKind::kData, fmt::format("it and {} do not agree", kManifestSum), {.file = path});
  }
  Json manifest = parse_json(text, path);
  if (!manifest.is_object() || manifest.value("format", 0) != kManifestFormat) {
    throw Error(ErrorKind::kData, "it is of another format than this version's", {.file = path});
  }
  return manifest;
}

std::optional<std::string> find_damage(const std::string& folder) {
  for (const char* name : {kManifest, kManifestSum}) {
    if (!file_exists(folder + "/" + name)) return fmt::format("{} is missing", name);
  }
  try {
    const Json manifest = read_manifest(folder);
    for (const auto& [name, file] : manifest.at("files").items()) {
      const std::string path = folder + "/" + name;
      if (!file_exists(path)) return name + " is missing";
      const auto mapped = MappedFile::open(path);
      if (mapped->bytes().size() != file.at("bytes").get<size_t>()) {
        return name + " does not have the size it was saved with";
      }
      if (Sha256().update_mapped(mapped->bytes()).hex() != file.at("sha256").get<std::string>()) {
        return name + " does not have the checksum it was saved with";
      }
    }
  } catch (const nlohmann::json::exception&) {
    return fmt::format("{} lacks what a manifest has", kManifest);
  } catch (const Error& error) {
    const std::string name = fs::path(error.where().file).filename().string();
    return name.empty() ? error.message() : fmt::format("{}: {}", name, error.message());
  }
  return std::nullopt;
}

void clean_up_after_kill(const std::string& output_dir) {
  static const std::regex unfinished(R"(checkpoint-\d+\.tmp|.+\.tmp\.\d+\.\d+|\.probe\.\d+)"),
      aside(R"((checkpoint-\d+)\.old)");
  std::vector<std::string> removed, put_back, names;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(output_dir, error)) names.push_back(entry.path().filename().string());
  std::sort(names.begin(), names.end());
  bool synced = false;
  for (const std::string& name : names) {
    const std::string path = output_dir + "/" + name;
    std::smatch match;
    if (!std::regex_match(name, unfinished) && !std::regex_match(name, aside)) continue;
    // What the killed run renamed last has to last before what it put aside goes.
    if (!std::exchange(synced, true)) sync_directory(output_dir);
    if (std::regex_match(name, match, aside) && !file_exists(output_dir + "/" + match[1].str())) {
      rename_directory(path, output_dir + "/" + match[1].str());
      put_back.push_back(match[1]);
    } else {
      fs::is_directory(path) ? remove_directory(path) : remove_file(path);
      removed.push_back(name);
    }
  }
  if (removed.empty() && put_back.empty()) return;
  sync_directory(output_dir);
  log::info("{}: an earlier run did not end in order; {}{}{}", output_dir,
            removed.empty() ? "" : fmt::format("removed {}", fmt::join(removed, ", ")),
            removed.empty() || put_back.empty() ? "" : "; ",
            put_back.empty() ? "" : fmt::format("put back {}", fmt::join(put_back, ", ")));
}

void remove_checkpoint(const std::string& folder) {
  const std::string aside = folder + ".tmp";
  remove_directory(aside);
  rename_directory(folder, aside);
  sync_directory(parent_of(folder));  // else a power loss might keep the removals below and lose the rename
  remove_directory(aside);
}

}  // namespace lathe
