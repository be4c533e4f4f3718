#pragma once
// Time as the logs need it.
#include <chrono>
#include <cmath>

namespace lathe {

/// Seconds of a clock that never jumps.
[[nodiscard]] inline double now_s() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

/// As early as a program can look at the clock: before main.
inline const double kProcessStart_s = now_s();

/// Seconds since 1970, for files that others read.
[[nodiscard]] inline double wall_time_s() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

/// As Python's round(value, digits) for the few digits of a speed.
[[nodiscard]] inline double rounded(double value, int digits) {
  const double factor = std::pow(10.0, digits);
  return std::round(value * factor) / factor;
}

}  // namespace lathe
