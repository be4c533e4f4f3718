// What the ops reach on all threads beside what this machine can do, in one process and interleaved: the matrix-product
// peak, a copy of as many bytes, and ATen's own kernels. bench/run reads the JSON; by hand:
//
//   build/bench/ops_bench bench/shapes/qwen2.5-0.5b.json --benchmark_filter='attention|peak'
//
// T tokens, H hidden, I intermediate, Q query heads, K key/value heads, D head dim, V vocabulary.
#include <ATen/ATen.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu.h>
#include <ATen/ops/_scaled_dot_product_flash_attention_for_cpu_backward.h>
#include <benchmark/benchmark.h>

#include <cstdio>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/processor.h"
#include "config/model_shape.h"
#include "kernels/adamw.h"
#include "model/head.h"
#include "model/projection.h"
#include "ops/attention.h"
#include "ops/cpu_allocator.h"
#include "ops/dropout.h"
#include "ops/rms_norm.h"
#include "ops/rotary.h"
#include "ops/swiglu.h"
#include "ops/update.h"

namespace lathe {
namespace {

constexpr int64_t kTokens = 2048, kAttentionTokens = 4096, kHeadTokens = 512, kLoraTokens = 512, kRank = 64,
                  kCube = 2048;
constexpr int64_t kStateElements = int64_t{1} << 25;  // far beyond any cache

at::Tensor random(at::IntArrayRef sizes, at::ScalarType type = at::kBFloat16) {
  return at::randn(sizes, at::dtype(at::kFloat)).to(type);
}

/// What the peak and ATen's kernels are measured in: bf16, but fp32 where the processor has no products of bf16 and
/// anybody would choose that. Lathe's ops compute in bf16 on either.
at::ScalarType fast_type() {
  return multiplies(DType::kBF16) ? at::kBFloat16 : at::kFloat;
}

using Body = std::function<void()>;

/// What the operation needs is made once, when it first runs; Google Benchmark calls it many times to find a count.
void add(const std::string& name, const char* counter, double amount, const std::function<Body()>& make) {
  const auto body = std::make_shared<Body>();
  const auto run = [=](benchmark::State& state) {
    if (!*body) {
      *body = make();
      (*body)();  // first touch, the choice of a kernel
    }
    for (auto _ : state) (*body)();
    state.counters[counter] = benchmark::Counter(amount, benchmark::Counter::kIsIterationInvariantRate);
  };
  benchmark::RegisterBenchmark(name.c_str(), run)->UseRealTime()->Unit(benchmark::kMillisecond);
}

void add_flops(const std::string& name, double flops, const std::function<Body()>& make) {
  add(name, "flops", flops, make);
}

/// An op that memory bounds, and a copy that reads and writes as many bytes.
void add_bytes(const std::string& name, int64_t bytes, const std::function<Body()>& make) {
  add(name, "bytes", static_cast<double>(bytes), make);
  add("copy/" + name, "bytes", static_cast<double>(bytes), [bytes]() -> Body {
    const at::Tensor from = at::ones({bytes / 8}, at::dtype(at::kFloat)), to = at::empty_like(from);
    return [from, to] { to.copy_(from); };
  });
}

void add_peak() {
  add_flops("peak", 2.0 * kCube * kCube * kCube, []() -> Body {
    const at::Tensor a = random({kCube, kCube}, fast_type()), b = random({kCube, kCube}, fast_type());
    at::Tensor c = at::empty_like(a);
    return [a, b, c]() mutable { at::mm_out(c, a, b); };
  });
}

/// Forward and backward, 2 + 5 products over the half below the diagonal.
void add_attention(const ModelShape& shape, int64_t length) {
  const int64_t rows = kAttentionTokens / length, heads = shape.num_heads, dim = shape.head_dim;
  const double flops = 7.0 * static_cast<double>(rows * heads * dim) * static_cast<double>(length * length);
  const std::string suffix = std::to_string(length);
  add_flops("attention/" + suffix, flops, [=, kv = shape.num_kv_heads]() -> Body {
    std::vector<ops::AttentionRow> laid_out;
    for (int64_t i = 0; i < rows; ++i) laid_out.push_back({i * length, length, i * length, length});
    const at::Tensor q = random({kAttentionTokens, heads, dim}), dout = random({kAttentionTokens, heads, dim});
    const at::Tensor k = random({kAttentionTokens, kv, dim}), v = random({kAttentionTokens, kv, dim});
    return [=] {
      at::Tensor lse;
      const at::Tensor out = ops::attention(q, k, v, laid_out, &lse);
      benchmark::DoNotOptimize(ops::attention_backward(dout, {q, k, v, out, lse}, laid_out));
    };
  });
  // Keys and values of its shared heads are spread out beforehand, for nothing.
  add_flops("aten_attention/" + suffix, flops, [=]() -> Body {
    const auto make = [=] { return random({rows, length, heads, dim}, fast_type()).transpose(1, 2); };
    const at::Tensor q = make(), k = make(), v = make(), dout = make();
    return [=] {
      const auto [out, logsumexp] = at::_scaled_dot_product_flash_attention_for_cpu(q, k, v, 0.0, true);
      benchmark::DoNotOptimize(
          at::_scaled_dot_product_flash_attention_for_cpu_backward(dout, q, k, v, out, logsumexp, 0.0, true));
    };
  });
}

/// Wants no gradient of a parameter: LoRA's head.
struct NothingTrains : GradientSink {
  bool wants(const ParameterId& /*id*/) const override { return false; }
  void ready(const ParameterId& /*id*/, const at::Tensor& /*gradient*/, bool /*last*/) override {}
  GradientPlace borrow(const ParameterId& /*id*/) override { return {}; }
  void written(const ParameterId& /*id*/, bool /*last*/) override {}
};

/// Logits, loss and the hidden state's gradient for supervised tokens: two products with the vocabulary's matrix.
void add_head(const ModelShape& shape) {
  const int64_t hidden = shape.hidden_size, vocabulary = shape.vocab_size;
  const double flops = 4.0 * static_cast<double>(kHeadTokens * hidden) * static_cast<double>(vocabulary);
  add_flops("head", flops, [=]() -> Body {
    BlockView view;
    view.set(Site::kLmHead, Part::kWeight, random({vocabulary, hidden}));
    view.set(Site::kFinalNorm, Part::kWeight, random({hidden}));
    const at::Tensor x = random({kHeadTokens, hidden});
    const std::vector<int32_t> targets(static_cast<size_t>(kHeadTokens), 7);
    return [=] {
      NothingTrains sink;
      ModelOptions options{.compute_dtype = at::kBFloat16};
      const PassContext pass{.shape = shape, .options = options, .gradients = &sink};
      at::Tensor dx;
      benchmark::DoNotOptimize(Head(view, pass).forward_backward(x, targets, 1.0 / kHeadTokens, &dx));
    };
  });
  add_flops("aten_head", flops, [=]() -> Body {
    const at::Tensor matrix = random({vocabulary, hidden}, fast_type()), x = random({kHeadTokens, hidden}, fast_type());
    const at::Tensor labels = at::full({kHeadTokens}, 7, at::dtype(at::kLong));
    return [=] {
      const at::Tensor log_p = at::log_softmax(at::mm(x, matrix.t()).to(at::kFloat), 1);
      at::Tensor dlogits = at::exp(log_p);
      dlogits.scatter_add_(1, labels.unsqueeze(1), at::full({kHeadTokens, 1}, -1.0, log_p.options()));
      benchmark::DoNotOptimize(at::mm((dlogits / kHeadTokens).to(fast_type()), matrix));
    };
  });
}

/// Gives every adapter gradient the same place.
struct AdapterTrains : NothingTrains {
  bool wants(const ParameterId& id) const override { return id.part == Part::kLoraA || id.part == Part::kLoraB; }
  GradientPlace borrow(const ParameterId& id) override { return {id.part == Part::kLoraA ? a : b, true}; }
  at::Tensor a, b;
};

/// One adapted projection, forward and backward: a frozen weight's two products and six narrow ones.
void add_lora_linear(const ModelShape& shape) {
  const int64_t in = shape.hidden_size, out = shape.intermediate_size;
  const double flops =
      4.0 * kLoraTokens * static_cast<double>(in * out) + 6.0 * kLoraTokens * kRank * static_cast<double>(in + out);
  add_flops("lora_linear", flops, [=]() -> Body {
    BlockView view;
    view.set(Site::kUp, Part::kWeight, random({out, in}));
    view.set(Site::kUp, Part::kLoraA, random({kRank, in}));
    view.set(Site::kUp, Part::kLoraB, random({out, kRank}));
    const at::Tensor x = random({kLoraTokens, in}), dy = random({kLoraTokens, out});
    const auto sink = std::make_shared<AdapterTrains>();
    sink->a = random({kRank, in}), sink->b = random({out, kRank});
    return [=] {
      const ModelOptions options{.compute_dtype = at::kBFloat16, .lora = {.r = kRank, .scale = 0.25}};
      const PassContext pass{.shape = shape, .options = options, .gradients = sink.get()};
      const Projection projection(view, BlockId::decoder(0), Site::kUp, pass);
      AdapterSaved saved;
      at::Tensor dx;
      benchmark::DoNotOptimize(projection.forward(x, &saved));
      projection.backward(dy, x, saved, &dx);
      benchmark::DoNotOptimize(dx);
    };
  });
  // As autocast runs peft's module: fp32 adapters rounded for each product, their output scaled and added.
  add_flops("aten_lora_linear", flops, [=]() -> Body {
    const at::Tensor weight = random({out, in}, fast_type());
    const at::Tensor x = random({kLoraTokens, in}, fast_type()), dy = random({kLoraTokens, out}, fast_type());
    const at::Tensor a = random({kRank, in}, at::kFloat), b = random({out, kRank}, at::kFloat);
    return [=] {
      const at::Tensor narrow_a = a.to(fast_type()), narrow_b = b.to(fast_type());
      const at::Tensor low = at::linear(x, narrow_a);
      benchmark::DoNotOptimize(at::linear(x, weight) + at::linear(low, narrow_b) * 0.25);
      const at::Tensor scaled = dy * 0.25, dlow = at::mm(scaled, narrow_b);
      benchmark::DoNotOptimize(at::mm(scaled.t(), low).to(at::kFloat));
      benchmark::DoNotOptimize(at::mm(dlow.t(), x).to(at::kFloat));
      benchmark::DoNotOptimize(at::mm(dy, weight) + at::mm(dlow, narrow_a));
    };
  });
}

void add_norms(const ModelShape& shape) {
  const int64_t bytes = kTokens * shape.hidden_size * 2;
  const auto x = [=] { return random({kTokens, shape.hidden_size}); };
  const auto weight = [=] { return random({shape.hidden_size}); };
  add_bytes("rms_norm", 2 * bytes, [=]() -> Body {
    return [x = x(), w = weight()] {
      at::Tensor rstd;
      benchmark::DoNotOptimize(ops::rms_norm(x, w, 1e-6, &rstd));
    };
  });
  add_bytes("rms_norm_backward", 3 * bytes, [=]() -> Body {
    const at::Tensor rstd = at::ones({kTokens}, at::dtype(at::kFloat));
    return [dy = x(), x = x(), w = weight(), rstd] {
      benchmark::DoNotOptimize(ops::rms_norm_backward(dy, x, w, rstd, nullptr));
    };
  });
  add_bytes("dropout", 2 * bytes, [=]() -> Body {
    return [x = x()] { benchmark::DoNotOptimize(ops::dropout(x, {.seed = 1, .probability = 0.1})); };
  });
}

void add_rotary(const ModelShape& shape) {
  const int64_t heads = shape.num_heads, dim = shape.head_dim;
  add_bytes("rotary", 2 * kTokens * heads * dim * 2, [=]() -> Body {
    const at::Tensor positions = at::arange(kTokens, at::dtype(at::kInt));
    const ops::RotaryTable table = ops::rotary_table(positions, at::rand({dim / 2}), 1, at::kBFloat16);
    return [x = random({kTokens, heads, dim}), table] { benchmark::DoNotOptimize(ops::rotary(x, table)); };
  });
}

void add_swiglu(const ModelShape& shape) {
  const int64_t inner = shape.intermediate_size, bytes = kTokens * inner * 2;
  const auto x = [=] { return random({kTokens, inner}); };
  add_bytes("swiglu", 3 * bytes,
            [=]() -> Body { return [gate = x(), up = x()] { benchmark::DoNotOptimize(ops::swiglu(gate, up)); }; });
  // In place: each run makes gradients of the last one's, zeros at first, so that they stay numbers.
  add_bytes("swiglu_backward", 6 * bytes, [=]() -> Body {
    const at::Tensor zeros = at::zeros({kTokens, inner}, at::dtype(at::kBFloat16));
    return [dy = zeros.clone(), gate = zeros.clone(), up = zeros]() mutable { ops::swiglu_backward_(dy, gate, up); };
  });
}

void add_update() {
  const auto state = [] { return at::rand({kStateElements}, at::dtype(at::kFloat)); };
  add_bytes("adamw", 7 * 4 * kStateElements, [=]() -> Body {
    const kernels::AdamWStep step = kernels::adamw_step(1e-5, 0.9, 0.999, 1e-8, 0.01, 10, 1);
    return [=, w = state(), g = state(), m = state(), v = state()] { ops::adamw({w, {}}, g, m, v, step); };
  });
  add_bytes("gradient_norm", 4 * kStateElements,
            [=]() -> Body { return [g = state()] { benchmark::DoNotOptimize(ops::sum_of_squares(g)); }; });
}

}  // namespace
}  // namespace lathe

int main(int argc, char** argv) {
  if (argc < 2) {
    std::fprintf(stderr, "usage: ops_bench SHAPE.json [--benchmark_…]\n");
    return 2;
  }
  lathe::install_cpu_allocator();
  const at::InferenceMode no_graph;
  const lathe::ModelShape shape = lathe::parse_model_shape(lathe::read_json_file(argv[1]), argv[1]);
  lathe::add_peak();
  for (const int64_t length : {512, 1024, 2048, 4096}) lathe::add_attention(shape, length);
  lathe::add_head(shape);
  lathe::add_lora_linear(shape);
  lathe::add_update();
  lathe::add_norms(shape);
  lathe::add_rotary(shape);
  lathe::add_swiglu(shape);
  --argc;
  argv[1] = argv[0];
  ++argv;
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
