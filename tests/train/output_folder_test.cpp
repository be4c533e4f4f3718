#include "train/output_folder.h"

#include <gtest/gtest.h>
#include <lathe/error.h>
#include <unistd.h>

#include <filesystem>

#include "base/file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

class OutputFolder : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "output_folder_" + std::to_string(getpid());
    fs::remove_all(root_);
    fs::create_directories(root_);
  }
  void TearDown() override { fs::remove_all(root_); }

  void checkpoint(int step) const { fs::create_directories(root_ + "/out/checkpoint-" + std::to_string(step)); }
  [[nodiscard]] std::vector<int64_t> steps() const {
    std::vector<int64_t> found;
    for (const CheckpointFolder& folder : list_checkpoints(root_ + "/out")) found.push_back(folder.step);
    return found;
  }
  [[nodiscard]] size_t siblings() const {
    return static_cast<size_t>(std::distance(fs::directory_iterator(root_), fs::directory_iterator()));
  }

  std::string root_;
};

TEST_F(OutputFolder, AnotherRunsResultsAreRenamedNotDeleted) {
  fs::create_directories(root_ + "/out");
  atomic_write(root_ + "/out/train_results.json", "{}");
  prepare_output_folder(root_ + "/out", true, false);
  EXPECT_FALSE(holds_results(root_ + "/out"));
  ASSERT_EQ(siblings(), 2u);
  for (const auto& entry : fs::directory_iterator(root_)) {
    const std::string name = entry.path().filename();
    if (name == "out") continue;
    EXPECT_TRUE(fs::exists(entry.path() / "train_results.json"));
    EXPECT_EQ(name.size(), std::string("out.20260101-000000").size());
    EXPECT_TRUE(name.starts_with("out.20"));
  }
}

TEST_F(OutputFolder, WithoutOverwriteItIsRefusedByName) {
  checkpoint(10);
  try {
    prepare_output_folder(root_ + "/out", false, false);
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_EQ(error.where().key, "output_dir");
  }
  EXPECT_EQ(siblings(), 1u);
}

TEST_F(OutputFolder, TheSameRunResumedStays) {
  checkpoint(10);
  prepare_output_folder(root_ + "/out", false, true);
  EXPECT_EQ(steps(), (std::vector<int64_t>{10}));
}

TEST_F(OutputFolder, WhatTheRunReadsIsNotRenamedWithIt) {
  checkpoint(10);
  const auto refusal = [&](const std::string& input, bool resuming) {
    try {
      prepare_output_folder(root_ + "/out", true, resuming, {{"model_name_or_path", input}});
      return std::string();
    } catch (const Error& error) {
      EXPECT_EQ(error.where().key, "output_dir");
      EXPECT_EQ(exit_code(error.kind()), 2);
      return std::string(error.what());
    }
  };
  EXPECT_NE(refusal(root_ + "/out/checkpoint-10", false).find("model_name_or_path"), std::string::npos);
  EXPECT_NE(refusal(root_ + "/./out/", true).find("model_name_or_path"), std::string::npos);
  EXPECT_EQ(siblings(), 1u);
  EXPECT_EQ(refusal(root_ + "/out/checkpoint-10", true), "");  // it stays where it is
  EXPECT_EQ(refusal(root_ + "/outer", false), "");
}

TEST_F(OutputFolder, APathLiesInAFolderHoweverTheyAreWritten) {
  checkpoint(10);
  fs::create_directories(root_ + "/out1");
  const std::string folder = root_ + "/out/checkpoint-10";
  for (const std::string& in : {root_ + "/out", root_ + "/out/", root_ + "/./out1/../out", root_, folder}) {
    EXPECT_TRUE(lies_in(folder, in)) << in;
    EXPECT_TRUE(lies_in(folder + "/", in)) << in;
    EXPECT_TRUE(lies_in(fs::relative(folder), in)) << in;
    EXPECT_TRUE(lies_in(folder, fs::relative(in))) << in;
  }
  EXPECT_FALSE(lies_in(root_ + "/out1", root_ + "/out"));
  EXPECT_FALSE(lies_in(folder, root_ + "/nowhere"));
}

TEST_F(OutputFolder, SomebodysFolderIsUsedAsItIs) {
  fs::create_directories(root_ + "/out");
  atomic_write(root_ + "/out/notes.txt", "mine");
  prepare_output_folder(root_ + "/out", true, false);
  EXPECT_TRUE(file_exists(root_ + "/out/notes.txt"));
  EXPECT_EQ(siblings(), 1u);
}

TEST_F(OutputFolder, CheckpointsAreInOrderOfTheirSteps) {
  for (const int step : {100, 9, 20}) checkpoint(step);
  fs::create_directories(root_ + "/out/checkpoint-30.tmp");
  fs::create_directories(root_ + "/out/checkpoint-x");
  EXPECT_EQ(steps(), (std::vector<int64_t>{9, 20, 100}));
}

TEST_F(OutputFolder, RotationSparesTheNewestAndTheBest) {
  for (const int step : {10, 20, 30, 40}) checkpoint(step);
  rotate_checkpoints(root_ + "/out", 2, root_ + "/out/checkpoint-10");
  EXPECT_EQ(steps(), (std::vector<int64_t>{10, 40}));
  checkpoint(50);
  rotate_checkpoints(root_ + "/out", 1, root_ + "/out/checkpoint-10");
  EXPECT_EQ(steps(), (std::vector<int64_t>{10, 50}));
  rotate_checkpoints(root_ + "/out", 1, std::nullopt);
  EXPECT_EQ(steps(), (std::vector<int64_t>{50}));
  rotate_checkpoints(root_ + "/out", 0, std::nullopt);
  EXPECT_EQ(steps(), (std::vector<int64_t>{50}));
}

TEST_F(OutputFolder, RotationSparesWhatWasJustWrittenByARunThatWentBack) {
  for (const int step : {4, 6, 10}) checkpoint(step);  // 10 was damaged: the run went on from 4
  rotate_checkpoints(root_ + "/out", 1, std::nullopt, root_ + "/out/checkpoint-6");
  EXPECT_EQ(steps(), (std::vector<int64_t>{6}));
  for (const int step : {4, 10}) checkpoint(step);
  rotate_checkpoints(root_ + "/out", 1, root_ + "/out/checkpoint-4", root_ + "/out/checkpoint-6");
  EXPECT_EQ(steps(), (std::vector<int64_t>{4, 6}));
}

}  // namespace
}  // namespace lathe
