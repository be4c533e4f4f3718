// The plug-in's one exported symbol, and the few calls of the CUDA runtime that tests and benches need. Under another
// compiler "the device" is the host.
#include <cstdlib>
#include <cstring>

#include "kernels/cuda/table.h"

namespace lathe::kernels::cuda {

#ifdef __CUDACC__

int32_t device_count() {
  int count = 0;
  return cudaGetDeviceCount(&count) == cudaSuccess ? count : 0;
}
Status describe_device(Device* device) {
  cudaDeviceProp properties{};
  size_t free = 0, all = 0;
  cudaError_t status = cudaGetDeviceProperties(&properties, 0);
  if (status == cudaSuccess) status = cudaMemGetInfo(&free, &all);
  static_assert(sizeof(device->name) == sizeof(properties.name));
  std::memcpy(device->name, properties.name, sizeof(device->name));
  device->capability = properties.major * 10 + properties.minor;
  device->memory_bytes = static_cast<int64_t>(all);
  device->free_bytes = static_cast<int64_t>(free);
  return static_cast<Status>(status);
}
Status allocate(void** memory, int64_t bytes) {
  return static_cast<Status>(cudaMalloc(memory, static_cast<size_t>(bytes)));
}
Status release(void* memory) {
  return static_cast<Status>(cudaFree(memory));
}
Status copy(void* to, const void* from, int64_t bytes) {
  return static_cast<Status>(cudaMemcpy(to, from, static_cast<size_t>(bytes), cudaMemcpyDefault));
}
Status synchronize() {
  return static_cast<Status>(cudaDeviceSynchronize());
}
const char* error_text(Status status) {
  return cudaGetErrorString(static_cast<cudaError_t>(status));
}

#else

int32_t device_count() {
  return 1;
}
Status describe_device(Device* device) {
  *device = {"host", 0, 0, 0};
  return 0;
}
Status allocate(void** memory, int64_t bytes) {
  *memory = std::malloc(static_cast<size_t>(bytes));
  return *memory == nullptr && bytes > 0 ? 2 : 0;
}
Status release(void* memory) {
  std::free(memory);
  return 0;
}
Status copy(void* to, const void* from, int64_t bytes) {
  if (bytes > 0) std::memcpy(to, from, static_cast<size_t>(bytes));
  return 0;
}
Status synchronize() {
  return 0;
}
const char* error_text(Status status) {
  return status == 0 ? "no error" : "out of memory";
}

#endif

namespace {

constexpr Kernels kKernels = {
    .rms_norm = &rms_norm,
    .rms_norm_backward = &rms_norm_backward,
    .rms_norm_workspace = &rms_norm_workspace,
    .rotary = &rotary,
    .swiglu = &swiglu,
    .swiglu_backward = &swiglu_backward,
    .cross_entropy = &cross_entropy,
    .adamw = &adamw,
    .sum_of_squares = &sum_of_squares,
    .dropout = &dropout,
    .dequantize_4bit = &dequantize_4bit,
    .dequantize_int8 = &dequantize_int8,
    .device_count = &device_count,
    .describe_device = &describe_device,
    .allocate = &allocate,
    .release = &release,
    .copy = &copy,
    .synchronize = &synchronize,
    .error_text = &error_text,
};

}  // namespace
}  // namespace lathe::kernels::cuda

extern "C" {
__attribute__((visibility("default"))) const lathe::kernels::cuda::Kernels* lathe_cuda_kernels(uint32_t version) {
  return version == lathe::kernels::cuda::kTableVersion ? &lathe::kernels::cuda::kKernels : nullptr;
}
}
