#include "train/output_folder.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <filesystem>

#include "base/file.h"
#include "base/log.h"
#include "train/checkpoint_folder.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "checkpoint-";

/// What only a run leaves behind. A folder with other files is somebody's folder, and is used as it is.
constexpr const char* kResultFiles[] = {
    "trainer_state.json", "train_results.json",           "trainer_log.jsonl", "adapter_model.safetensors",
    "model.safetensors",  "model.safetensors.index.json", "training_args.json"};

std::optional<int64_t> step_of(const std::string& name) {
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int64_t step = 0;
  const char* end = name.data() + name.size();
  const auto parsed = std::from_chars(name.data() + kPrefix.size(), end, step);
  return parsed.ec == std::errc() && parsed.ptr == end ? std::optional(step) : std::nullopt;
}

std::string timestamp() {
  const std::time_t now = std::time(nullptr);
  std::tm local{};
  localtime_r(&now, &local);
  char text[32];
  std::strftime(text, sizeof(text), "%Y%m%d-%H%M%S", &local);
  return text;
}

[[noreturn]] void refuse_inputs_folder(const std::string& output_dir, const InputPath& input, const char* what) {
  throw Error(ErrorKind::kConfig, fmt::format("'{}' {} {} ('{}')", output_dir, what, input.key, input.path),
              {.file = "", .line = 0, .key = "output_dir"}, "give another output_dir");
}

std::string dated(const std::string& path) {
  const std::string base = fmt::format("{}.{}", path, timestamp());
  std::string name = base;
  for (int i = 2; file_exists(name); ++i) name = fmt::format("{}-{}", base, i);
  return name;
}

/// What of a folder that was renamed can still be gone on with; "" where its run had ended.
std::string how_to_go_on(const std::string& folder) {
  const std::vector<CheckpointFolder> all = list_checkpoints(folder);
  const auto newest = std::find_if(all.rbegin(), all.rend(), [](const CheckpointFolder& one) {
    return file_exists(one.path + "/optimizer.safetensors");
  });
  if (newest == all.rend() || file_exists(folder + "/train_results.json")) return "";
  return fmt::format("; it had not ended: resume_from_checkpoint={} would go on with it", newest->path);
}

FolderLock lock(const std::string& output_dir) {
  std::optional<FolderLock> taken = FolderLock::take(output_dir);
  if (taken) return std::move(*taken);
  throw Error(ErrorKind::kConfig, fmt::format("another run is writing to '{}'", output_dir),
              {.file = "", .line = 0, .key = "output_dir"},
              "wait until it has ended, stop it, or give another output_dir");
}

}  // namespace

std::string without_trailing_slash(std::string path) {
  while (path.size() > 1 && path.back() == '/') path.pop_back();
  return path;
}

bool holds_results(const std::string& directory) {
  for (const char* name : kResultFiles) {
    if (file_exists(directory + "/" + name)) return true;
  }
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory, error)) {
    const fs::path& path = entry.path();
    const bool aside = path.extension() == ".old";  // see put_in_place in train/checkpoint_folder.cpp
    if (step_of((aside ? path.stem() : path.filename()).string())) return true;
  }
  return false;
}

bool lies_in(const std::string& path, const std::string& folder) {
  std::error_code none;
  for (fs::path at = fs::absolute(path).lexically_normal();; at = at.parent_path()) {
    if (fs::equivalent(at, folder, none)) return true;
    if (at == at.parent_path()) return false;
  }
}

FolderLock take_output_folder(const std::string& output_dir, const std::vector<InputPath>& inputs) {
  std::error_code none;
  for (const InputPath& input : inputs) {
    if (fs::equivalent(input.path, output_dir, none))
      refuse_inputs_folder(output_dir, input, "is itself what the run reads by");
  }
  ensure_writable_directory(output_dir, "output_dir");
  return lock(output_dir);
}

bool holds_another_run(const std::string& output_dir, bool overwrite, const std::vector<InputPath>& inputs) {
  if (!holds_results(output_dir)) return false;
  if (!overwrite) {
    throw Error(ErrorKind::kConfig, fmt::format("'{}' holds another run's results", output_dir),
                {.file = "", .line = 0, .key = "output_dir"},
                "give another output_dir, set overwrite_output_dir to true (the old folder is renamed, never deleted), "
                "or go on with it by resume_from_checkpoint: true");
  }
  for (const InputPath& input : inputs) {
    if (lies_in(input.path, output_dir)) {
      refuse_inputs_folder(output_dir, input, "holds another run's results and would be renamed, but the run reads");
    }
  }
  return true;
}

FolderLock set_aside(const std::string& output_dir, bool offers) {
  const std::string folder = without_trailing_slash(output_dir), target = dated(folder);
  try {
    rename_directory(folder, target);
  } catch (const Error& error) {
    throw Error(ErrorKind::kConfig,
                fmt::format("'{}' holds another run's results and cannot be renamed: {}", output_dir, error.message()),
                {.file = "", .line = 0, .key = "output_dir"}, "give another output_dir");
  }
  log::info("{} holds another run's results: renamed to {}{}", output_dir, target, offers ? how_to_go_on(target) : "");
  return take_output_folder(output_dir, {});
}

std::vector<CheckpointFolder> list_checkpoints(const std::string& output_dir) {
  std::vector<CheckpointFolder> found;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(output_dir, error)) {
    if (!entry.is_directory()) continue;
    if (const auto step = step_of(entry.path().filename().string())) found.push_back({*step, entry.path().string()});
  }
  std::sort(found.begin(), found.end(), [](const auto& a, const auto& b) { return a.step < b.step; });
  return found;
}

void set_later_checkpoints_aside(const std::string& output_dir, int64_t step, const std::string& resumed) {
  const std::vector<CheckpointFolder> all = list_checkpoints(output_dir);
  bool any = false;
  // The newest first: a run that is killed meanwhile leaves none that stands for this course of it.
  for (auto folder = all.rbegin(); folder != all.rend() && folder->step >= step; ++folder) {
    std::error_code none;
    if (folder->step == step && fs::equivalent(folder->path, resumed, none)) continue;
    const std::string target = dated(folder->path);
    rename_directory(folder->path, target);
    log::info("The run goes on from step {}: {} is of another course of it, or damaged, and is renamed to {}", step,
              folder->path, target);
    any = true;
  }
  if (any) sync_directory(output_dir);
}

void rotate_checkpoints(const std::string& output_dir, int64_t limit, const std::optional<std::string>& best,
                        const std::string& written) {
  if (limit <= 0) return;
  const std::vector<CheckpointFolder> all = list_checkpoints(output_dir);
  if (all.empty()) return;
  const auto is = [](const CheckpointFolder& folder, const std::string& path) {
    return fs::path(folder.path).filename() == fs::path(path).filename();
  };
  const std::string newest = written.empty() ? all.back().path : written;
  const bool best_is_old =
      best && std::any_of(all.begin(), all.end(), [&](const auto& f) { return is(f, *best) && !is(f, newest); });
  const size_t keep = std::max(static_cast<size_t>(limit), size_t{best_is_old ? 2U : 1U});
  size_t remaining = all.size();
  for (const CheckpointFolder& folder : all) {
    if (remaining <= keep) return;
    if (is(folder, newest) || (best && is(folder, *best))) continue;
    remove_checkpoint(folder.path);
    --remaining;
  }
}

}  // namespace lathe
