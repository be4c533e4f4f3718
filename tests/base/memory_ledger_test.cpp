#include "base/memory_ledger.h"

#include <gtest/gtest.h>
#include <lathe/error.h>

#include <thread>
#include <vector>

namespace lathe {
namespace {

TEST(MemoryLedger, CountsClassesAndPeakOfTheSum) {
  MemoryLedger ledger;
  ledger.add(MemoryClass::kWeights, 100);
  ledger.add(MemoryClass::kWeights, -60);
  ledger.add(MemoryClass::kGradients, 50);
  EXPECT_EQ(ledger.current(MemoryClass::kWeights), 40);
  EXPECT_EQ(ledger.peak(MemoryClass::kWeights), 100);
  EXPECT_EQ(ledger.current_total(), 90);
  EXPECT_EQ(ledger.peak_total(), 100);
  ledger.reset_peaks();
  EXPECT_EQ(ledger.peak(MemoryClass::kWeights), 40);
  EXPECT_EQ(ledger.peak_total(), 90);
  EXPECT_EQ(name(MemoryClass::kCommunication), "communication");
}

TEST(MemoryLedger, LosesNothingBetweenThreads) {
  MemoryLedger ledger;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 10000; ++i) {
        ledger.add(MemoryClass::kWorkspace, 3);
        ledger.add(MemoryClass::kWorkspace, -2);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(ledger.current_total(), 40000);
  EXPECT_GE(ledger.peak_total(), 40000);
}

TEST(MemoryLedger, ScopesNestAndBelongToTheirThread) {
  EXPECT_EQ(MemoryScope::current(), MemoryClass::kWorkspace);
  const MemoryScope outer(MemoryClass::kWeights);
  {
    const MemoryScope inner(MemoryClass::kMaster);
    EXPECT_EQ(MemoryScope::current(), MemoryClass::kMaster);
    MemoryClass other{};
    std::thread([&] { other = MemoryScope::current(); }).join();
    EXPECT_EQ(other, MemoryClass::kWorkspace);
  }
  EXPECT_EQ(MemoryScope::current(), MemoryClass::kWeights);
}

TEST(MemoryLedger, SeesThisProcessGrow) {
  const ProcessMemory before = process_memory();
  EXPECT_GT(before.file_backed_bytes, 0);
  std::vector<char> block(64 << 20, 1);
  const ProcessMemory after = process_memory();
  EXPECT_GE(after.rss_bytes - before.rss_bytes, 60 << 20);
  EXPECT_GE(after.peak_rss_bytes, after.rss_bytes - (1 << 20));
  EXPECT_GT(available_memory_bytes(), 0);
  EXPECT_EQ(block[block.size() / 2], 1);
}

TEST(MemoryLedger, FormatsAndParsesBytes) {
  EXPECT_EQ(format_bytes(0), "0 B");
  EXPECT_EQ(format_bytes(1023), "1023 B");
  EXPECT_EQ(format_bytes(4096), "4.0 KiB");
  EXPECT_EQ(format_bytes(512 << 20), "512 MiB");
  EXPECT_EQ(format_bytes(1320702444), "1.23 GiB");
  EXPECT_EQ(format_bytes(-(int64_t{15} << 29)), "-7.5 GiB");
  EXPECT_EQ(format_bytes((int64_t{1} << 30) - 1), "1.0 GiB");
  EXPECT_EQ(parse_bytes("1048576"), 1048576);
  EXPECT_EQ(parse_bytes("8GiB"), int64_t{8} << 30);
  EXPECT_EQ(parse_bytes("800 MB"), 800'000'000);
  EXPECT_EQ(parse_bytes("1.5kib"), 1536);
  EXPECT_EQ(parse_bytes("2 G"), int64_t{2} << 30);
  for (const char* bad : {"", "GB", "8 E", "8 GiBs", "-1", "nan", "1e400", "12 parsecs", "0x10", "8GiB "}) {
    EXPECT_THROW((void)parse_bytes(bad), Error) << bad;
  }
}

}  // namespace
}  // namespace lathe
