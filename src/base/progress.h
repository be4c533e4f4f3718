#pragma once
// A progress bar on a terminal, plain lines elsewhere.
#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

namespace lathe {

/// One bar at the bottom of standard error. log::write clears and redraws it. Not for several threads.
class ProgressBar {
 public:
  /// @param title e.g. "train".  @param total steps.  @param first steps done before (a resumed run).
  ProgressBar(std::string title, int64_t total, int64_t first = 0, bool enabled = true);
  ~ProgressBar();
  ProgressBar(const ProgressBar&) = delete;
  ProgressBar& operator=(const ProgressBar&) = delete;
  /// @param text what stands behind the bar: loss, tokens/s, memory.
  void update(int64_t done, std::string_view text);
  /// Seconds until the end at the pace of this run's own steps; -1 before the first.
  [[nodiscard]] double remaining_s() const;
  [[nodiscard]] double elapsed_s() const;
  void finish();

 private:
  void draw();
  std::string title_, text_;
  int64_t total_, first_, done_;
  bool terminal_, finished_ = false;
  std::chrono::steady_clock::time_point start_, last_plain_;
};

/// "1:02:03", "04:05".
[[nodiscard]] std::string format_duration(double seconds);

}  // namespace lathe
