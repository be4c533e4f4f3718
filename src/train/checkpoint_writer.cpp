#include "train/checkpoint_writer.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <limits>
#include <new>
#include <utility>

#include "base/log.h"
#include "base/write_calls.h"
#include "train/clock.h"

namespace lathe {

CheckpointWriter::~CheckpointWriter() {
  if (thread_.joinable()) thread_.join();
}

void CheckpointWriter::begin(PendingCheckpoint pending, std::function<void()> afterwards) {
  LATHE_ASSERT(!thread_.joinable());
  pending_ = std::make_unique<PendingCheckpoint>(std::move(pending));
  afterwards_ = std::move(afterwards);
  tensors_written_ = 0;
  done_ = false;
  start_s_ = now_s();
  outcome_ = {.folder = pending_->folder, .error = std::nullopt};
  no_memory_ = fmt::format("{}: no memory left to write it", outcome_.folder);
  thread_ = std::thread([this] { write(); });
}

void CheckpointWriter::write() {
  try {
    write_checkpoint(*pending_, {.tensor_written = [this] {
      {
        const std::lock_guard lock(mutex_);
        ++tensors_written_;
      }
      changed_.notify_one();
    }});
  } catch (const std::exception& error) {
    keep(error);
  }
  {
    const std::lock_guard lock(mutex_);
    tensors_written_ = std::numeric_limits<size_t>::max();
  }
  changed_.notify_one();
  if (!outcome_.error) {
    try {
      afterwards_();
      write_calls().point("save.pruned");
    } catch (const std::exception& error) {
      log::warning("old checkpoints could not be removed: {}", error.what());
    }
  }
  outcome_.seconds = now_s() - start_s_;
  const std::lock_guard lock(mutex_);
  done_ = true;
}

/// Memory may be what is missing: then the sentence that begin() prepared is all that can be said.
void CheckpointWriter::keep(const std::exception& error) {
  if (dynamic_cast<const std::bad_alloc*>(&error) == nullptr) {
    try {
      outcome_.error = error.what();
      return;
    } catch (const std::bad_alloc&) {
      // as if it had been that
    }
  }
  outcome_.error = std::move(no_memory_);
}

void CheckpointWriter::wait_for_tensors(size_t count) {
  if (!thread_.joinable()) return;
  std::unique_lock lock(mutex_);
  if (tensors_written_ >= count) return;
  const double start = now_s();
  changed_.wait(lock, [&] { return tensors_written_ >= count; });
  waited_s_ += now_s() - start;
}

void CheckpointWriter::wait_for_parameter(size_t index) {
  if (thread_.joinable()) wait_for_tensors(pending_->last_reads[index]);
}

void CheckpointWriter::wait_until_read() {
  wait_for_tensors(std::numeric_limits<size_t>::max());
}

std::optional<SaveOutcome> CheckpointWriter::take(bool wait) {
  if (!thread_.joinable()) return std::nullopt;
  if (!wait) {
    const std::lock_guard lock(mutex_);
    if (!done_) return std::nullopt;
  }
  const double start = now_s();
  thread_.join();
  if (wait) waited_s_ += now_s() - start;
  pending_.reset();
  return std::exchange(outcome_, {});
}

}  // namespace lathe
