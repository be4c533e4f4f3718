#pragma once
// The next updates' batches, made ahead of the trainer on threads of their own.
#include <condition_variable>
#include <cstdint>
#include <exception>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "data/loader.h"

namespace lathe {

/// Hands out updates in order, each the same whatever the number of threads. One thread asks; the queue holds at most
/// one update more than it has threads. The destructor waits for the threads.
class UpdateQueue {
 public:
  static constexpr int64_t kMostThreads = 16;

  /// Updates first … end-1. @param loader outlives the queue and serves nobody else meanwhile.  @param num_threads 0:
  /// each update is made when it is asked for, as the first always is; more than kMostThreads count as that many.
  UpdateQueue(const TrainLoader& loader, int64_t first, int64_t end, int64_t num_threads);
  ~UpdateQueue();
  UpdateQueue(const UpdateQueue&) = delete;
  UpdateQueue& operator=(const UpdateQueue&) = delete;

  /// Waits for the next update. @throws what making it threw.
  [[nodiscard]] std::vector<Batch> next();

 private:
  struct Made {
    std::vector<Batch> batches;
    std::exception_ptr error;
  };
  void work();
  [[nodiscard]] Made make(int64_t index, std::unique_lock<std::mutex>& lock) const;

  const TrainLoader& loader_;
  const int64_t first_, end_;
  int64_t claimed_, taken_;  ///< the next update that a thread begins, and the next that is handed out
  int64_t capacity_ = 0;
  bool stopping_ = false;
  std::map<int64_t, Made> ready_;
  std::mutex mutex_;
  std::condition_variable made_, room_;
  std::vector<std::thread> threads_;
};

}  // namespace lathe
