// Bytes that each kernel reads and writes a second, on one thread, at sizes of a 0.5B model. Compare with what the
// machine copies (the first line): these operations are bound by memory. Attention and products are bound by
// arithmetic: flop/s.
#include <benchmark/benchmark.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/adamw.h"
#include "kernels/adamw_8bit.h"
#include "kernels/attention.h"
#include "kernels/cross_entropy.h"
#include "kernels/dropout.h"
#include "kernels/product.h"
#include "kernels/quantize.h"
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
  auto gate = values<T>(kTokens * kIntermediate), up = gate, dy = gate;
  for (auto _ : state) swiglu_backward(dy.data(), gate.data(), up.data(), kTokens * kIntermediate);
  set_bytes(state, 6 * kTokens * kIntermediate, sizeof(T));
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

template <typename T>
void adamw_update_split(benchmark::State& state) {
  constexpr int64_t kCount = 1 << 22;
  auto rounded = values<Bf16>(kCount);
  std::vector<int16_t> rest(kCount);
  const auto gradient = values<T>(kCount);
  std::vector<float> exp_avg(kCount), exp_avg_sq(kCount);
  const AdamWStep step = adamw_step(1e-5, 0.9, 0.999, 1e-8, 0.01, 10, 1);
  for (auto _ : state) {
    adamw(SplitMaster{rounded.data(), rest.data()}, gradient.data(), exp_avg.data(), exp_avg_sq.data(), kCount, step);
  }
  set_bytes(state, kCount, 6 * sizeof(float) + sizeof(T));
}
BENCHMARK(adamw_update_split<float>);
BENCHMARK(adamw_update_split<Bf16>);

// Not bound by memory: codes are looked up one by one. Elements a second beside those of adamw_update_split.
template <typename T>
void adamw_8bit_update(benchmark::State& state) {
  constexpr int64_t kCount = 1 << 22;
  auto rounded = values<Bf16>(kCount);
  std::vector<int16_t> rest(kCount);
  const auto gradient = values<T>(kCount);
  std::vector<uint8_t> m(kCount), v(kCount);
  std::vector<float> m_absmax(kCount / kDynamicBlock), v_absmax(m_absmax.size());
  const EightBitMoments moments{{m.data(), m_absmax.data()}, {v.data(), v_absmax.data()}};
  const AdamWStep step = adamw_step(1e-5, 0.9, 0.999, 1e-8, 0.01, 10, 1);
  for (auto _ : state) {
    adamw_8bit(SplitMaster{rounded.data(), rest.data()}, gradient.data(), moments, kCount, step);
  }
  set_bytes(state, kCount, 2 * sizeof(float) + 4 * sizeof(uint8_t) + sizeof(T));
}
BENCHMARK(adamw_8bit_update<float>);
BENCHMARK(adamw_8bit_update<Bf16>);

void split_into_halves(benchmark::State& state) {
  const auto from = values<float>(1 << 22);
  std::vector<Bf16> rounded(from.size());
  std::vector<int16_t> rest(from.size());
  for (auto _ : state) {
    split_master(from.data(), {rounded.data(), rest.data()}, 1 << 22);
    benchmark::ClobberMemory();
  }
  set_bytes(state, 2 * (1 << 22), sizeof(float));
}
BENCHMARK(split_into_halves);

void gradient_norm(benchmark::State& state) {
  const auto gradient = values<float>(1 << 22);
  for (auto _ : state) benchmark::DoNotOptimize(sum_of_squares(gradient.data(), 1 << 22));
  set_bytes(state, 1 << 22, sizeof(float));
}
BENCHMARK(gradient_norm);

template <typename T>
void dropout_ten_percent(benchmark::State& state) {
  const auto x = values<T>(kTokens * kHidden);
  std::vector<T> y(x.size());
  for (auto _ : state) {
    dropout(x.data(), y.data(), 0, kTokens * kHidden, {.threshold = 6554, .scale = 1 / 0.9F});
    benchmark::ClobberMemory();
  }
  set_bytes(state, 2 * kTokens * kHidden, sizeof(T));
}
BENCHMARK(dropout_ten_percent<float>);
BENCHMARK(dropout_ten_percent<Bf16>);

// Weights a second. 4.2 million of them, opened into a buffer that stays in the cache, as a layer's largest is.
constexpr int64_t kWeights = kHidden * kIntermediate;

void set_weights(benchmark::State& state) {
  state.counters["weights/s"] = benchmark::Counter(
      static_cast<double>(kWeights), benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::OneK::kIs1000);
}

template <typename T>
void open_nf4(benchmark::State& state) {
  const std::vector<uint8_t> codes(kWeights / 2, 0x5a), scale_codes(kWeights / kFourBitBlock, 200);
  const std::vector<float> nested(scale_codes.size() / kAbsmaxBlock + 1, 0.01F);
  std::vector<float> absmax(scale_codes.size());
  std::vector<T> y(kWeights);
  for (auto _ : state) {
    dequantize_absmax(scale_codes.data(), nested.data(), 0.1F, absmax.data(), 0, static_cast<int64_t>(absmax.size()));
    dequantize_4bit(codes.data(), absmax.data(), y.data(), kWeights, FourBitType::kNf4);
    benchmark::ClobberMemory();
  }
  set_weights(state);
}
BENCHMARK(open_nf4<float>);
BENCHMARK(open_nf4<Bf16>);

template <typename T>
void open_int8(benchmark::State& state) {
  const std::vector<int8_t> codes(kWeights, 77);
  const std::vector<float> absmax(kIntermediate, 0.1F);
  std::vector<T> y(kWeights);
  for (auto _ : state) {
    dequantize_int8(codes.data(), absmax.data(), y.data(), kIntermediate, kHidden);
    benchmark::ClobberMemory();
  }
  set_weights(state);
}
BENCHMARK(open_int8<float>);
BENCHMARK(open_int8<Bf16>);

void quantize_nf4(benchmark::State& state) {
  const auto x = values<float>(kWeights);
  std::vector<uint8_t> codes(kWeights / 2);
  std::vector<float> absmax(kWeights / kFourBitBlock);
  for (auto _ : state) quantize_4bit(x.data(), codes.data(), absmax.data(), kWeights, FourBitType::kNf4);
  set_weights(state);
}
BENCHMARK(quantize_nf4);

void set_flops(benchmark::State& state, double flops) {
  state.counters["flop/s"] =
      benchmark::Counter(flops, benchmark::Counter::kIsIterationInvariantRate, benchmark::Counter::OneK::kIs1000);
}

/// The factors of a linear layer's three products as they lie: x Wᵀ, dy W, dyᵀ x.
struct Factors {
  Factors(int64_t rows, int64_t depth, int64_t columns, bool a_turned, bool b_turned)
      : a(values<Bf16>(rows * depth)), b(values<Bf16>(depth * columns)), y(static_cast<size_t>(rows * columns)) {
    product.factors = {.rows = rows, .depth = depth, .columns = columns, .a = a.data(), .b = b.data()};
    Bf16Factors& of = product.factors;
    of.a_row = a_turned ? 1 : depth, of.a_column = a_turned ? rows : 1;
    of.b_row = b_turned ? 1 : columns, of.b_column = b_turned ? depth : 1;
    product.y = y.data(), product.y_row = columns;
  }
  Factors(const Factors&) = delete;  // the product points into the vectors
  Factors& operator=(const Factors&) = delete;
  [[nodiscard]] double flops() const {
    const Bf16Factors& of = product.factors;
    return 2.0 * static_cast<double>(of.rows * of.depth) * static_cast<double>(of.columns);
  }
  [[nodiscard]] ProductPart whole() const { return {0, product.factors.rows, 0, product.factors.columns}; }

  std::vector<Bf16> a, b, y;
  Bf16Product product;
};

void product_by_tiles(benchmark::State& state, Factors of) {
  if (!multiplies_in_tiles(of.product.factors)) return state.SkipWithError("this processor has no tiles of bf16");
  std::vector<float> space(static_cast<size_t>(kProductWorkspace));
  for (auto _ : state) multiply_in_tiles(of.product, of.whole(), space.data());
  set_flops(state, of.flops());
}

void product_widened(benchmark::State& state, Factors of) {
  std::vector<float> space(static_cast<size_t>(widened_workspace(of.product.factors.rows)));
  for (auto _ : state) multiply_widened(of.product, of.whole(), space.data());
  set_flops(state, of.flops());
}

#define LATHE_PRODUCT_BENCH(name, ...)                            \
  BENCHMARK_CAPTURE(product_by_tiles, name, Factors __VA_ARGS__); \
  BENCHMARK_CAPTURE(product_widened, name, Factors __VA_ARGS__)
LATHE_PRODUCT_BENCH(up, {kTokens, kHidden, kIntermediate, false, true});
LATHE_PRODUCT_BENCH(up_input_gradient, {kTokens, kIntermediate, kHidden, false, false});
LATHE_PRODUCT_BENCH(up_weight_gradient, {kIntermediate, kTokens, kHidden, true, false});
LATHE_PRODUCT_BENCH(up_adapter, {kTokens, kHidden, 64, false, true});
LATHE_PRODUCT_BENCH(narrow_adapter, {kTokens, kHidden, 8, false, true});
#undef LATHE_PRODUCT_BENCH

// Operations that a causal row needs, 2 a multiplication: not those spent above the diagonal.
double attention_flops(const AttentionTask& task, int64_t products) {
  const double scores = static_cast<double>(task.num_keys) * static_cast<double>(task.num_keys) / 2;
  return scores * static_cast<double>(2 * products * task.group * task.head_dim);
}

/// One of the two key/value heads of a 0.5B model, or a head as wide as those of larger ones.
AttentionTask attention_task(const benchmark::State& state) {
  const int64_t length = state.range(0), dim = state.range(1);
  return {length, length, kHeads / 2, dim, kHeads * dim, 2 * dim};
}

void attention_sizes(benchmark::internal::Benchmark* bench) {
  bench->ArgNames({"", "dim"});
  for (const int64_t dim : {kHeadDim, 2 * kHeadDim}) {
    for (const int64_t length : {64, 200, 512, 1024, 2048, 4096}) bench->Args({length, dim});
  }
}

void attention_forward(benchmark::State& state) {
  const AttentionTask task = attention_task(state);
  const auto q = values<Bf16>(task.num_queries * task.q_stride), k = values<Bf16>(task.num_keys * task.kv_stride);
  auto out = q;
  std::vector<float> lse(static_cast<size_t>(task.num_queries * kHeads)),
      space(static_cast<size_t>(attention_workspace<Bf16>(task)));
  for (auto _ : state) attention<Bf16>({q.data(), k.data(), k.data()}, out.data(), lse.data(), task, space.data());
  set_flops(state, attention_flops(task, 2));
}
BENCHMARK(attention_forward)->Apply(attention_sizes);

void attention_back(benchmark::State& state) {
  const AttentionTask task = attention_task(state);
  const auto q = values<Bf16>(task.num_queries * task.q_stride), k = values<Bf16>(task.num_keys * task.kv_stride);
  auto out = q, dq = q, dk = k, dv = k;
  std::vector<float> lse(static_cast<size_t>(task.num_queries * kHeads)),
      space(static_cast<size_t>(std::max(attention_workspace<Bf16>(task), attention_backward_workspace<Bf16>(task))));
  attention<Bf16>({q.data(), k.data(), k.data()}, out.data(), lse.data(), task, space.data());
  for (auto _ : state) {
    attention_backward<Bf16>({q.data(), k.data(), k.data()}, {q.data(), out.data(), lse.data()},
                             {dq.data(), dk.data(), dv.data()}, task, space.data());
  }
  set_flops(state, attention_flops(task, 5));
}
BENCHMARK(attention_back)->Apply(attention_sizes);

}  // namespace
}  // namespace lathe::kernels

BENCHMARK_MAIN();
