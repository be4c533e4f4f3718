#pragma once
// Opens the CUDA plug-in when the program runs. Thread-safe.
#include <string>

#include "kernels/cuda/table.h"

namespace lathe::kernels {

struct CudaPlugin {
  const cuda::Kernels* kernels = nullptr;  ///< null: CUDA cannot be used, and missing says why and what to do
  std::string missing;
};

/// The plug-in of this process, opened at the first call and kept: the file that LATHE_CUDA_PLUGIN names, or
/// liblathe_cuda.so beside the program or in ../lib/lathe. Not even looked for without an NVIDIA driver (libcuda.so.1).
[[nodiscard]] const CudaPlugin& cuda_plugin();

/// That file, whether or not there is a driver.
[[nodiscard]] CudaPlugin open_cuda_plugin(const std::string& path);

[[nodiscard]] bool has_nvidia_driver();

}  // namespace lathe::kernels
