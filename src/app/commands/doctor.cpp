// lathe doctor: what this machine has, as Lathe sees it.
#include <ATen/Parallel.h>
#include <ATen/Version.h>
#include <fmt/format.h>
#include <torch/headeronly/version.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <string>

#include "app/build_config.h"
#include "app/commands/commands.h"
#include "base/file.h"
#include "base/memory_ledger.h"
#include "ops/device.h"

namespace lathe {
namespace {

// The value of the first line of /proc/cpuinfo that starts with one of the keys (x86 and ARM name them differently).
template <size_t N>
std::string cpuinfo(const std::array<std::string, N>& keys) {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    for (const std::string& key : keys) {
      const size_t colon = line.find(": ");
      if (line.starts_with(key) && colon != std::string::npos) return line.substr(colon + 2);
    }
  }
  return "";
}

std::string instruction_sets() {
  const std::string flags = " " + cpuinfo<2>({"flags", "Features"}) + " ";
  std::string found;
  for (const char* name :
       {"avx2", "fma", "f16c", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16", "asimd", "sve", "bf16"}) {
    if (flags.find(fmt::format(" {} ", name)) != std::string::npos)
      found += (found.empty() ? "" : " ") + std::string(name);
  }
  return found.empty() ? "none of those that Lathe looks for" : found;
}

void print_line(const char* name, const std::string& text) {
  fmt::print("  {:<14}{}\n", name, text);
}

int run_doctor() {
  const std::string here = std::filesystem::current_path().string();
  fmt::print("machine\n");
  print_line("processor", cpuinfo<2>({"model name", "Processor"}));
  print_line("cores", fmt::format("{}", sysconf(_SC_NPROCESSORS_ONLN)));
  print_line("instructions", instruction_sets());
  print_line("memory", fmt::format("{} of {} available", format_bytes(available_memory_bytes()),
                                   format_bytes(sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGE_SIZE))));
  print_line("disk", fmt::format("{} free at {}", format_bytes(free_disk_bytes(here)), here));
  fmt::print("libraries\n");
  print_line("lathe", LATHE_VERSION);
  print_line("libtorch", fmt::format("{}, its kernels for {}", TORCH_VERSION, at::get_cpu_capability()));
  print_line("threads", fmt::format("{}", at::get_num_threads()));
  fmt::print("devices\n");
  const ops::GpuState gpu = ops::gpu_state();
  print_line("cpu", gpu.usable ? "used where use_cpu=true asks for it" : "used");
  print_line("cuda", (gpu.usable ? "used: " : "not used: ") + gpu.text);
  return 0;
}

}  // namespace

Command doctor_command() {
  return {"doctor", "Show what the machine has: processor, memory, disk, libraries, devices",
          [](CommandOptions&) { return std::function<int()>(run_doctor); }};
}

}  // namespace lathe
