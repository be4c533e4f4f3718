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
  EXPECT_TRUE(holds_another_run(root_ + "/out", true, {}));
  EXPECT_EQ(siblings(), 1u);
  const FolderLock held = set_aside(root_ + "/out", true);
  EXPECT_FALSE(FolderLock::take(root_ + "/out").has_value());
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
    (void)holds_another_run(root_ + "/out", false, {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.kind(), ErrorKind::kConfig);
    EXPECT_EQ(error.where().key, "output_dir");
  }
  EXPECT_EQ(siblings(), 1u);
}

TEST_F(OutputFolder, ARunThatDidNotEndIsNotLostSightOf) {
  checkpoint(10);
  checkpoint(20);  // of the model alone
  atomic_write(root_ + "/out/checkpoint-10/optimizer.safetensors", "");
  ::testing::internal::CaptureStderr();
  (void)set_aside(root_ + "/out/", true);
  const std::string said = ::testing::internal::GetCapturedStderr();
  const size_t at = said.find("resume_from_checkpoint=");
  ASSERT_NE(at, std::string::npos) << said;
  const std::string named = said.substr(at + std::string("resume_from_checkpoint=").size());
  EXPECT_TRUE(fs::exists(named.substr(0, named.find(' ')))) << said;
  EXPECT_NE(named.find("/checkpoint-10 "), std::string::npos) << said;
}

TEST_F(OutputFolder, TwoRunsDoNotShareOne) {
  const FolderLock held = take_output_folder(root_ + "/out", {});
  try {
    (void)take_output_folder(root_ + "/./out/", {});
    FAIL() << "accepted";
  } catch (const Error& error) {
    EXPECT_EQ(error.where().key, "output_dir");
    EXPECT_EQ(exit_code(error.kind()), 2);
  }
}

TEST_F(OutputFolder, CheckpointsOfLaterStepsAreSetAside) {
  for (const int step : {10, 20, 30}) checkpoint(step);
  set_later_checkpoints_aside(root_ + "/out", 30, root_ + "/out/checkpoint-30/");
  EXPECT_EQ(steps(), (std::vector<int64_t>{10, 20, 30}));
  set_later_checkpoints_aside(root_ + "/out", 10, root_ + "/out/checkpoint-10");
  EXPECT_EQ(steps(), (std::vector<int64_t>{10}));
  EXPECT_EQ(std::distance(fs::directory_iterator(root_ + "/out"), fs::directory_iterator()), 3);
  fs::create_directories(root_ + "/out/checkpoint-10.20260101-000000");  // set aside before, and gone on with now
  set_later_checkpoints_aside(root_ + "/out", 10, root_ + "/out/checkpoint-10.20260101-000000");
  EXPECT_TRUE(steps().empty());
}

TEST_F(OutputFolder, WhatTheRunReadsIsNotRenamedWithIt) {
  checkpoint(10);
  const auto refusal = [&](const std::string& input, bool begins_anew) {
    const std::vector<InputPath> inputs = {{"model_name_or_path", input}};
    try {
      (void)take_output_folder(root_ + "/out", inputs);
      if (begins_anew) (void)holds_another_run(root_ + "/out", true, inputs);
      return std::string();
    } catch (const Error& error) {
      EXPECT_EQ(error.where().key, "output_dir");
      EXPECT_EQ(exit_code(error.kind()), 2);
      return std::string(error.what());
    }
  };
  EXPECT_NE(refusal(root_ + "/out/checkpoint-10", true).find("model_name_or_path"), std::string::npos);
  EXPECT_NE(refusal(root_ + "/./out/", false).find("model_name_or_path"), std::string::npos);
  EXPECT_EQ(refusal(root_ + "/out/checkpoint-10", false), "");  // it stays where it is
  EXPECT_EQ(refusal(root_ + "/outer", true), "");
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
  EXPECT_FALSE(holds_another_run(root_ + "/out", true, {}));
  (void)take_output_folder(root_ + "/out", {});
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
