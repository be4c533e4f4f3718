#include "ops/cpu_allocator.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>

#include <limits>
#include <thread>
#include <vector>

#include "base/memory_ledger.h"

namespace lathe {
namespace {

class CpuAllocatorTest : public ::testing::Test {
 protected:
  void SetUp() override { install_cpu_allocator(); }
};

TEST_F(CpuAllocatorTest, CountsEachBlockUnderItsScope) {
  const int64_t before = cpu_ledger().current(MemoryClass::kOptimizer);
  at::Tensor tensor;
  {
    const MemoryScope scope(MemoryClass::kOptimizer);
    tensor = at::zeros({1000}, at::kFloat);
  }
  EXPECT_EQ(cpu_ledger().current(MemoryClass::kOptimizer) - before, 4000);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor.data_ptr()) % 64, 0u);
  tensor.reset();
  EXPECT_EQ(cpu_ledger().current(MemoryClass::kOptimizer), before);
}

TEST_F(CpuAllocatorTest, GivesAFreedLargeBlockOutAgain) {
  const MemoryScope scope(MemoryClass::kActivations);
  const int64_t floats = (3 << 20) - 1000;  // both requests are of the class of 12 MiB
  void* first = nullptr;
  {
    const at::Tensor tensor = at::zeros({floats}, at::kFloat);
    first = tensor.data_ptr();
  }
  EXPECT_GE(cpu_cached_bytes(), floats * 4);
  const at::Tensor again = at::empty({floats - 100}, at::kFloat);
  EXPECT_EQ(again.data_ptr(), first);
}

TEST_F(CpuAllocatorTest, KeepsNoMoreThanItsLimit) {
  { const at::Tensor tensor = at::zeros({4 << 20}, at::kFloat); }
  set_cpu_cache_limit(0);
  EXPECT_EQ(cpu_cached_bytes(), 0);
  { const at::Tensor tensor = at::zeros({4 << 20}, at::kFloat); }
  EXPECT_EQ(cpu_cached_bytes(), 0);
  set_cpu_cache_limit(std::numeric_limits<int64_t>::max());
}

TEST_F(CpuAllocatorTest, ChangingSizesDoNotPileUp) {
  // Batches differ in length: what one size leaves behind must not stay when another is asked for.
  const auto mapped = [] { return process_memory().rss_bytes - process_memory().file_backed_bytes; };
  { const at::Tensor largest = at::zeros({100 << 20}, at::kByte); }
  const int64_t before = mapped();
  for (int64_t step = 0; step < 200; ++step) {
    std::vector<at::Tensor> alive;
    for (int64_t i = 0; i < 10; ++i) alive.push_back(at::ones({(1 + (step * 7 + i * 13) % 90) * 100000}, at::kByte));
  }
  EXPECT_LE(mapped() - before, int64_t{80} << 20);
}

TEST_F(CpuAllocatorTest, ABlockMayBeFreedOnAnotherThread) {
  const int64_t before = cpu_ledger().current_total();
  for (int round = 0; round < 50; ++round) {
    at::Tensor tensor = at::ones({100000 + round}, at::kFloat);
    std::thread([moved = std::move(tensor)]() mutable { moved.reset(); }).join();
  }
  EXPECT_EQ(cpu_ledger().current_total(), before);
}

TEST_F(CpuAllocatorTest, UntouchedZerosAreCountedButTakeNothingYet) {
  constexpr int64_t kBytes = int64_t{64} << 20;
  const int64_t before = cpu_ledger().current(MemoryClass::kOptimizer), resident = process_memory().rss_bytes;
  {
    const MemoryScope scope(MemoryClass::kOptimizer);
    at::Tensor zeros = untouched_zeros({16, kBytes / 64}, at::kFloat);
    EXPECT_EQ(cpu_ledger().current(MemoryClass::kOptimizer) - before, kBytes);
    EXPECT_LE(process_memory().rss_bytes - resident, kBytes / 8);
    EXPECT_EQ(zeros.abs().sum().item<float>(), 0);
    zeros.fill_(1);
    EXPECT_GE(process_memory().rss_bytes - resident, kBytes / 2);
  }
  EXPECT_EQ(cpu_ledger().current(MemoryClass::kOptimizer), before);
  EXPECT_EQ(untouched_zeros({3}, at::kShort).sum().item<int64_t>(), 0);
}

TEST_F(CpuAllocatorTest, EmptyTensorsAndClonesWork) {
  const at::Tensor none = at::empty({0, 3}, at::kFloat);
  EXPECT_EQ(none.numel(), 0);
  const at::Tensor source = at::arange(1 << 18, at::kFloat);
  EXPECT_TRUE(at::equal(source.clone(), source));
}

}  // namespace
}  // namespace lathe
