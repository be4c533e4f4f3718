// Saves, a save of a step that was there, and the dropping of old ones are recorded; then the power fails at every
// instant of them, in many ways (disk_model.h). What is found is always a whole checkpoint, and never older than the
// last one that a finished save had promised.
#include <cstdio>
#include <random>

#include "train/checkpoint_fixture.h"
#include "train/crash/disk_model.h"

namespace lathe {
namespace {

class PowerLoss : public SmallCheckpoints {
 protected:
  struct Promise {
    size_t since;  // number of events
    int version;
  };

  void SetUp() override {
    SmallCheckpoints::SetUp();
    be_quiet();
    disk_ = std::make_unique<DiskModel>(out());
  }

  void record_saves() {
    DiskModel::record();
    const auto saved = [&](int step, int version) {
      save(step, version);
      promises_.push_back({disk_->num_events(), version});
    };
    saved(4, 1);
    saved(8, 2);
    saved(8, 3);
    rotate_checkpoints(out(), 1, std::nullopt);
    saved(12, 4);
    rotate_checkpoints(out(), 1, std::nullopt);
    use_quick_calls();
    std::filesystem::remove_all(out());
  }

  /// Replays states; how many of them break a promise. A start follows each, as a run's does.
  int count_broken(int states_an_instant) {
    std::mt19937 draw(1);
    int broken = 0;
    for (size_t instant = 0; instant <= disk_->num_events(); ++instant) {
      int promised = 0;
      for (const Promise& promise : promises_) {
        if (promise.since <= instant) promised = promise.version;
      }
      for (int i = 0; i < states_an_instant; ++i) {
        disk_->make_state(instant, out(), draw);
        broken += is_broken(promised) ? 1 : 0;
        ++num_states_;
      }
    }
    return broken;
  }

  [[nodiscard]] bool is_broken(int promised) const {
    clean_up_after_kill(out());
    int newest = 0;
    for (const CheckpointFolder& checkpoint : list_checkpoints(out())) {
      if (find_damage(checkpoint.path)) return true;  // whole or absent, every one of them
      newest = version_of(checkpoint.path);
    }
    return newest < promised || !is_clean();
  }

  std::unique_ptr<DiskModel> disk_;
  std::vector<Promise> promises_;
  int num_states_ = 0;
};

TEST_F(PowerLoss, LeavesTheOldCheckpointOrTheNew) {
  record_saves();
  EXPECT_EQ(count_broken(5), 0);
  EXPECT_GT(num_states_, 600);
  std::printf("%d states of %zu recorded calls\n", num_states_, disk_->num_events());
}

TEST_F(PowerLoss, IsNoticedByThisModelWhenFilesAreNotSynced) {
  disk_->ignores_file_syncs = true;
  record_saves();
  EXPECT_GT(count_broken(1), 0);
}

TEST_F(PowerLoss, IsNoticedByThisModelWhenFoldersAreNotSynced) {
  disk_->ignores_folder_syncs = true;
  record_saves();
  EXPECT_GT(count_broken(1), 0);
}

}  // namespace
}  // namespace lathe
