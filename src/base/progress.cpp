#include "base/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <utility>

#include "base/console.h"

namespace lathe {
namespace {

using Clock = std::chrono::steady_clock;
constexpr int64_t kCells = 20;
constexpr auto kDrawEvery = std::chrono::milliseconds(100);
constexpr auto kPlainEvery = std::chrono::seconds(10);
constexpr auto kPlainTenths = std::chrono::seconds(2);  // a short run is not drowned in its tenths

double seconds_since(Clock::time_point then) {
  return std::chrono::duration<double>(Clock::now() - then).count();
}

/// The first bytes of text, never half a character.
std::string_view cut(std::string_view text, size_t bytes) {
  if (text.size() <= bytes) return text;
  while (bytes > 0 && (static_cast<unsigned char>(text[bytes]) & 0xc0) == 0x80) --bytes;
  return text.substr(0, bytes);
}

}  // namespace

ProgressBar::ProgressBar(std::string title, int64_t total, int64_t first, bool enabled)
    : title_(std::move(title)),
      total_(std::max<int64_t>(total, 0)),
      first_(first),
      done_(first),
      terminal_(console::is_terminal()),
      finished_(!enabled),
      start_(Clock::now()),
      last_plain_(start_) {
  if (!finished_ && terminal_) draw();
}

ProgressBar::~ProgressBar() {
  finish();
}

void ProgressBar::update(int64_t done, std::string_view text) {
  const int64_t before = std::exchange(done_, done);
  text_ = text;
  if (finished_ || done_ == before) return;
  const auto since = Clock::now() - last_plain_;
  const bool last = done_ >= total_;
  const bool tenth = total_ > 0 && done_ * 10 / total_ != before * 10 / total_;
  if (terminal_ ? (last || since >= kDrawEvery) : (last || (tenth && since >= kPlainTenths) || since >= kPlainEvery))
    draw();
}

double ProgressBar::remaining_s() const {
  const int64_t own = done_ - first_;
  if (own <= 0) return -1;
  return elapsed_s() / static_cast<double>(own) * static_cast<double>(std::max<int64_t>(total_ - done_, 0));
}

double ProgressBar::elapsed_s() const {
  return seconds_since(start_);
}

void ProgressBar::draw() {
  last_plain_ = Clock::now();
  const double remaining = remaining_s();
  const std::string left = remaining < 0 ? "?" : format_duration(remaining);
  const int64_t percent = total_ > 0 ? done_ * 100 / total_ : 100;
  std::string line = fmt::format("{}: {:3}% ", title_, percent);
  if (terminal_) {
    const int64_t full = total_ > 0 ? std::clamp<int64_t>(done_ * kCells / total_, 0, kCells) : kCells;
    line += fmt::format("|{:<{}}| ", std::string(static_cast<size_t>(full), '#'), kCells);
  }
  line += fmt::format("{}/{} [{}<{}]", done_, total_, format_duration(elapsed_s()), left);
  if (!text_.empty()) line += " " + text_;
  if (terminal_) {
    console::set_bar(cut(line, static_cast<size_t>(std::max(console::width() - 1, 10))));
  } else {
    console::write_line(line);
  }
}

void ProgressBar::finish() {
  if (std::exchange(finished_, true) || !terminal_) return;
  draw();
  console::keep_bar();
}

std::string format_duration(double seconds) {
  if (!std::isfinite(seconds) || seconds < 0) return "?";
  const auto whole = static_cast<int64_t>(std::llround(std::min(seconds, 1e15)));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60, rest = whole % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, rest) : fmt::format("{:02}:{:02}", minutes, rest);
}

}  // namespace lathe
