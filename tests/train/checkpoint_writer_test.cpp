#include "train/checkpoint_writer.h"

#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "train/checkpoint_fixture.h"
#include "train/training_fixture.h"

namespace lathe {
namespace {

std::atomic<bool> g_open{true};

class CheckpointWriterTest : public SmallCheckpoints {
 protected:
  static constexpr int kParameters = 12;
  static constexpr int64_t kLength = 3000;

  void SetUp() override {
    SmallCheckpoints::SetUp();
    for (int i = 0; i < kParameters; ++i) parameters_.push_back(at::full({kLength}, i));
    g_open = true;
    write_calls().write = [](int fd, const void* bytes, size_t count) {
      while (!g_open) ::usleep(100);
      ::usleep(300);
      return ::write(fd, bytes, count);
    };
  }

  void begin() {
    PendingCheckpoint pending{.folder = folder(4), .files = {{.name = "model.safetensors"}}};
    std::promise<std::string> weights;
    weights.set_value("");
    pending.fingerprints.base_weights = weights.get_future().share();
    for (int i = 0; i < kParameters; ++i) {
      pending.files[0].tensors.emplace_back(std::to_string(i), parameters_[static_cast<size_t>(i)]);
      pending.last_reads.push_back(static_cast<size_t>(i) + 1);
    }
    writer_.begin(std::move(pending), [this] { ++pruned_; });
  }

  [[nodiscard]] int num_as_they_were() const {
    const SafetensorsFile file = SafetensorsFile::open(folder(4) + "/model.safetensors");
    int same = 0;
    for (int i = 0; i < kParameters; ++i) {
      const at::Tensor before = at::full({kLength}, i);
      same += std::memcmp(file.tensors().at(std::to_string(i)).bytes.data(), before.data_ptr(), before.nbytes()) == 0;
    }
    return same;
  }

  std::vector<at::Tensor> parameters_;
  CheckpointWriter writer_;
  std::atomic<int> pruned_{0};
};

TEST_F(CheckpointWriterTest, HoldsTheValuesOfTheCallHoweverSoonTheyChange) {
  begin();
  for (size_t i = 0; i < kParameters; ++i) {
    writer_.wait_for_parameter(i);
    parameters_[i].fill_(-1);
  }
  const auto outcome = writer_.take(true);
  ASSERT_TRUE(outcome.has_value());
  EXPECT_FALSE(outcome->error.has_value()) << *outcome->error;
  EXPECT_EQ(num_as_they_were(), kParameters);
  EXPECT_EQ(pruned_, 1);
  EXPECT_FALSE(writer_.take(true).has_value());
}

TEST_F(CheckpointWriterTest, WithoutWaitingItWouldHoldOthers) {
  g_open = false;  // nothing is written until everything has changed
  begin();
  for (at::Tensor& parameter : parameters_) parameter.fill_(-1);
  g_open = true;
  EXPECT_TRUE(writer_.take(true).has_value());
  EXPECT_EQ(num_as_they_were(), 0);
}

TEST_F(CheckpointWriterTest, AFailureArrivesAndHoldsNobodyUp) {
  write_calls().write = [](int, const void*, size_t) -> ssize_t { return errno = ENOSPC, -1; };
  begin();
  for (size_t i = 0; i < kParameters; ++i) writer_.wait_for_parameter(i);
  writer_.wait_until_read();
  const auto outcome = writer_.take(true);
  ASSERT_TRUE(outcome && outcome->error);
  EXPECT_NE(outcome->error->find("model.safetensors"), std::string::npos) << *outcome->error;
  EXPECT_NE(outcome->error->find("No space left"), std::string::npos) << *outcome->error;
  EXPECT_EQ(pruned_, 0);
  EXPECT_TRUE(is_clean());
}

class SavingBehindTraining : public TrainingTest {
 protected:
  void TearDown() override {
    write_calls() = system_write_calls();
    TrainingTest::TearDown();
  }
};

/// A checkpoint written slowly while six steps are trained, beside one after which nothing was trained.
TEST_F(SavingBehindTraining, WritesTheStepThatItIsNamedAfter) {
  for (const char* lora : {"use_lora=true", "use_lora=false"}) {
    run({lora, "lr_scheduler_type=constant", "max_steps=2", "save_steps=100"});
    std::filesystem::rename(out("checkpoint-2"), root_ + "/still");
    write_calls().write = [](int fd, const void* bytes, size_t count) {
      if (count > 1000) ::usleep(2000);
      return ::write(fd, bytes, count);
    };
    run({lora, "lr_scheduler_type=constant", "max_steps=6", "save_steps=2"});
    write_calls() = system_write_calls();
    const std::string weights =
        std::string(lora) == "use_lora=true" ? "adapter_model.safetensors" : "model.safetensors";
    for (const std::string& name : {weights, std::string("optimizer.safetensors")}) {
      EXPECT_TRUE(bytes("checkpoint-2/" + name) == read_text_file(root_ + "/still/" + name)) << lora << " " << name;
    }
    std::filesystem::remove_all(root_ + "/still");
    std::filesystem::remove_all(out());
  }
}

}  // namespace
}  // namespace lathe
