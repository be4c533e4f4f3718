#include "kernels/cuda/plugin.h"

#include <dlfcn.h>
#include <fmt/format.h>

#include <cstdlib>
#include <filesystem>

namespace lathe::kernels {
namespace {

constexpr const char* kFile = "liblathe_cuda.so";
constexpr const char* kHowToBuild =
    "build it where the CUDA toolkit (nvcc 12 or newer) is installed: cmake finds nvcc, ninja lathe_cuda makes it";

std::string plugin_path() {
  if (const char* named = std::getenv("LATHE_CUDA_PLUGIN")) return named;
  std::error_code ignored;
  const std::filesystem::path folder = std::filesystem::read_symlink("/proc/self/exe", ignored).parent_path();
  const std::filesystem::path installed = folder.parent_path() / "lib/lathe" / kFile;
  return std::filesystem::exists(installed, ignored) ? installed : folder / kFile;
}

}  // namespace

bool has_nvidia_driver() {
  void* const driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (driver == nullptr) return false;
  dlclose(driver);
  return true;
}

CudaPlugin open_cuda_plugin(const std::string& path) {
  if (!std::filesystem::exists(path)) {
    return {nullptr, fmt::format("the CUDA plug-in {} is missing; {}", path, kHowToBuild)};
  }
  void* const library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) return {nullptr, fmt::format("the CUDA plug-in cannot be opened: {}", dlerror())};
  const auto table = reinterpret_cast<decltype(&lathe_cuda_kernels)>(dlsym(library, "lathe_cuda_kernels"));
  const cuda::Kernels* const kernels = table == nullptr ? nullptr : table(cuda::kTableVersion);
  if (kernels == nullptr) {
    dlclose(library);
    return {nullptr, fmt::format("{} is not the CUDA plug-in of this version; {}", path, kHowToBuild)};
  }
  return {kernels, ""};
}

const CudaPlugin& cuda_plugin() {
  static const CudaPlugin plugin = has_nvidia_driver()
                                       ? open_cuda_plugin(plugin_path())
                                       : CudaPlugin{nullptr, "this machine has no NVIDIA driver (libcuda.so.1)"};
  return plugin;
}

}  // namespace lathe::kernels
