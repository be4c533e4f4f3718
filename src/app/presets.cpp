#include "app/presets.h"

#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>

#include "app/build_config.h"
#include "base/file.h"

namespace lathe {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kPrefix = "train_config_", kSuffix = ".json", kGroup = "deepspeed_";

std::vector<std::string> possible_homes() {
  if (const char* home = std::getenv("LATHE_HOME"); home != nullptr && *home != 0) return {home};
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path up = program.parent_path().parent_path();
  return {up.string(), (up / "share/lathe").string(), LATHE_SOURCE_ROOT};
}

std::map<std::string, std::string> preset_files() {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::directory_iterator(home_directory() + "/configs")) {
    std::string name = entry.path().filename().string();
    if (!name.starts_with(kPrefix) || !name.ends_with(kSuffix)) continue;
    name = name.substr(kPrefix.size(), name.size() - kPrefix.size() - kSuffix.size());
    if (name.starts_with(kGroup)) name = name.substr(kGroup.size());
    files[name] = entry.path().string();
  }
  return files;
}

}  // namespace

std::string home_directory() {
  const std::vector<std::string> homes = possible_homes();
  for (const std::string& home : homes) {
    if (fs::is_directory(home + "/configs")) return home;
  }
  throw Error(ErrorKind::kConfig, fmt::format("the presets were not found: no configs/ in {}", fmt::join(homes, ", ")),
              {}, "set LATHE_HOME to the folder that holds configs/");
}

std::vector<std::string> preset_names() {
  std::vector<std::string> names;
  for (const auto& [name, file] : preset_files()) names.push_back(name);
  return names;
}

std::string preset_file(const std::string& name) {
  const std::map<std::string, std::string> files = preset_files();
  if (const auto found = files.find(name); found != files.end()) return found->second;
  throw Error(ErrorKind::kConfig, fmt::format("'{}' is not a preset", name), {.key = "--type"},
              fmt::format("presets: {}", fmt::join(preset_names(), ", ")));
}

}  // namespace lathe
