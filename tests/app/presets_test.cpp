#include "app/presets.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <lathe/error.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "base/file.h"
#include "config/config_file.h"

namespace lathe {
namespace {

TEST(Presets, AreTheToolkitsNamesAndOpen) {
  const std::vector<std::string> names = preset_names();
  for (const char* name : {"full", "lora", "qlora", "qlora_8bit", "deepspeed", "stage2_offload", "stage3", "minimal",
                           "bf16", "simple", "demo"}) {
    EXPECT_THAT(names, ::testing::Contains(name));
    EXPECT_TRUE(file_exists(preset_file(name))) << name;
  }
}

TEST(Presets, AnUnknownNameListsThoseThereAre) {
  try {
    static_cast<void>(preset_file("lorra"));
    FAIL();
  } catch (const Error& error) {
    EXPECT_EQ(exit_code(error.kind()), 2);
    EXPECT_THAT(error.hint(), ::testing::HasSubstr("qlora_8bit"));
  }
}

TEST(Presets, HomeIsTheVariablesFolderWhenSet) {
  const std::string home = ::testing::TempDir() + "home_" + std::to_string(::getpid());
  std::filesystem::create_directories(home + "/configs");
  atomic_write(home + "/configs/train_config_mine.json", "{}");
  ::setenv("LATHE_HOME", home.c_str(), 1);
  EXPECT_THAT(preset_names(), ::testing::ElementsAre("mine"));
  ::setenv("LATHE_HOME", "/nowhere", 1);
  EXPECT_THROW(static_cast<void>(home_directory()), Error);
  ::unsetenv("LATHE_HOME");
  std::filesystem::remove_all(home);
}

}  // namespace
}  // namespace lathe
