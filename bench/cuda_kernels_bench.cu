// Bytes a second that each CUDA kernel reads and writes, by the GPU's own clock, at sizes of a 0.5B model. Compare with
// what the GPU copies (the first line): these operations are bound by memory. Needs a GPU; says so where there is none.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <string>

#include "kernels/cuda/plugin.h"

namespace lathe::kernels {
namespace {

constexpr int64_t kTokens = 8192, kHidden = 896, kIntermediate = 4864, kHeads = 14, kHeadDim = 64, kVocabulary = 151936;
constexpr int64_t kLogitRows = 256, kParameters = 1 << 26;
constexpr int kWarmUps = 3, kRuns = 20;

void check(cudaError_t status) {
  if (status == cudaSuccess) return;
  std::fprintf(stderr, "CUDA: %s\n", cudaGetErrorString(status));
  std::exit(1);
}

/// Device memory that is never given back: a bench ends.
template <typename T>
T* zeros(int64_t count) {
  void* memory = nullptr;
  check(cudaMalloc(&memory, static_cast<size_t>(count) * sizeof(T)));
  check(cudaMemset(memory, 0, static_cast<size_t>(count) * sizeof(T)));
  return static_cast<T*>(memory);
}

/// Prints the median of kRuns runs between two events.
void measure(const std::string& name, int64_t bytes, const std::function<cuda::Status()>& run) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin));
  check(cudaEventCreate(&end));
  float milliseconds[kRuns];
  for (int i = -kWarmUps; i < kRuns; ++i) {
    check(cudaEventRecord(begin));
    check(static_cast<cudaError_t>(run()));
    check(cudaEventRecord(end));
    check(cudaEventSynchronize(end));
    if (i >= 0) check(cudaEventElapsedTime(&milliseconds[i], begin, end));
  }
  std::sort(milliseconds, milliseconds + kRuns);
  const double seconds = static_cast<double>(milliseconds[kRuns / 2]) / 1e3;
  std::printf("%-32s %10.1f us %10.1f GB/s\n", name.c_str(), seconds * 1e6, static_cast<double>(bytes) / seconds / 1e9);
}

template <typename T>
void of_type(const cuda::Kernels& kernels, cuda::Element type, const std::string& suffix) {
  constexpr auto kBytes = static_cast<int64_t>(sizeof(T));
  const int64_t wide = kTokens * kIntermediate, narrow = kTokens * kHidden, logits = kLogitRows * kVocabulary;
  T *a = zeros<T>(std::max(wide, logits)), *b = zeros<T>(wide), *c = zeros<T>(wide), *weight = zeros<T>(kHidden);
  auto *rstd = zeros<float>(kTokens), *dweight = zeros<float>(kHidden), *loss = zeros<float>(kLogitRows);
  auto *cos = zeros<float>(kTokens * kHeadDim / 2), *space = zeros<float>(kernels.rms_norm_workspace(kTokens, kHidden));
  auto* const targets = zeros<int64_t>(kLogitRows);
  auto* const sums = zeros<double>(cuda::kSumParts + 1);
  measure("rms_norm" + suffix, 2 * narrow * kBytes,
          [&] { return kernels.rms_norm(type, a, weight, b, rstd, kTokens, kHidden, 1e-6F, nullptr); });
  measure("rms_norm_backward" + suffix, 3 * narrow * kBytes, [&] {
    return kernels.rms_norm_backward(type, a, b, weight, rstd, c, nullptr, nullptr, kTokens, kHidden, nullptr);
  });
  measure("rms_norm_weight_gradient" + suffix, 2 * narrow * kBytes, [&] {
    return kernels.rms_norm_backward(type, a, b, weight, rstd, nullptr, dweight, space, kTokens, kHidden, nullptr);
  });
  measure("rotary" + suffix, 2 * narrow * kBytes,
          [&] { return kernels.rotary(type, a, b, cos, cos, kTokens, kHeads, kHeadDim, false, nullptr); });
  measure("swiglu" + suffix, 3 * wide * kBytes, [&] { return kernels.swiglu(type, a, b, c, wide, nullptr); });
  measure("swiglu_backward" + suffix, 6 * wide * kBytes,
          [&] { return kernels.swiglu_backward(type, a, b, c, wide, nullptr); });
  measure("dropout" + suffix, 2 * narrow * kBytes,
          [&] { return kernels.dropout(type, a, b, 0, narrow, {.threshold = 6554, .scale = 1 / 0.9F}, nullptr); });
  measure("cross_entropy_with_gradient" + suffix, 3 * logits * kBytes, [&] {
    return kernels.cross_entropy(type, a, targets, loss, kLogitRows, kVocabulary, {.gradient = true}, nullptr);
  });
  measure("sum_of_squares" + suffix, wide * kBytes,
          [&] { return kernels.sum_of_squares(type, a, wide, sums, sums + cuda::kSumParts, nullptr); });
}

int run() {
  const CudaPlugin& plugin = cuda_plugin();
  if (plugin.kernels == nullptr || plugin.kernels->device_count() == 0) {
    std::fprintf(stderr, "nothing to measure: %s\n", plugin.kernels == nullptr ? plugin.missing.c_str() : "no GPU");
    return 1;
  }
  cuda::Device device{};
  check(static_cast<cudaError_t>(plugin.kernels->describe_device(&device)));
  std::printf("%s\n", device.name);
  auto *p = zeros<float>(kParameters), *g = zeros<float>(kParameters), *m = zeros<float>(kParameters);
  auto* const v = zeros<float>(kParameters);
  constexpr auto kBytes = static_cast<int64_t>(sizeof(float)) * kParameters;
  measure("copy", 2 * kBytes,
          [&] { return static_cast<cuda::Status>(cudaMemcpyAsync(p, g, kBytes, cudaMemcpyDeviceToDevice)); });
  const AdamWStep step = adamw_step(1e-5, 0.9, 0.999, 1e-8, 0.01, 10, 1);
  measure("adamw", 7 * kBytes, [&] { return plugin.kernels->adamw(p, g, m, v, kParameters, step, nullptr); });
  of_type<float>(*plugin.kernels, cuda::Element::kFloat, "<fp32>");
  of_type<Bf16>(*plugin.kernels, cuda::Element::kBf16, "<bf16>");
  return 0;
}

}  // namespace
}  // namespace lathe::kernels

int main() {
  return lathe::kernels::run();
}
