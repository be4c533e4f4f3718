#pragma once
// Checkpoints small enough to be written thousands of times, and tables of system calls that do not wait for a disk.
#include <ATen/ATen.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/write_calls.h"
#include "train/checkpoint_folder.h"
#include "train/output_folder.h"

namespace lathe {

class SmallCheckpoints : public ::testing::Test {
 protected:
  void SetUp() override {
    root_ = ::testing::TempDir() + "small_checkpoints_" + std::to_string(::getpid());
    std::filesystem::remove_all(root_);
    std::filesystem::create_directories(out());
    atomic_write(root_ + "/tokenizer.json", std::string(300, 't'));
    use_quick_calls();
  }
  void TearDown() override {
    write_calls() = system_write_calls();
    log::set_console_level(log::Level::kInfo);
    std::filesystem::remove_all(root_);
  }

  /// Thousands of starts would each say what they removed.
  static void be_quiet() { log::set_console_level(log::Level::kError); }

  /// The system's own calls, but for waiting: what a sync is worth is power_loss_test.cpp's subject.
  static void use_quick_calls() {
    write_calls() = system_write_calls();
    write_calls().fsync = [](int) { return 0; };
  }

  [[nodiscard]] std::string out(const std::string& name = "") const {
    return root_ + "/out" + (name.empty() ? "" : "/" + name);
  }
  [[nodiscard]] std::string folder(int step) const { return out("checkpoint-" + std::to_string(step)); }

  /// Two files of tensors, a text and a copied file; all tell the version.
  [[nodiscard]] FilesToSave files(int version) const {
    return {{.name = "model.safetensors",
             .tensors = {{"a.weight", at::full({5, 7}, static_cast<double>(version))},
                         {"b.weight", at::full({11}, double(version))}}},
            {.name = "optimizer.safetensors",
             .tensors = {{"a.weight.exp_avg", at::full({5, 7}, static_cast<double>(version))}}},
            {.name = "trainer_state.json", .text = "{\"version\": " + std::to_string(version) + "}\n"},
            {.name = "tokenizer.json", .copied_from = root_ + "/tokenizer.json"}};
  }
  void save(int step, int version) const {
    write_checkpoint_folder(folder(step), files(version), Json{{"version", version}});
  }

  /// Version of a checkpoint whose every file is of it; 0: there is none. A damaged or mixed one is a failure.
  [[nodiscard]] int version_of(const std::string& path) const {
    if (!file_exists(path)) return 0;
    const auto damage = find_damage(path);
    EXPECT_FALSE(damage.has_value()) << path << ": " << *damage;
    if (damage) return -1;
    const int version = read_manifest(path)["version"].get<int>();
    EXPECT_EQ(read_json_file(path + "/trainer_state.json")["version"].get<int>(), version);
    const float first = static_cast<float>(version);
    const SafetensorsFile model = SafetensorsFile::open(path + "/model.safetensors");
    EXPECT_EQ(std::memcmp(model.tensors().at("b.weight").bytes.data(), &first, sizeof first), 0);
    return version;
  }
  [[nodiscard]] int newest_version() const {
    const std::vector<CheckpointFolder> all = list_checkpoints(out());
    return all.empty() ? 0 : version_of(all.back().path);
  }
  /// Nothing but checkpoints: no stray is left.
  [[nodiscard]] bool is_clean() const {
    for (const auto& entry : std::filesystem::directory_iterator(out())) {
      if (entry.path().filename().string().find('.') != std::string::npos) return false;
    }
    return true;
  }

  std::string root_;
};

}  // namespace lathe
