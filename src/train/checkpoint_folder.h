#pragma once
// How a checkpoint-N folder becomes whole on disk, and how it is told from a damaged one. The order of a save
// (docs/reliability.md): data written and synced, manifest synced, renamed into place, parent synced; only then may
// older ones go. Anything in a checkpoint's place that does not agree with its manifest byte for byte is damaged.
#include <functional>
#include <optional>
#include <string>

#include "base/json.h"
#include "model/tensor_file.h"

namespace lathe {

/// What a save tells while it runs.
struct SaveProgress {
  std::function<void()> tensor_written;  ///< after each tensor of the files, in their order: it is not read again
};

/// Writes beside (checkpoint-N.tmp) and puts it in place of whatever was there, without a moment in which neither is
/// whole. @param manifest gets "files" (size and SHA-256 of each, worked out while writing). @throws Error(kIo); then
/// what was in place still is.
void write_checkpoint_folder(const std::string& folder, const FilesToSave& files, Json manifest,
                             const SaveProgress& progress = {});

/// The manifest of a whole checkpoint. @throws Error(kData)
[[nodiscard]] Json read_manifest(const std::string& folder);

/// The first thing wrong with a checkpoint ("adapter_model.safetensors does not have the checksum it was saved with");
/// nullopt: it is whole.
[[nodiscard]] std::optional<std::string> find_damage(const std::string& folder);

/// Removes what a killed run left (checkpoint-N.tmp, AtomicFile's NAME.tmp.PID.K) and puts a checkpoint back that had
/// just been renamed aside; says so in one line. For the start of a run, before anything is read. @throws Error(kIo)
void clean_up_after_kill(const std::string& output_dir);

/// Renames a checkpoint aside, then removes it: at no time is a half-removed one in a checkpoint's place.
void remove_checkpoint(const std::string& folder);

/// Where a checkpoint stands while another takes its place, or while it is removed.
[[nodiscard]] std::string aside_name(const std::string& folder);

}  // namespace lathe
