#include "train/tensorboard.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace lathe {
namespace {

std::string from_hex(const std::string& hex) {
  std::string out;
  for (size_t i = 0; i < hex.size(); i += 2) {
    out.push_back(static_cast<char>(std::stoi(hex.substr(i, 2), nullptr, 16)));
  }
  return out;
}

std::string fresh_folder(const char* name) {
  const std::string path = ::testing::TempDir() + "tensorboard_" + name + "_" + std::to_string(getpid());
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path;
}

// RFC 3720, B.4.
TEST(Crc32c, PublishedVectors) {
  EXPECT_EQ(crc32c("123456789"), 0xE3069283U);
  EXPECT_EQ(crc32c(std::string(32, '\0')), 0x8A9136AAU);
  EXPECT_EQ(crc32c(std::string(32, '\xff')), 0x62A8AB43U);
}

// tests/oracle/train_tensorboard.py: the bytes that tensorboard's own writer and protobuf make of the same events.
TEST(EventWriter, WritesTheBytesOfTheRealWriter) {
  const Json stored = read_json_file(LATHE_SOURCE_DIR "/tests/oracle/values/train_tensorboard.json");
  EventWriter writer(fresh_folder("bytes"), stored["wall_time"].get<double>());
  for (const Json& scalar : stored["scalars"]) {
    writer.add_scalar(scalar["tag"].get<std::string>(), scalar["value"], scalar["step"], stored["wall_time"]);
  }
  writer.add_text("args", stored["text"].get<std::string>(), 0, stored["wall_time"]);
  EXPECT_EQ(read_text_file(writer.path()), from_hex(stored["file"].get<std::string>()));
}

TEST(EventWriter, GoesOnWhereACheckpointWasMade) {
  std::string path, wanted;
  int64_t size = 0;
  {
    EventWriter writer(fresh_folder("resume"), 1000.0);
    writer.add_scalar("train/loss", 1.5, 1, 1001.0);
    path = writer.path();
    size = writer.size();
    writer.add_scalar("train/loss", 1.25, 2, 1002.0);
    wanted = read_text_file(path);
    writer.add_scalar("train/loss", 1.0, 3, 1003.0);
  }
  EventWriter writer(path, size);
  writer.add_scalar("train/loss", 1.25, 2, 1002.0);
  EXPECT_EQ(read_text_file(path), wanted);
}

}  // namespace
}  // namespace lathe
