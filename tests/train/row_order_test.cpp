#include "train/row_order.h"

#include <gmock/gmock.h>
#include <lathe/error.h>

#include "train/training_fixture.h"

namespace lathe {
namespace {

class RowOrderTest : public TrainingTest {
 protected:
  /// The message of going on from the run of `before`; "": it is not refused.
  std::string refusal(const std::vector<std::string>& before, const std::vector<std::string>& now, int64_t rows = 22) {
    try {
      check_row_order("out/checkpoint-5", row_order(settings(before), 22), row_order(settings(now), rows));
      return "";
    } catch (const Error& error) {
      EXPECT_EQ(exit_code(error.kind()), 2);
      return error.what();
    }
  }
};

TEST_F(RowOrderTest, WhatChangesTheRowsOfAnUpdateIsRefusedByName) {
  using ::testing::HasSubstr;
  const std::string batch = refusal({"per_device_train_batch_size=2"}, {"per_device_train_batch_size=4"});
  EXPECT_THAT(batch, HasSubstr("per_device_train_batch_size times gradient_accumulation_steps (it was"));
  EXPECT_THAT(batch, HasSubstr("out/checkpoint-5"));
  EXPECT_THAT(refusal({}, {"seed=7"}), HasSubstr("seed (it was 42, now 7)"));
  EXPECT_THAT(refusal({}, {"data_seed=7"}), HasSubstr("seed (it was 42, now 7)"));
  EXPECT_THAT(refusal({}, {"packing=true"}), HasSubstr("packing (it was false, now true)"));
  EXPECT_THAT(refusal({"packing=true"}, {"packing=true", "max_seq_length=64"}), HasSubstr("max_seq_length (it was"));
  EXPECT_THAT(refusal({}, {"train_sampling_strategy=group_by_length"}), HasSubstr("train_sampling_strategy (it was"));
  EXPECT_THAT(refusal({}, {"dataloader_drop_last=true"}), HasSubstr("dataloader_drop_last (it was"));
  EXPECT_THAT(refusal({}, {}, 20), HasSubstr("number of rows (it was 22, now 20)"));
  const std::string split = "eval_split_ratio=0.1";
  EXPECT_THAT(refusal({split, "data_seed=1"}, {split, "data_seed=1", "seed=7"}), HasSubstr("seed of the split"));
  EXPECT_THAT(refusal({split}, {"eval_split_ratio=0.2"}), HasSubstr("eval_split_ratio (it was 0.1, now 0.2)"));
}

TEST_F(RowOrderTest, WhatLeavesThemIsNot) {
  EXPECT_EQ(refusal({"per_device_train_batch_size=4", "gradient_accumulation_steps=1"},
                    {"per_device_train_batch_size=2", "gradient_accumulation_steps=2"}),
            "");
  EXPECT_EQ(refusal({}, {"learning_rate=1e-5", "max_seq_length=64", "dataloader_num_workers=3"}), "");
  EXPECT_EQ(refusal({"train_sampling_strategy=sequential"}, {"train_sampling_strategy=sequential", "seed=7"}), "");
  EXPECT_NO_THROW(check_row_order("out/checkpoint-5", nullptr, row_order(settings(), 22)));
}

/// Rows that come together by their length come together in so many batches.
TEST_F(RowOrderTest, GroupedRowsDependOnTheBatchItself) {
  const std::string grouped = "train_sampling_strategy=group_by_length";
  EXPECT_NE(refusal({grouped, "per_device_train_batch_size=4", "gradient_accumulation_steps=1"},
                    {grouped, "per_device_train_batch_size=2", "gradient_accumulation_steps=2"}),
            "");
}

TEST_F(RowOrderTest, ARunIsNotGoneOnWithAnotherBatch) {
  run({"max_steps=4", "save_steps=2", "save_strategy=steps"});
  const std::string from = "resume_from_checkpoint=" + out() + "/checkpoint-2";
  EXPECT_THROW(run({from, "per_device_train_batch_size=8"}), Error);
  EXPECT_NO_THROW(run({from, "max_steps=4"}));
}

}  // namespace
}  // namespace lathe
