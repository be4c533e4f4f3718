#include "base/mt19937.h"

#include <gtest/gtest.h>
#include <lathe/error.h>

#include <bit>
#include <nlohmann/json.hpp>
#include <random>

#include "base/json.h"

namespace lathe {
namespace {

Json oracle() {
  return read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/mt19937.json");
}

TEST(Mt19937, DrawsAsTheStandardsGenerator) {
  Mt19937 ours(5489);
  std::mt19937 standard;  // 5489 is its default seed, and its 10000th draw is fixed by the C++ standard
  uint32_t last = 0;
  for (int i = 0; i < 10000; ++i) ASSERT_EQ(last = ours.next(), standard());
  EXPECT_EQ(last, 4123659995U);
}

TEST(Mt19937, DrawsUniformFloatsAsTorch) {
  for (const Json& run : oracle()["uniform"]) {
    Mt19937 generator(run["seed"].get<uint64_t>());
    std::vector<float> drawn(run["bits"].size());
    generator.uniform(drawn.data(), static_cast<int64_t>(drawn.size()), run["low"], run["high"]);
    for (size_t i = 0; i < drawn.size(); ++i) {
      ASSERT_EQ(std::bit_cast<int32_t>(drawn[i]), run["bits"][i].get<int32_t>()) << run["seed"] << " at " << i;
    }
  }
}

TEST(Mt19937, UniformFloatsAreTheSameInAnyPieces) {
  std::vector<float> whole(4000), pieces(4000);
  Mt19937(3).uniform(whole.data(), 4000, -0.25, 0.5);
  Mt19937 generator(3);
  int64_t done = 0;
  for (const int64_t count : {1, 0, 622, 2, 624, 1300, 5, 1446}) {
    generator.uniform(pieces.data() + done, count, -0.25, 0.5);
    done += count;
  }
  ASSERT_EQ(done, 4000);
  EXPECT_EQ(pieces, whole);
  Mt19937 stepped(3);
  stepped.discard(4000);
  EXPECT_EQ(generator.next(), stepped.next());
}

TEST(Mt19937, PermutesAsTorch) {
  for (const Json& run : oracle()["randperm"]) {
    Mt19937 generator(run["seed"].get<uint64_t>());
    EXPECT_EQ(random_permutation(run["count"], generator), run["order"].get<std::vector<int64_t>>());
  }
  Mt19937 generator(0);
  EXPECT_THROW((void)random_permutation(int64_t{1} << 30, generator), Error);
}

TEST(Mt19937, DiscardsAndRestores) {
  for (const uint64_t count : {0U, 1U, 623U, 624U, 625U, 5000U}) {
    Mt19937 stepped(7), jumped(7);
    for (uint64_t i = 0; i < count; ++i) (void)stepped.next();
    jumped.discard(count);
    Mt19937 restored(0);
    restored.set_state(jumped.state());
    for (int i = 0; i < 700; ++i) {
      const uint32_t expected = stepped.next();
      ASSERT_EQ(jumped.next(), expected);
      ASSERT_EQ(restored.next(), expected);
    }
  }
  Mt19937 generator(0);
  EXPECT_THROW(generator.set_state({1, 2, 3}), Error);
}

}  // namespace
}  // namespace lathe
