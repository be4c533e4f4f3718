#include "ops/profile.h"

#include <ATen/record_function.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <array>
#include <map>
#include <memory>
#include <utility>

namespace lathe::ops {
namespace {

using Clock = std::chrono::steady_clock;
constexpr size_t kLinesShown = 24;

struct Kind {
  int depth = 0;
  std::string name;
  Clock::time_point begin;
  std::map<std::string, ProfileLine> lines;

  void enter(std::string new_name) {
    if (depth++ > 0) return;
    name = std::move(new_name);
    begin = Clock::now();
  }
  void leave() {
    if (--depth > 0) return;
    ProfileLine& line = lines[name];
    line.name = name;
    ++line.calls;
    line.seconds += std::chrono::duration<double>(Clock::now() - begin).count();
  }
  [[nodiscard]] std::vector<ProfileLine> longest_first() const {
    std::vector<ProfileLine> sorted;
    for (const auto& [key, line] : lines) sorted.push_back(line);
    std::ranges::sort(sorted, [](const auto& a, const auto& b) { return a.seconds > b.seconds; });
    return sorted;
  }
};

struct Recorder {
  std::array<Kind, 2> kinds;
  Clock::time_point begin = Clock::now();
  at::CallbackHandle handle = 0;
  Kind& of(ProfileKind kind) { return kinds[static_cast<size_t>(kind)]; }
};

// Of the thread that profiles; null elsewhere and while nothing is profiled.
thread_local Recorder* recorder = nullptr;

std::unique_ptr<at::ObserverContext> enter_aten(const at::RecordFunction& function) {
  if (recorder != nullptr) recorder->of(ProfileKind::kOp).enter(function.name());
  return nullptr;
}
void leave_aten(const at::RecordFunction& /*function*/, at::ObserverContext* /*context*/) {
  if (recorder != nullptr) recorder->of(ProfileKind::kOp).leave();
}

std::string table(const char* title, const std::vector<ProfileLine>& lines, double span) {
  std::string text = fmt::format("{:<44} {:>8} {:>10} {:>7}\n", title, "calls", "seconds", "share");
  double shown = 0;
  for (size_t i = 0; i < std::min(lines.size(), kLinesShown); ++i) {
    text += fmt::format("{:<44} {:>8} {:>10.3f} {:>6.1f}%\n", lines[i].name, lines[i].calls, lines[i].seconds,
                        100 * lines[i].seconds / span);
    shown += lines[i].seconds;
  }
  double all = 0;
  for (const ProfileLine& line : lines) all += line.seconds;
  if (lines.size() > kLinesShown) {
    text += fmt::format("{:<53} {:>10.3f} {:>6.1f}%\n", fmt::format("{} others", lines.size() - kLinesShown),
                        all - shown, 100 * (all - shown) / span);
  }
  return text + fmt::format("{:<53} {:>10.3f} {:>6.1f}%\n", "outside of these", span - all, 100 * (span - all) / span);
}

}  // namespace

void start_profile() {
  if (recorder != nullptr) (void)stop_profile();  // a run that threw left it on
  recorder = new Recorder;
  recorder->handle = at::addThreadLocalCallback(
      at::RecordFunctionCallback(enter_aten, leave_aten).scopes({at::RecordScope::FUNCTION}));
}

Profile stop_profile() {
  LATHE_ASSERT(recorder != nullptr);
  const std::unique_ptr<Recorder> mine(std::exchange(recorder, nullptr));
  at::removeCallback(mine->handle);
  return {std::chrono::duration<double>(Clock::now() - mine->begin).count(), mine->of(ProfileKind::kOp).longest_first(),
          mine->of(ProfileKind::kPhase).longest_first()};
}

std::string describe(const Profile& profile) {
  return table("op", profile.ops, profile.seconds) + "\n" + table("phase", profile.phases, profile.seconds);
}

ProfileScope::ProfileScope(ProfileKind kind, std::string_view name, int64_t a, int64_t b) : kind_(kind) {
  if (recorder == nullptr) return;
  entered_ = true;
  recorder->of(kind).enter(b >= 0   ? fmt::format("{} {} x {}", name, a, b)
                           : a >= 0 ? fmt::format("{} {}", name, a)
                                    : std::string(name));
}

ProfileScope::~ProfileScope() {
  if (entered_ && recorder != nullptr) recorder->of(kind_).leave();
}

}  // namespace lathe::ops
