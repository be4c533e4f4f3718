#pragma once
// What the process's control group (a container's memory limit) leaves.
#include <cstdint>
#include <optional>
#include <string>

namespace lathe {

/// Bytes still free under the tightest memory limit of the process's control groups, v1 or v2; nothing without a limit.
/// Cached file pages count as free as far as the kernel counts them so in MemAvailable.
/// @param root prefix of /proc and /sys, for tests.
[[nodiscard]] std::optional<int64_t> cgroup_available_bytes(const std::string& root = "");

}  // namespace lathe
