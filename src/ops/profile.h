#pragma once
// Where a run's time goes: by op, and by phase (layer and direction). Off until started; then two clock readings an op.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe::ops {

struct ProfileLine {
  std::string name;
  int64_t calls = 0;
  double seconds = 0;
};

struct Profile {
  double seconds = 0;               ///< of the whole span
  std::vector<ProfileLine> ops;     ///< outermost ops, ours and ATen's, longest first
  std::vector<ProfileLine> phases;  ///< outermost phases, longest first
};

/// Counts what the calling thread does from now on. One at a time.
void start_profile();
[[nodiscard]] Profile stop_profile();
/// A table for people: the longest ops and phases with their shares of the span.
[[nodiscard]] std::string describe(const Profile& profile);

enum class ProfileKind : uint8_t { kOp, kPhase };

/// To the end of the block, time counts under this name, unless it is inside another of its kind already.
class ProfileScope {
 public:
  /// @param a, b written behind the name when they are not negative: a weight's shape, a layer's number
  ProfileScope(ProfileKind kind, std::string_view name, int64_t a = -1, int64_t b = -1);
  ~ProfileScope();
  ProfileScope(const ProfileScope&) = delete;
  ProfileScope& operator=(const ProfileScope&) = delete;

 private:
  ProfileKind kind_;
  bool entered_ = false;
};

}  // namespace lathe::ops
