// Generation with a cache against the whole row at once.
#include "model/kv_cache.h"

#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include "model/fixtures.h"

namespace lathe {
namespace {

using testing::fp32_options;
using testing::kModels;
using testing::MapStore;
using testing::max_abs;
using testing::Oracle;

class Caches : public ::testing::TestWithParam<const char*> {};
INSTANTIATE_TEST_SUITE_P(Stored, Caches, ::testing::ValuesIn(kModels));

TEST_P(Caches, OneTokenAfterAnotherEqualsAllAtOnce) {
  const Oracle oracle(GetParam());
  MapStore store(oracle.shape);
  store.add(oracle.weights());
  CausalLM model(oracle.shape, fp32_options());
  const std::vector<int32_t>& ids = oracle.rows[1].ids;
  KeyValueCache cache(oracle.shape, static_cast<int64_t>(ids.size()), at::kFloat);
  const at::Tensor theirs = oracle.get("logits.1");
  const std::vector<int32_t> prompt(ids.begin(), ids.begin() + 9);
  EXPECT_LE(max_abs(model.next_logits(prompt, cache, store), theirs[8]), 1e-5);
  for (size_t t = 9; t < ids.size(); ++t) {
    EXPECT_LE(max_abs(model.next_logits({ids[t]}, cache, store), theirs[static_cast<int64_t>(t)]), 1e-5) << t;
  }
  EXPECT_EQ(cache.length(), static_cast<int64_t>(ids.size()));
}

TEST(KeyValueCacheTest, HoldsWhatIsAppendedUntilCutOff) {
  ModelShape shape;
  shape.num_layers = 2, shape.num_kv_heads = 1, shape.head_dim = 2;
  KeyValueCache cache(shape, 3, at::kFloat);
  const at::Tensor k = at::arange(4, at::kFloat).view({2, 1, 2}), v = -k;
  (void)cache.append(1, k, v);
  cache.advance(2);
  const auto [keys, values] = cache.append(1, k.narrow(0, 1, 1), v.narrow(0, 1, 1));
  EXPECT_TRUE(at::equal(keys, at::cat({k, k.narrow(0, 1, 1)})));
  EXPECT_TRUE(at::equal(values, -keys));
  EXPECT_THROW((void)cache.append(1, k, v), Error);
  cache.truncate(1);
  EXPECT_EQ(cache.append(1, k, v).first.size(0), 3);
}

}  // namespace
}  // namespace lathe
