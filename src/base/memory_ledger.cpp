#include "base/memory_ledger.h"

#include <fmt/format.h>
#include <lathe/error.h>
#include <malloc.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <sstream>

#include "base/cgroup.h"
#include "base/file.h"

namespace lathe {
namespace {

thread_local MemoryClass current_class = MemoryClass::kWorkspace;

constexpr std::array<std::string_view, kNumMemoryClasses> kNames{
    "weights", "master", "gradients", "optimizer", "activations", "workspace", "communication"};

void raise_to(std::atomic<int64_t>& peak, int64_t value) {
  int64_t before = peak.load(std::memory_order_relaxed);
  while (before < value && !peak.compare_exchange_weak(before, value, std::memory_order_relaxed)) {
  }
}

/// Bytes behind "KEY:   123 kB" in one of /proc's tables; 0 when there is no such line.
int64_t table_bytes(const std::string& text, std::string_view key) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(key) && line.size() > key.size() && line[key.size()] == ':') {
      return std::strtoll(line.c_str() + key.size() + 1, nullptr, 10) * 1024;
    }
  }
  return 0;
}

/// Bytes of one unit, whatever its case; 0: no such unit. A letter alone is binary, as in the kernel's and cgroups'
/// tools.
double unit_bytes(std::string_view text) {
  std::string unit;
  for (const char c : text) unit += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (unit.empty() || unit == "b") return 1;
  const size_t power = std::string_view("kmgt").find(unit[0]);
  if (power == std::string_view::npos) return 0;
  const std::string_view rest = std::string_view(unit).substr(1);
  if (rest == "b") return std::pow(1000.0, static_cast<double>(power + 1));
  if (rest == "ib" || rest.empty()) return std::pow(1024.0, static_cast<double>(power + 1));
  return 0;
}

}  // namespace

std::string_view name(MemoryClass memory_class) {
  return kNames.at(static_cast<size_t>(memory_class));
}

void MemoryLedger::add(MemoryClass memory_class, int64_t bytes) {
  for (Count* count : {&classes_.at(static_cast<size_t>(memory_class)), &total_}) {
    raise_to(count->peak, count->now.fetch_add(bytes, std::memory_order_relaxed) + bytes);
  }
}

int64_t MemoryLedger::current(MemoryClass memory_class) const {
  return classes_.at(static_cast<size_t>(memory_class)).now.load(std::memory_order_relaxed);
}

int64_t MemoryLedger::peak(MemoryClass memory_class) const {
  return classes_.at(static_cast<size_t>(memory_class)).peak.load(std::memory_order_relaxed);
}

int64_t MemoryLedger::current_total() const {
  return total_.now.load(std::memory_order_relaxed);
}
int64_t MemoryLedger::peak_total() const {
  return total_.peak.load(std::memory_order_relaxed);
}

void MemoryLedger::reset_peaks() {
  for (Count& count : classes_) count.peak.store(count.now.load());
  total_.peak.store(total_.now.load());
}

MemoryLedger& cpu_ledger() {
  static auto& ledger = *new MemoryLedger;  // never destroyed: tensors of static life are freed after main
  return ledger;
}

MemoryScope::MemoryScope(MemoryClass memory_class) : before_(current_class) {
  current_class = memory_class;
}
MemoryScope::~MemoryScope() {
  current_class = before_;
}
MemoryClass MemoryScope::current() {
  return current_class;
}

void trim_heap() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

ProcessMemory process_memory() {
  const std::string text = read_text_file("/proc/self/status");
  return {.peak_rss_bytes = table_bytes(text, "VmHWM"),
          .rss_bytes = table_bytes(text, "VmRSS"),
          .file_backed_bytes = table_bytes(text, "RssFile")};
}

int64_t available_memory_bytes() {
  const int64_t machine = table_bytes(read_text_file("/proc/meminfo"), "MemAvailable");
  return std::min(machine, cgroup_available_bytes().value_or(machine));
}

std::string format_bytes(int64_t bytes) {
  constexpr std::array<std::string_view, 6> kUnits{"B", "KiB", "MiB", "GiB", "TiB", "PiB"};
  auto value = std::fabs(static_cast<double>(bytes));
  size_t unit = 0;
  while (value >= 1023.5 && unit + 1 < kUnits.size()) {
    value /= 1024;
    ++unit;
  }
  std::string number = fmt::format("{:.{}f}", value, unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2);
  if (number.size() > 2 && number[number.size() - 3] == '.' && number.back() == '0') number.pop_back();
  return fmt::format("{}{} {}", bytes < 0 ? "-" : "", number, kUnits[unit]);
}

int64_t parse_bytes(std::string_view text) {
  const auto refuse = [&] {
    throw Error(ErrorKind::kConfig, fmt::format("'{}' is no amount of memory", text), {},
                "write it as 8GiB, 800MB or as a number of bytes");
  };
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  std::string_view unit = text.substr(static_cast<size_t>(end - text.data()));
  while (unit.starts_with(' ')) unit.remove_prefix(1);
  const double bytes = value * unit_bytes(unit);
  if (error != std::errc() || unit_bytes(unit) == 0 || !(bytes >= 0) || bytes > 9e18) refuse();
  return static_cast<int64_t>(std::llround(bytes));
}

}  // namespace lathe
