// Bytes that each kernel reads and writes a second, on one thread, at sizes of a 0.5B model. Compare with what the
// machine copies (the first line): these operations are bound by memory.
#include <benchmark/benchmark.h>

#include <cstring>
#include <random>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/cross_entropy.h"
#include "kernels/reference/scalar.h"
#include "kernels/rms_norm.h"
#include "kernels/rotary.h"
#include "kernels/sum_of_squares.h"
#include "kernels/swiglu.h"

namespace lathe::kernels {
namespace {

constexpr int64_t kTokens = 512, kHidden = 896, kIntermediate = 4864, kHeads = 14, kHeadDim = 64, kVocabulary = 151936;

template <typename T>
std::vector<T> values(int64_t count) {
  std::mt19937 generator(1);
  std::uniform_real_distribution<double> uniform(-1, 1);
  std::vector<T> out(static_cast<size_t>(count));
  for (T& value : out) value = reference::narrow<T>(uniform(generator));
  return out;
}

void set_bytes(benchmark::State& state, int64_t elements, size_t element_bytes) {
  state.SetBytesProcessed(state.iterations() * elements * static_cast<int64_t>(element_bytes));
}

void copy(benchmark::State& state) {
  const auto from = values<float>(kTokens * kIntermediate);
  std::vector<float> to(from.size());
  for (auto _ : state) {
    std::memcpy(to.data(), from.data(), from.size() * sizeof(float));
    benchmark::ClobberMemory();
  }
  set_bytes(state, 2 * kTokens * kIntermediate, sizeof(float));
}
BENCHMARK(copy);

template <typename T>
void rms_norm_forward(benchmark::State& state) {
  const auto x = values<T>(kTokens * kHidden), weight = values<T>(kHidden);
  std::vector<T> y(x.size());
  std::vector<float> rstd(kTokens);
  for (auto _ : state) rms_norm(x.data(), weight.data(), y.data(), rstd.data(), kTokens, kHidden, 1e-6F);
  set_bytes(state, 2 * kTokens * kHidden, sizeof(T));
}
BENCHMARK(rms_norm_forward<float>);
BENCHMARK(rms_norm_forward<Bf16>);

template <typename T>
void rms_norm_back(benchmark::State& state) {
  const auto x = values<T>(kTokens * kHidden), dy = x, weight = values<T>(kHidden);
  std::vector<T> dx(x.size());
  const std::vector<float> rstd(kTokens, 1);
  for (auto _ : state) {
    rms_norm_backward(dy.data(), x.data(), weight.data(), rstd.data(), dx.data(), nullptr, kTokens, kHidden);
  }
  set_bytes(state, 3 * kTokens * kHidden, sizeof(T));
}
BENCHMARK(rms_norm_back<float>);
BENCHMARK(rms_norm_back<Bf16>);

template <typename T>
void rotate(benchmark::State& state) {
  auto x = values<T>(kTokens * kHeads * kHeadDim);
  const std::vector<float> cos(kTokens * kHeadDim / 2, 0.8F), sin(cos.size(), 0.6F);
  for (auto _ : state) rotary(x.data(), cos.data(), sin.data(), kTokens, kHeads, kHeadDim, false);
  set_bytes(state, 2 * kTokens * kHeads * kHeadDim, sizeof(T));
}
BENCHMARK(rotate<float>);
BENCHMARK(rotate<Bf16>);

template <typename T>
void swiglu_forward(benchmark::State& state) {
  const auto gate = values<T>(kTokens * kIntermediate), up = gate;
  std::vector<T> y(gate.size());
  for (auto _ : state) swiglu(gate.data(), up.data(), y.data(), kTokens * kIntermediate);
  set_bytes(state, 3 * kTokens * kIntermediate, sizeof(T));
}
BENCHMARK(swiglu_forward<float>);
BENCHMARK(swiglu_forward<Bf16>);

template <typename T>
void swiglu_back(benchmark::State& state) {
  const auto gate = values<T>(kTokens * kIntermediate), up = gate, dy = gate;
  std::vector<T> dgate(gate.size()), dup(gate.size());
  for (auto _ : state) {
    swiglu_backward(dy.data(), gate.data(), up.data(), dgate.data(), dup.data(), kTokens * kIntermediate);
  }
  set_bytes(state, 5 * kTokens * kIntermediate, sizeof(T));
}
BENCHMARK(swiglu_back<float>);
BENCHMARK(swiglu_back<Bf16>);

template <typename T>
void cross_entropy_with_gradient(benchmark::State& state) {
  constexpr int64_t kRows = 16;
  auto logits = values<T>(kRows * kVocabulary);
  const std::vector<int64_t> targets(kRows, 7);
  std::vector<float> loss(kRows);
  for (auto _ : state) {
    cross_entropy(logits.data(), targets.data(), loss.data(), kRows, kVocabulary, {.gradient = true});
  }
  set_bytes(state, 2 * kRows * kVocabulary, sizeof(T));
}
BENCHMARK(cross_entropy_with_gradient<float>);
BENCHMARK(cross_entropy_with_gradient<Bf16>);

void adamw_update(benchmark::State& state) {
  auto parameter = values<float>(1 << 22), exp_avg = parameter;
  const auto gradient = parameter;
  std::vector<float> exp_avg_sq(parameter.size());
  const AdamWStep step = adamw_step(1e-5, 0.9, 0.999, 1e-8, 0.01, 10, 1);
  for (auto _ : state) {
    adamw(parameter.data(), gradient.data(), exp_avg.data(), exp_avg_sq.data(), 1 << 22, step);
  }
  set_bytes(state, 7 * (1 << 22), sizeof(float));
}
BENCHMARK(adamw_update);

void gradient_norm(benchmark::State& state) {
  const auto gradient = values<float>(1 << 22);
  for (auto _ : state) benchmark::DoNotOptimize(sum_of_squares(gradient.data(), 1 << 22));
  set_bytes(state, 1 << 22, sizeof(float));
}
BENCHMARK(gradient_norm);

}  // namespace
}  // namespace lathe::kernels

BENCHMARK_MAIN();
