#include "base/cgroup.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <sstream>

#include "base/file.h"

namespace lathe {
namespace {

std::optional<int64_t> parse_number(std::string_view text) {
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc()) return std::nullopt;  // "max", or no number at all
  return value;
}

std::optional<int64_t> read_number(const std::string& path) {
  return file_exists(path) ? parse_number(read_text_file(path)) : std::nullopt;
}

/// The caches among a group's use that the kernel would give up: all inactive file pages, half of the active ones.
int64_t reclaimable(const std::string& path, const std::string& prefix) {
  if (!file_exists(path)) return 0;
  std::istringstream lines(read_text_file(path));
  std::string key;
  int64_t value = 0, total = 0;
  while (lines >> key >> value) {
    if (key == prefix + "inactive_file") total += value;
    if (key == prefix + "active_file") total += value / 2;
  }
  return total;
}

struct Names {
  const char *mount, *limit, *usage, *stat_prefix;
};
constexpr Names kV1{"/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_"};
constexpr Names kV2{"/sys/fs/cgroup", "memory.max", "memory.current", ""};

std::optional<int64_t> available_in(const std::string& folder, const Names& names) {
  const auto limit = read_number(folder + "/" + names.limit);
  const auto usage = read_number(folder + "/" + names.usage);
  // v1 says "no limit" with a number close to the largest.
  if (!limit || !usage || *limit > std::numeric_limits<int64_t>::max() / 4) return std::nullopt;
  const int64_t cached = std::min(reclaimable(folder + "/memory.stat", names.stat_prefix), *usage);
  return std::max<int64_t>(*limit - *usage + cached, 0);
}

}  // namespace

std::optional<int64_t> cgroup_available_bytes(const std::string& root) {
  const std::string list = root + "/proc/self/cgroup";
  if (!file_exists(list)) return std::nullopt;
  std::optional<int64_t> least;
  std::istringstream lines(read_text_file(list));
  for (std::string line; std::getline(lines, line);) {  // "ID:controllers:/path"
    const size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    const std::string controllers = "," + line.substr(first + 1, second - first - 1) + ",";
    const bool v2 = controllers == ",,";
    if (!v2 && controllers.find(",memory,") == std::string::npos) continue;
    const Names& names = v2 ? kV2 : kV1;
    // A limit further up holds too. Inside a container the path may not exist, but its mount's root is then our group.
    for (std::string path = line.substr(second + 1);; path.resize(path.rfind('/'))) {
      if (path == "/") path.clear();
      if (const auto here = available_in(root + names.mount + path, names))
        least = std::min(least.value_or(*here), *here);
      if (path.empty() || path.rfind('/') == std::string::npos) break;
    }
  }
  return least;
}

}  // namespace lathe
