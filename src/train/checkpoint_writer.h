#pragma once
// Saving behind training (docs/reliability.md): a thread of its own reads the run's live tensors while the next forward
// and backward passes run, and the optimizer waits for a parameter that has not been read yet. Nothing is copied.
#include <condition_variable>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "train/checkpoint.h"

namespace lathe {

/// How a save ended.
struct SaveOutcome {
  std::string folder;
  std::optional<std::string> error;  ///< what and why; nullopt: the checkpoint is whole and lasts
  double seconds = 0;                ///< from begin() to its end
};

/// One save at a time. All calls from the thread that trains.
class CheckpointWriter {
 public:
  CheckpointWriter() = default;
  ~CheckpointWriter();  ///< waits for the save under way; its outcome is lost
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  /// Returns at once. No save may be under way: take(true) first.
  /// @param afterwards run behind the save when it went well (dropping old checkpoints).
  /// @throws Error, std::system_error (no thread)
  void begin(PendingCheckpoint pending, std::function<void()> afterwards);

  /// Blocks until the save under way, if any, no longer needs that parameter. Call before changing it.
  void wait_for_parameter(size_t index);
  /// Blocks until it no longer needs any.
  void wait_until_read();

  /// The outcome of the save begun last, once; nullopt when there is none (yet). @param wait for its end
  [[nodiscard]] std::optional<SaveOutcome> take(bool wait);

  /// Seconds that the calls above held the training thread up, of all saves.
  [[nodiscard]] double waited_s() const { return waited_s_; }

 private:
  void write();
  void keep(const std::exception& error);
  void wait_for_tensors(size_t count);

  std::unique_ptr<PendingCheckpoint> pending_;
  std::function<void()> afterwards_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable changed_;
  size_t tensors_written_ = 0;  ///< guarded by mutex_, as is done_
  bool done_ = false;
  SaveOutcome outcome_;
  std::string no_memory_;
  double start_s_ = 0, waited_s_ = 0;
};

}  // namespace lathe
