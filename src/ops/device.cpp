#include "ops/device.h"

#include <ATen/Context.h>
#include <c10/core/CachingDeviceAllocator.h>
#include <c10/core/impl/VirtualGuardImpl.h>
#include <dlfcn.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <filesystem>

#include "base/memory_ledger.h"
#include "kernels/cuda/plugin.h"

namespace lathe::ops {
namespace {

constexpr int32_t kOldestCapability = 80;  // what the plug-in is compiled for, and flash attention, too

/// libtorch_cuda.so beside the libtorch_cpu.so that this program runs with. Its libraries register themselves with c10
/// as they load. "": loaded; otherwise why not.
std::string open_libtorch_cuda() {
  Dl_info torch{};
  if (dladdr(reinterpret_cast<const void*>(&at::globalContext), &torch) == 0) return "libtorch's folder is unknown";
  const std::string path = (std::filesystem::path(torch.dli_fname).parent_path() / "libtorch_cuda.so").string();
  return dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL) != nullptr ? "" : dlerror();
}

struct Gpu {
  bool present = false, usable = false;
  std::string text, hint;
  int64_t free_bytes = 0;
};

Gpu open_gpu() {
  if (!kernels::has_nvidia_driver()) return {.text = "no NVIDIA driver (libcuda.so.1)"};
  const kernels::CudaPlugin& plugin = kernels::cuda_plugin();
  if (plugin.kernels == nullptr) return {.present = true, .text = plugin.missing};
  const int32_t count = plugin.kernels->device_count();
  if (count == 0) return {.text = "an NVIDIA driver, but no GPU that it can use"};
  kernels::cuda::Device device{};
  if (const auto status = plugin.kernels->describe_device(&device); status != 0) {
    return {.present = true, .text = plugin.kernels->error_text(status)};
  }
  const std::string text =
      fmt::format("{}, {} of {} free, compute capability {}.{}{}", device.name, format_bytes(device.free_bytes),
                  format_bytes(device.memory_bytes), device.capability / 10, device.capability % 10,
                  count == 1 ? "" : fmt::format("; the first of {}, one is used", count));
  if (device.capability < kOldestCapability) {
    return {.present = true, .text = text + "; compute capability 8.0 (Ampere) or newer is needed"};
  }
  if (const std::string missing = open_libtorch_cuda(); !missing.empty()) {
    return {.present = true,
            .text = "libtorch's CUDA libraries cannot be opened: " + missing,
            .hint = "scripts/bootstrap fetches them where nvidia-smi lists a GPU"};
  }
  if (!at::Context::hasCUDA()) {
    return {.present = true, .text = "libtorch finds no GPU", .hint = "is the driver new enough for CUDA 13?"};
  }
  return {.present = true, .usable = true, .text = text, .hint = "", .free_bytes = device.free_bytes};
}

/// Once a process: libraries stay loaded.
const Gpu& gpu() {
  static const Gpu opened = open_gpu();
  return opened;
}

}  // namespace

c10::Device choose_device(bool use_cpu) {
  if (use_cpu || !gpu().present) return c10::Device(c10::kCPU);
  if (!gpu().usable) {
    const std::string hint = gpu().hint.empty() ? "" : gpu().hint + "; ";
    throw Error(ErrorKind::kConfig, "this machine has an NVIDIA GPU that cannot be used: " + gpu().text, {},
                hint + "or train on the CPU: use_cpu=true");
  }
  at::globalContext().lazyInitDevice(c10::kCUDA);
  return {c10::kCUDA, 0};
}

GpuState gpu_state() {
  return {gpu().usable, gpu().text, gpu().free_bytes};
}

DeviceMemory device_memory(c10::Device device) {
  if (device.is_cpu()) return {};
  const auto stats = at::getDeviceAllocator(device.type())->getDeviceStats(device.index());
  const auto all = static_cast<size_t>(c10::CachingAllocator::StatType::AGGREGATE);
  return {stats.allocated_bytes[all].peak, stats.reserved_bytes[all].peak};
}

void synchronize(c10::Device device) {
  if (!device.is_cpu()) c10::impl::VirtualGuardImpl(device.type()).synchronizeDevice(device.index());
}

}  // namespace lathe::ops
