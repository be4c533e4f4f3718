#include "data/loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/json.h"
#include "data/dataset_sample.h"

namespace lathe {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Rows = std::vector<std::vector<int64_t>>;

/// Row i has 1 + i * 7 % 13 tokens; ids tell row and position.
Dataset make_dataset(int64_t rows) {
  std::vector<EncodedRow> encoded(static_cast<size_t>(rows));
  for (int64_t row = 0; row < rows; ++row) {
    EncodedRow& sample = encoded[static_cast<size_t>(row)];
    for (int64_t at = 0; at < 1 + row * 7 % 13; ++at) {
      sample.input_ids.push_back(static_cast<int32_t>(row * 100 + at));
      sample.labels.push_back(at % 3 == 2 ? kIgnoreLabel : sample.input_ids.back());
    }
  }
  Dataset dataset;
  lay_out(std::move(encoded), dataset);
  return dataset;
}

std::vector<int64_t> rows_of_epoch(const TrainLoader& loader, int64_t epoch) {
  std::vector<int64_t> rows;
  for (int64_t i = 0; i < loader.updates_per_epoch(); ++i) {
    for (const auto& micro_batch : loader.update_rows(epoch * loader.updates_per_epoch() + i)) {
      rows.insert(rows.end(), micro_batch.begin(), micro_batch.end());
    }
  }
  return rows;
}

bool is_every_row_once(std::vector<int64_t> rows, int64_t count) {
  std::sort(rows.begin(), rows.end());
  std::vector<int64_t> all(static_cast<size_t>(count));
  std::iota(all.begin(), all.end(), int64_t{0});
  return rows == all;
}

TEST(TrainLoader, UpdatesEqualThoseOfTransformers) {
  const Json oracle = read_json_file(std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/row_order.json");
  ASSERT_GT(oracle.at("cases").size(), 10u);
  for (const Json& item : oracle.at("cases")) {
    const Dataset dataset = make_dataset(item.at("rows").get<int64_t>());
    LoaderOptions options;
    options.batch_size = item.at("batch_size").get<int64_t>();
    options.gradient_accumulation_steps = item.at("gradient_accumulation_steps").get<int64_t>();
    options.drop_last = item.at("drop_last").get<bool>();
    options.seed = item.at("seed").get<uint64_t>();
    const TrainLoader loader(dataset, options);
    const auto expected = item.at("updates").get<std::vector<Rows>>();
    EXPECT_EQ(loader.updates_per_epoch() * item.at("epochs").get<int64_t>(), static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(loader.update_rows(static_cast<int64_t>(i)), expected[i]) << item.at("rows") << ", update " << i;
    }
  }
}

TEST(TrainLoader, GroupsByLengthAsTransformersDoes) {
  const Json oracle = read_json_file(std::string(LATHE_SOURCE_DIR) + "/tests/oracle/values/row_order_grouped.json");
  ASSERT_GT(oracle.at("cases").size(), 5u);
  for (const Json& item : oracle.at("cases")) {
    const auto lengths = item.at("lengths").get<std::vector<size_t>>();
    std::vector<EncodedRow> encoded(lengths.size());
    for (size_t row = 0; row < lengths.size(); ++row) {
      encoded[row].input_ids.assign(lengths[row], 1);
      encoded[row].labels.assign(lengths[row], 1);
    }
    Dataset dataset;
    lay_out(std::move(encoded), dataset);
    LoaderOptions options;
    options.batch_size = item.at("batch_size").get<int64_t>();
    options.gradient_accumulation_steps = item.at("gradient_accumulation_steps").get<int64_t>();
    options.drop_last = item.at("drop_last").get<bool>();
    options.seed = item.at("seed").get<uint64_t>();
    options.group_by_length = true;
    const TrainLoader loader(dataset, options);
    const auto expected = item.at("updates").get<std::vector<Rows>>();
    for (size_t i = 0; i < expected.size(); ++i) {
      EXPECT_EQ(loader.update_rows(static_cast<int64_t>(i)), expected[i]) << lengths.size() << " rows, update " << i;
    }
  }
}

TEST(TrainLoader, EveryRowComesOnceAnEpoch) {
  for (const int64_t count : {1, 2, 13, 64, 101}) {
    const Dataset dataset = make_dataset(count);
    for (const int64_t batch_size : {1, 3, 8}) {
      for (const int64_t accumulation : {1, 4}) {
        for (const int64_t packing : {0, 20}) {
          LoaderOptions options;
          options.batch_size = batch_size;
          options.gradient_accumulation_steps = accumulation;
          options.packing_tokens = packing;
          const TrainLoader loader(dataset, options);
          for (int64_t epoch = 0; epoch < 3; ++epoch)
            EXPECT_TRUE(is_every_row_once(rows_of_epoch(loader, epoch), count));
        }
      }
    }
  }
}

TEST(TrainLoader, AnUpdateDependsOnItsIndexAlone) {
  const Dataset dataset = make_dataset(29);
  for (const int64_t packing : {0, 16}) {
    LoaderOptions options;
    options.batch_size = 2;
    options.gradient_accumulation_steps = 3;
    options.packing_tokens = packing;
    const TrainLoader forward(dataset, options);
    const int64_t count = 4 * forward.updates_per_epoch();
    std::vector<Rows> expected;
    for (int64_t i = 0; i < count; ++i) expected.push_back(forward.update_rows(i));
    const TrainLoader backward(dataset, options);
    for (int64_t i = count - 1; i >= 0; --i) EXPECT_EQ(backward.update_rows(i), expected[static_cast<size_t>(i)]);
    const TrainLoader resumed(dataset, options);
    EXPECT_EQ(resumed.update_rows(count - 2), expected[static_cast<size_t>(count - 2)]);
  }
}

TEST(TrainLoader, EpochsAndSeedsDiffer) {
  const Dataset dataset = make_dataset(50);
  const TrainLoader loader(dataset, {.seed = 42}), other(dataset, {.seed = 43}), ordered(dataset, {.shuffle = false});
  EXPECT_NE(rows_of_epoch(loader, 0), rows_of_epoch(loader, 1));
  EXPECT_NE(rows_of_epoch(loader, 0), rows_of_epoch(other, 0));
  EXPECT_EQ(rows_of_epoch(loader, 1), rows_of_epoch(other, 0));  // seed + epoch
  const std::vector<int64_t> in_order = rows_of_epoch(ordered, 1);
  EXPECT_TRUE(std::is_sorted(in_order.begin(), in_order.end()));
}

TEST(TrainLoader, DropLastThatLeavesNothingIsAnError) {
  const Dataset dataset = make_dataset(3);
  try {
    const TrainLoader loader(dataset, {.batch_size = 4, .drop_last = true});
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_EQ(error.where().key, "dataloader_drop_last");
    EXPECT_THAT(error.what(), HasSubstr("3 rows do not fill one batch of 4"));
  }
}

TEST(TrainLoader, PacksHoldAtMostTheirTokensAndNoTwoOfThemWouldFitInOne) {
  const Dataset dataset = make_dataset(200);
  constexpr int64_t kTokens = 24;
  const TrainLoader loader(dataset, {.packing_tokens = kTokens});
  EXPECT_EQ(loader.num_packs(), loader.updates_per_epoch());
  std::vector<int64_t> tokens;
  for (int64_t i = 0; i < loader.updates_per_epoch(); ++i) {
    const Rows rows = loader.update_rows(i);
    ASSERT_EQ(rows.size(), 1u);
    tokens.push_back(make_batch(dataset, rows[0]).num_tokens());
    EXPECT_LE(tokens.back(), kTokens);
  }
  // Any-fit: a pack is only opened for a row that fits into no other.
  std::sort(tokens.begin(), tokens.end());
  EXPECT_GT(tokens[0] + tokens[1], kTokens);
}

TEST(TrainLoader, ARowGoesIntoTheFullestPackThatHoldsIt) {
  std::vector<EncodedRow> rows;
  for (const int length : {6, 7, 3, 4, 10}) {
    rows.emplace_back().input_ids.assign(static_cast<size_t>(length), 1);
    rows.back().labels = rows.back().input_ids;
  }
  Dataset dataset;
  lay_out(std::move(rows), dataset);
  const TrainLoader loader(dataset, {.batch_size = 3, .shuffle = false, .packing_tokens = 10});
  EXPECT_THAT(loader.update_rows(0), ElementsAre(ElementsAre(0, 3, 1, 2, 4)));  // 6+4, 7+3, 10
}

TEST(Batch, RowsAreLaidEndToEndAndTargetsStayInTheirRow) {
  std::vector<EncodedRow> rows(3);
  rows[0].input_ids = {1, 2, 3};
  rows[0].labels = {kIgnoreLabel, 2, 3};
  rows[1].input_ids = {4};
  rows[1].labels = {4};
  rows[2].input_ids = {5, 6};
  rows[2].labels = {5, kIgnoreLabel};
  Dataset dataset;
  lay_out(std::move(rows), dataset);
  const Batch batch = make_batch(dataset, {2, 0, 1});
  EXPECT_THAT(batch.input_ids, ElementsAre(5, 6, 1, 2, 3, 4));
  EXPECT_THAT(batch.targets, ElementsAre(kIgnoreLabel, kIgnoreLabel, 2, 3, kIgnoreLabel, kIgnoreLabel));
  EXPECT_THAT(batch.positions, ElementsAre(0, 1, 0, 1, 2, 0));
  EXPECT_THAT(batch.cu_seqlens, ElementsAre(0, 2, 5, 6));
  EXPECT_THAT(batch.rows, ElementsAre(2, 0, 1));
  EXPECT_EQ(batch.num_tokens(), 6);
  EXPECT_EQ(batch.num_rows(), 3);
  EXPECT_EQ(batch.num_targets(), 2);
  EXPECT_EQ(batch.longest_row(), 3);
}

TEST(Batch, TargetsAreTheNextTokensOfTheSameRow) {
  const Dataset dataset = make_dataset(40);
  const TrainLoader loader(dataset, {.batch_size = 7});
  for (int64_t i = 0; i < loader.updates_per_epoch(); ++i) {
    for (const Batch& batch : loader.update(i)) {
      int64_t targets = 0;
      for (int64_t r = 0; r < batch.num_rows(); ++r) {
        const Sample& sample = dataset.samples[static_cast<size_t>(batch.rows[static_cast<size_t>(r)])];
        const auto begin = static_cast<size_t>(batch.cu_seqlens[static_cast<size_t>(r)]);
        const auto end = static_cast<size_t>(batch.cu_seqlens[static_cast<size_t>(r) + 1]);
        ASSERT_EQ(end - begin, sample.input_ids.size());
        for (size_t at = 0; at < end - begin; ++at) {
          EXPECT_EQ(batch.input_ids[begin + at], sample.input_ids[at]);
          EXPECT_EQ(batch.targets[begin + at], at + 1 < sample.labels.size() ? sample.labels[at + 1] : kIgnoreLabel);
          EXPECT_EQ(batch.positions[begin + at], static_cast<int32_t>(at));
        }
        targets += num_targets(sample);
      }
      EXPECT_EQ(batch.num_targets(), targets);
    }
  }
}

TEST(EvalBatches, RowsComeInTheirOwnOrder) {
  EXPECT_EQ(eval_batches(5, 2), (Rows{{0, 1}, {2, 3}, {4}}));
  EXPECT_EQ(eval_batches(4, 2), (Rows{{0, 1}, {2, 3}}));
  EXPECT_TRUE(eval_batches(0, 3).empty());
}

}  // namespace
}  // namespace lathe
