#pragma once
// The folder a run writes to: whose results lie in it, which checkpoints, which of them go.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/folder_lock.h"

namespace lathe {

/// What a run reads: the key that names it, and where it lies.
struct InputPath {
  std::string key, path;
};

/// Makes output_dir and takes it for this run. Nothing that lies there is changed.
/// @throws Error(kConfig) when it is not writable, when it is itself what the run reads, or when another run is writing
/// to it.
[[nodiscard]] FolderLock take_output_folder(const std::string& output_dir, const std::vector<InputPath>& inputs);

/// For a run that begins anew in it: whether set_aside has to come before its first file.
/// @throws Error(kConfig) when output_dir holds another run's results, and overwrite is false or one of the inputs
/// would be renamed with it.
[[nodiscard]] bool holds_another_run(const std::string& output_dir, bool overwrite,
                                     const std::vector<InputPath>& inputs);

/// Renames output_dir to NAME.YYYYMMDD-HHMMSS beside it and says so.
/// @param offers says how to go on with a run that did not end
/// @return of the empty folder in its place. @throws Error(kConfig)
[[nodiscard]] FolderLock set_aside(const std::string& output_dir, bool offers);

/// A run that goes on from `resumed`, of `step`, leaves other checkpoints of that step and of later ones: they are of
/// another course of it, or damaged. They are renamed to checkpoint-N.YYYYMMDD-HHMMSS, which nothing resumes from or
/// drops, and it is said. @throws Error(kIo)
void set_later_checkpoints_aside(const std::string& output_dir, int64_t step, const std::string& resumed);

[[nodiscard]] std::string without_trailing_slash(std::string path);

/// Whether a path is a folder or lies somewhere in it, however either is written.
[[nodiscard]] bool lies_in(const std::string& path, const std::string& folder);

/// Whether a run has left results, logs or checkpoints in a folder.
[[nodiscard]] bool holds_results(const std::string& directory);

struct CheckpointFolder {
  int64_t step = 0;
  std::string path;
};
/// checkpoint-N folders, oldest step first.
[[nodiscard]] std::vector<CheckpointFolder> list_checkpoints(const std::string& output_dir);

/// Drops the oldest until limit are left; never `best`, and never the one just written ("": that of the highest step):
/// a run that went back to an older checkpoint may have later ones, damaged or not, beside it. limit <= 0: keeps all.
/// @throws Error(kIo)
void rotate_checkpoints(const std::string& output_dir, int64_t limit, const std::optional<std::string>& best,
                        const std::string& written = "");

}  // namespace lathe
