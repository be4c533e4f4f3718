#include "data/update_queue.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <iterator>
#include <stdexcept>
#include <thread>

#include "data/dataset_sample.h"

namespace lathe {
namespace {

Dataset make_dataset(int64_t rows) {
  std::vector<EncodedRow> encoded(static_cast<size_t>(rows));
  for (int64_t row = 0; row < rows; ++row) {
    EncodedRow& sample = encoded[static_cast<size_t>(row)];
    sample.input_ids.assign(static_cast<size_t>(1 + row * 5 % 11), static_cast<int32_t>(row));
    sample.labels = sample.input_ids;
  }
  Dataset dataset;
  lay_out(std::move(encoded), dataset);
  return dataset;
}

bool same(const std::vector<Batch>& a, const std::vector<Batch>& b) {
  return std::ranges::equal(a, b, [](const Batch& x, const Batch& y) {
    return x.input_ids == y.input_ids && x.targets == y.targets && x.positions == y.positions &&
           x.cu_seqlens == y.cu_seqlens && x.rows == y.rows;
  });
}

int64_t threads_of_this_process() {
  return std::distance(std::filesystem::directory_iterator("/proc/self/task"), {});
}

TEST(UpdateQueue, UpdatesAreThoseOfTheLoaderWhateverTheNumberOfThreads) {
  const Dataset dataset = make_dataset(57);
  for (const int64_t packing : {0, 16}) {
    const TrainLoader loader(dataset, {.batch_size = 2, .gradient_accumulation_steps = 3, .packing_tokens = packing});
    const TrainLoader wanted(dataset, {.batch_size = 2, .gradient_accumulation_steps = 3, .packing_tokens = packing});
    const int64_t end = 3 * loader.updates_per_epoch();
    for (const int64_t threads : {0, 1, 2, 7, 1000}) {
      for (const int64_t first : {int64_t{0}, int64_t{4}, end - 1}) {  // from the start, in the middle of an epoch
        UpdateQueue queue(loader, first, end, threads);
        for (int64_t i = first; i < end; ++i) EXPECT_TRUE(same(queue.next(), wanted.update(i))) << i << "/" << threads;
      }
    }
  }
}

TEST(UpdateQueue, NoThreadOutlivesIt) {
  const Dataset dataset = make_dataset(40);
  const TrainLoader loader(dataset, {});
  const int64_t before = threads_of_this_process();
  {
    UpdateQueue queue(loader, 0, 40, 3);
    EXPECT_EQ(threads_of_this_process(), before + 3);
    (void)queue.next();  // left with most of it unasked for
  }
  // A thread that was joined stays listed for a moment: the kernel wakes who waits for it before it takes it off.
  for (int i = 0; i < 1000 && threads_of_this_process() > before; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  EXPECT_EQ(threads_of_this_process(), before);
  const UpdateQueue never_asked(loader, 0, 40, 2), nothing_to_do(loader, 5, 5, 2), past_its_end(loader, 6, 5, 2);
}

TEST(UpdateQueue, AnErrorComesOutWhereItsUpdateWouldHave) {
  const Dataset whole = make_dataset(8);
  for (const int64_t threads : {0, 2}) {
    Dataset shrinking = whole;
    const TrainLoader loader(shrinking, {.shuffle = false, .packing_tokens = 1});  // a row is a pack
    shrinking.samples.resize(3);
    UpdateQueue queue(loader, 0, 8, threads);
    for (int i = 0; i < 3; ++i) EXPECT_EQ(queue.next().size(), 1u);
    EXPECT_THROW((void)queue.next(), std::out_of_range);
  }
}

}  // namespace
}  // namespace lathe
