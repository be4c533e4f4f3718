#include "data/update_queue.h"

#include <lathe/error.h>

#include <algorithm>
#include <utility>

namespace lathe {

UpdateQueue::UpdateQueue(const TrainLoader& loader, int64_t first, int64_t end, int64_t num_threads)
    : loader_(loader), first_(first), end_(end), claimed_(first + 1), taken_(first) {
  const int64_t threads = std::clamp<int64_t>(std::min(num_threads, end - claimed_), 0, kMostThreads);
  capacity_ = threads + 1;
  for (int64_t i = 0; i < threads; ++i) threads_.emplace_back([this] { work(); });
}

UpdateQueue::~UpdateQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  room_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

std::vector<Batch> UpdateQueue::next() {
  std::unique_lock lock(mutex_);
  LATHE_ASSERT(taken_ < end_);
  const int64_t index = taken_++;
  Made made;
  if (threads_.empty() || index == first_) {  // asked for at once: a thread would have to wake up for it first
    made = make(index, lock);
  } else {
    made_.wait(lock, [&] { return ready_.contains(index); });
    made = std::move(ready_.extract(index).mapped());
  }
  room_.notify_one();
  if (made.error) std::rethrow_exception(made.error);
  return std::move(made.batches);
}

void UpdateQueue::work() {
  std::unique_lock lock(mutex_);
  while (true) {
    room_.wait(lock, [this] { return stopping_ || claimed_ == end_ || claimed_ - taken_ < capacity_; });
    if (stopping_ || claimed_ == end_) return;
    const int64_t index = claimed_++;
    ready_[index] = make(index, lock);
    made_.notify_one();
  }
}

// The loader keeps the order of one epoch, so rows are chosen under the lock; their tokens are copied outside of it.
UpdateQueue::Made UpdateQueue::make(int64_t index, std::unique_lock<std::mutex>& lock) const {
  Made made;
  try {
    const auto rows = loader_.update_rows(index);
    lock.unlock();
    made.batches = loader_.make_batches(rows);
  } catch (...) {
    made.error = std::current_exception();
  }
  if (!lock.owns_lock()) lock.lock();
  return made;
}

}  // namespace lathe
