#pragma once
// The folder a run writes to: whose results lie in it, which checkpoints, which of them go.
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace lathe {

/// What a run reads: the key that names it, and where it lies.
struct InputPath {
  std::string key, path;
};

/// Prepares output_dir for a run: makes it, checks that it can be written. A folder that holds another run's results
/// is renamed to NAME.YYYYMMDD-HHMMSS beside it (said), or refused when overwrite is false. resuming: it stays as it
/// is.
/// @throws Error(kConfig) when refused or not writable; when output_dir is what the run reads, or one of these would be
/// renamed with it.
void prepare_output_folder(const std::string& output_dir, bool overwrite, bool resuming,
                           const std::vector<InputPath>& inputs = {});

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
