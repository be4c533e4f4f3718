#include "train/checkpoint_folder.h"

#include <ATen/ATen.h>
#include <lathe/error.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <random>
#include <vector>

#include "train/checkpoint.h"
#include "train/checkpoint_fixture.h"
#include "train/training_fixture.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

/// One byte of a file changed while it lives.
class FlippedByte {
 public:
  FlippedByte(const std::string& path, int64_t at, unsigned bit) : path_(path), at_(at) {
    std::ifstream in(path, std::ios::binary);
    in.seekg(at);
    in.get(byte_);
    put(static_cast<char>(byte_ ^ (1 << bit)));
  }
  ~FlippedByte() { put(byte_); }
  FlippedByte(const FlippedByte&) = delete;
  FlippedByte& operator=(const FlippedByte&) = delete;

 private:
  void put(char byte) const {
    std::fstream file(path_, std::ios::binary | std::ios::in | std::ios::out);
    file.seekp(at_);
    file.put(byte);
  }
  std::string path_;
  int64_t at_;
  char byte_ = 0;
};

std::vector<fs::path> files_in(const std::string& folder) {
  std::vector<fs::path> found;
  for (const auto& entry : fs::directory_iterator(folder)) found.push_back(entry.path());
  return found;
}

void expect_named(const std::string& folder, const fs::path& file) {
  const auto damage = find_damage(folder);
  ASSERT_TRUE(damage.has_value()) << file << " was taken for whole";
  // A damaged list of sums is noticed at the list it is the sum of.
  const std::string name = file.filename() == "manifest.sha256" ? "manifest" : file.filename().string();
  EXPECT_NE(damage->find(name), std::string::npos) << *damage;
}

using CheckpointFolderTest = SmallCheckpoints;

TEST_F(CheckpointFolderTest, AnEntryMayBeWorkedOutInPieces) {
  const std::vector<float> values = {1, 2, 3, 4, 5, 6};
  const std::span<const std::byte> bytes = std::as_bytes(std::span(values));
  FileToSave file{.name = "optimizer.safetensors"};
  file.tensors.emplace_back("whole", at::full({3}, 7, at::kFloat));
  file.produced.push_back({.name = "made", .dtype = DType::kF32, .shape = {2, 3}, .produce = [&](const auto& write) {
                             write(bytes.first(8));
                             write(bytes.subspan(8));
                           }});
  int told = 0;
  write_checkpoint_folder(folder(4), {file}, Json::object(), {.tensor_written = [&] { ++told; }});
  EXPECT_EQ(told, 2);
  EXPECT_EQ(find_damage(folder(4)), std::nullopt);
  const SafetensorsFile read = SafetensorsFile::open(folder(4) + "/optimizer.safetensors");
  EXPECT_TRUE(std::ranges::equal(read.tensors().at("made").bytes, bytes));
  EXPECT_EQ(read.tensors().at("whole").shape, std::vector<int64_t>{3});
}

TEST_F(CheckpointFolderTest, EveryFlippedByteAndEveryCutIsNoticedAndNamed) {
  save(4, 1);
  for (const fs::path& file : files_in(folder(4))) {
    const auto size = static_cast<int64_t>(fs::file_size(file));
    for (int64_t at = 0; at < size; ++at) {
      const FlippedByte flipped(file.string(), at, static_cast<unsigned>(at) % 8);
      expect_named(folder(4), file);
    }
    const std::string whole = read_text_file(file.string());
    for (size_t length = 0; length < whole.size(); length += 7) {
      std::ofstream(file, std::ios::binary) << whole.substr(0, length);
      expect_named(folder(4), file);
    }
    std::ofstream(file, std::ios::binary) << whole << 'x';
    expect_named(folder(4), file);
    fs::remove(file);
    expect_named(folder(4), file);
    std::ofstream(file, std::ios::binary) << whole;
  }
  EXPECT_EQ(version_of(folder(4)), 1);
}

TEST_F(CheckpointFolderTest, AgreesWithSha256sum) {
  save(4, 1);
  EXPECT_EQ(std::system(("cd " + folder(4) + " && sha256sum --quiet -c manifest.sha256").c_str()), 0);
}

TEST_F(CheckpointFolderTest, SavingAStepAgainReplacesIt) {
  save(4, 1);
  save(4, 2);
  EXPECT_EQ(version_of(folder(4)), 2);
  EXPECT_TRUE(is_clean());
}

TEST_F(CheckpointFolderTest, AStartTakesStraysAwayAndPutsBackWhatStoodAside) {
  save(4, 1);
  save(8, 2);
  save(12, 3);
  fs::rename(folder(8), folder(8) + ".old");                // killed between the two renames of a second save
  fs::copy(folder(12), folder(12) + ".old");                // killed before the old one was removed
  fs::create_directories(folder(16) + ".tmp");              // killed while writing
  atomic_write(out("model.safetensors.tmp.17.3"), "half");  // killed inside an AtomicFile
  atomic_write(out("notes.tmp.txt"), "somebody's");
  EXPECT_TRUE(holds_results(out()));
  ::testing::internal::CaptureStdout();
  ::testing::internal::CaptureStderr();
  clean_up_after_kill(out());
  const std::string said = ::testing::internal::GetCapturedStdout() + ::testing::internal::GetCapturedStderr();
  EXPECT_EQ(std::count(said.begin(), said.end(), '\n'), 1) << said;
  EXPECT_NE(
      said.find("removed checkpoint-12.old, checkpoint-16.tmp, model.safetensors.tmp.17.3; put back checkpoint-8"),
      std::string::npos)
      << said;
  EXPECT_EQ(version_of(folder(8)), 2);
  EXPECT_TRUE(file_exists(out("notes.tmp.txt")));
  fs::remove(out("notes.tmp.txt"));
  EXPECT_TRUE(is_clean());
}

class RottenCheckpoint : public TrainingTest {};

TEST_F(RottenCheckpoint, OfARunIsNamedAndTheOneBeforeIsTaken) {
  run({"save_steps=2", "max_steps=4"});
  std::mt19937 draw(7);
  for (const fs::path& file : files_in(out("checkpoint-4"))) {
    const auto size = static_cast<int64_t>(fs::file_size(file));
    for (int i = 0; i < 12; ++i) {
      const int64_t at = std::uniform_int_distribution<int64_t>(0, size - 1)(draw);
      const FlippedByte flipped(file.string(), at, static_cast<unsigned>(draw() % 8));
      expect_named(out("checkpoint-4"), file);
      if (i > 0) continue;
      EXPECT_EQ(choose_checkpoint("true", out()).folder, out("checkpoint-2"));
    }
  }
  EXPECT_EQ(choose_checkpoint("true", out()).folder, out("checkpoint-4"));
}

}  // namespace
}  // namespace lathe
