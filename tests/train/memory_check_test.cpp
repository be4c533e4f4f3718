#include "train/memory_check.h"

#include <gtest/gtest.h>
#include <lathe/error.h>
#include <unistd.h>

#include <filesystem>
#include <limits>

#include "base/file.h"
#include "data/dataset_sample.h"
#include "train/run_length.h"

namespace lathe {
namespace {

Dataset rows_of(const std::vector<int>& lengths) {
  std::vector<EncodedRow> rows;
  for (const int length : lengths) {
    rows.emplace_back().input_ids.assign(static_cast<size_t>(length), 1);
    rows.back().labels = rows.back().input_ids;
    rows.back().labels[0] = kIgnoreLabel;
  }
  Dataset dataset;
  lay_out(std::move(rows), dataset);
  return dataset;
}

TEST(LargestLoad, IsTheLargestMicroBatchOfTheRun) {
  TrainingArguments args;
  args.per_device_train_batch_size = 1;
  args.per_device_eval_batch_size = 2;
  args.gradient_accumulation_steps = 1;
  const Dataset train = rows_of({5, 9, 3}), eval = rows_of({6, 6, 2});
  const auto load_of = [&](const Dataset* held_out, int64_t max_steps) {
    return largest_load(args, TrainLoader(train, loader_options(args)), train, held_out, max_steps);
  };
  const LoadShape alone = load_of(nullptr, 3);
  EXPECT_EQ(alone.train.tokens, 9);
  EXPECT_EQ(alone.train.longest_row, 9);
  EXPECT_EQ(alone.train.targets, 8);
  EXPECT_EQ(load_of(&eval, 3).eval.tokens, 12);
  args.per_device_train_batch_size = 3;
  EXPECT_EQ(load_of(nullptr, 1).train.tokens, 17);
  args.packing = true;
  args.per_device_train_batch_size = 1;
  args.max_seq_length = 17;
  EXPECT_EQ(load_of(nullptr, 1).train.tokens, 17);  // all three rows in one pack
  EXPECT_EQ(load_of(nullptr, 1).train.longest_row, 9);
}

TEST(LargestLoad, SeesALongRowThatComesLate) {
  TrainingArguments args;
  args.per_device_train_batch_size = 1;
  args.gradient_accumulation_steps = 1;
  args.train_sampling_strategy = "sequential";
  std::vector<int> lengths(30000, 2);
  lengths.back() = 50;
  const Dataset train = rows_of(lengths);
  const TrainLoader loader(train, loader_options(args));
  EXPECT_EQ(largest_load(args, loader, train, nullptr, 30000).train.tokens, 50);
  EXPECT_EQ(largest_load(args, loader, train, nullptr, 29999).train.tokens, 2);
}

TEST(CheckDisk, RefusesWhatCannotBeSaved) {
  TrainingArguments args;
  args.output_dir = ::testing::TempDir();
  args.use_lora = true;
  ModelShape shape;
  check_disk(shape, args, 1000, {3, 3}, 0);
  try {
    check_disk(shape, args, int64_t{1} << 50, {3, 3}, 0);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.where().key, "output_dir");
    EXPECT_EQ(exit_code(error.kind()), 2);
  }
}

/// A run that is started again needs no room for the checkpoints it has made.
TEST(CheckDisk, WhatLiesThereAlreadyTakesNoMoreRoom) {
  TrainingArguments args;
  args.output_dir = ::testing::TempDir() + "check_disk_" + std::to_string(getpid());
  args.save_total_limit = 2;
  args.use_lora = true;
  make_directory(args.output_dir);
  const int64_t one = free_disk_bytes(args.output_dir) / 3;  // bytes of a checkpoint
  const auto bytes_of = [&](int64_t elements) { return checkpoint_bytes(ModelShape(), args, elements); };
  const int64_t trainable = (one - bytes_of(0)) / (bytes_of(1) - bytes_of(0));
  EXPECT_THROW(check_disk(ModelShape(), args, trainable, {9, 9}, 0), Error);  // three, and the final save
  EXPECT_NO_THROW(check_disk(ModelShape(), args, trainable, {9, 9}, 2));
  ::testing::internal::CaptureStderr();
  check_disk(ModelShape(), args, trainable, {1, 9}, 0);
  const std::string said = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(said.find("save_strategy \"best\" may save up to"), std::string::npos) << said;
  std::filesystem::remove_all(args.output_dir);
}

}  // namespace
}  // namespace lathe
