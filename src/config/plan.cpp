// T tokens of the micro-batch, N of them targets, H hidden, Q and K width of all query and key heads, I intermediate,
// V vocabulary, e bytes of the compute type. What is alive when is read from model/decoder_layer.cpp and
// model/head.cpp.
#include "config/plan.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cstdlib>
#include <thread>

#include "base/processor.h"
#include "config/optimizer_bytes.h"
#include "config/trained_tensors.h"

namespace lathe {
namespace {

constexpr int64_t kWidenedAtOnce = int64_t{1} << 21;  // ops/linear.cpp
constexpr int64_t kWidenedFactors = int64_t{869} << 9, kWidenedSums = 1024,
                  kWidenedMostRows = 2016;                                  // kernels/product.h
constexpr int64_t kFewestInTiles = 8, kTileWorkspace = int64_t{804} << 10;  // kernels/product.h
constexpr int64_t kDoraPiece = int64_t{1} << 18;                            // model/dora.cpp, ops/columns.cpp
constexpr int64_t kFixed = 128 << 10;          // a margin: tiny shapes were seen 85 KB beyond the terms named
constexpr int64_t kQueryBlock = 48;            // kernels/cpu/attention.cpp
constexpr int64_t kBlockRows = 96;             // kernels/cpu/bf16_pairs.h
constexpr int64_t kPieceQueries = 480;         // ops/attention.cpp
constexpr int64_t kPanel = 64, kSpan = 256;    // kernels/cpu/bf16_pairs.h, attention_bf16_backward.cpp
constexpr int64_t kTokenizerBytes = 16 << 20;  // files that lie beside weights: tokenizer, configurations, logs

/// Counts of one run in elements, so that the formulas below read like the layer they describe.
struct Work {
  const ModelShape& shape;
  bool adapter = false, dropout = false, norms = false;
  std::string recomputed;  // gradient_checkpointing_scope; "": nothing
  bool widened = false;    // gradients are kept in fp32, products are bf16
  int64_t e = 4, t = 0, n = 0, longest = 0;
  int64_t h = 0, q = 0, k = 0, i = 0, v = 0;
  bool head_trains = false, table_trains = false;
  int64_t trained_projection = 0;  // elements of the largest
  int64_t r = 0;                   // rank, 0 without adapters
  int64_t logits_rows = 0;         // alive at once
  int64_t adapted_sites = 0;       // of the fullest layer
  int64_t dora_width = 0;          // DoRA: what these sites put out for a token
};

/// Of a trained element: added up ones are fp32, others as the product leaves them (engine/trainable.h).
int64_t gradient_bytes(const TrainingArguments& args, DType compute) {
  return args.gradient_accumulation_steps > 1 || compute == DType::kF16 ? 4 : size_bytes(compute);
}

/// What modules_to_save copies, in elements.
struct Copies {
  int64_t all = 0;
  int64_t replaced = 0;  // of the base model's weights that are held no more
};

Copies copies_of(const ModelShape& shape, const TrainingArguments& args) {
  Copies copies;
  const ModulesToSave modules = modules_to_save(args);
  for (const ModelParameter& one : copied_parameters(modules, shape)) copies.all += one.elements;
  // Of a tied table one end alone may be replaced, and two copies take the place of one.
  copies.replaced = copies.all - (modules.unties(shape) ? shape.vocab_size * shape.hidden_size : 0);
  return copies;
}

/// Which weights of the model itself train.
void add_trained(Work& w, const TrainingArguments& args) {
  if (!w.adapter) {
    w.head_trains = w.table_trains = true, w.trained_projection = w.h * w.i;
    return;
  }
  for (const ModelParameter& one : copied_parameters(modules_to_save(args), w.shape)) {
    if (one.module.ends_with("_proj") && one.rows > 0)
      w.trained_projection = std::max(w.trained_projection, one.elements);
    w.table_trains |= one.module == kTableModule;
    w.head_trains |= one.module == "lm_head";
  }
  w.head_trains |= modules_to_save(args).copies_tied(w.shape);
}

Work work_of(const ModelShape& shape, const TrainingArguments& args, const BatchShape& load, DType compute) {
  Work w{.shape = shape};
  w.adapter = args.use_lora;
  w.widened = gradient_bytes(args, compute) > size_bytes(compute);
  w.dropout = args.use_lora && args.lora_dropout > 0;
  w.recomputed = args.gradient_checkpointing ? args.gradient_checkpointing_scope : "";
  w.norms = shape.qk_norm;
  w.e = size_bytes(compute);
  w.t = load.tokens, w.n = load.targets, w.longest = load.longest_row;
  w.h = shape.hidden_size, w.i = shape.intermediate_size, w.v = shape.vocab_size;
  w.q = shape.num_heads * shape.head_dim, w.k = shape.num_kv_heads * shape.head_dim;
  add_trained(w, args);
  // Twice the chunk while the matrix trains, else up to a quarter more (model/head.cpp).
  w.logits_rows = std::min(w.n, loss_chunk_tokens(args) * (w.head_trains ? 8 : 5) / 4);
  if (!w.adapter) return w;
  w.r = args.lora_r;
  const std::vector<LinearModule> modules = modules_with_adapters(shape, args);
  const auto a_layer = [&](int64_t of_all) { return (of_all + shape.num_layers - 1) / shape.num_layers; };
  w.adapted_sites = a_layer(static_cast<int64_t>(modules.size()));
  int64_t width = 0;
  for (const LinearModule& module : modules) width += module.out;
  if (args.use_dora) w.dora_width = a_layer(width);
  return w;
}

/// Threads that ATen will use: OpenMP's setting, else all processors.
int64_t num_threads() {
  const char* set = std::getenv("OMP_NUM_THREADS");
  const int64_t wanted = set == nullptr ? 0 : std::atoll(set);
  return wanted > 0 ? wanted : std::max<int64_t>(1, std::thread::hardware_concurrency());
}

/// Everything that a layer keeps from forward to backward, apart from its input.
int64_t layer_inside(const Work& w) {
  return w.e * w.t * (w.q + 2 * w.k + w.q + w.h + 2 * w.i + w.adapted_sites * w.r + w.dora_width) +
         4 * w.t * w.shape.num_heads;
}
/// The part of it that backward works out again.
int64_t layer_recomputed(const Work& w) {
  if (w.recomputed == "layer") return layer_inside(w);
  const int64_t adapters = w.adapted_sites == 7 ? w.r : 0;  // of fewer, it is not said which
  const bool dora = w.adapted_sites == 7 && w.dora_width > 0;
  if (w.recomputed == "mlp") return w.e * w.t * ((dora ? 4 : 2) * w.i + 2 * adapters);
  if (w.recomputed == "attention") {
    const int64_t directions = dora ? w.q + 2 * w.k : 0;
    return w.e * w.t * (2 * w.q + 2 * w.k + directions + 3 * adapters) + 4 * w.t * w.shape.num_heads;
  }
  return 0;
}
int64_t layer_input(const Work& w) {
  return w.e * w.t * w.h;
}

/// Elements that a factor takes whose columns lie in strips (kernels/cpu/attention.cpp).
int64_t in_strips(int64_t columns) {
  const int64_t unit = columns < kPanel ? 16 : kPanel;
  return (columns + unit - 1) / unit * unit;
}

/// Floats that one row and key/value head needs where values become fp32: `copies` of the keys' size and so many blocks
/// of scores.
int64_t attention_floats(const Work& w, int64_t copies, int64_t blocks) {
  return copies * in_strips(w.longest) * in_strips(w.shape.head_dim) +
         blocks * kQueryBlock * (w.longest + 32 + w.shape.head_dim);
}

/// Where bf16 stays bf16. Forward: keys and values in panels, a block of rows. Backward: the gradient of the queries
/// and two numbers a row, and what belongs to a block and a span of keys.
int64_t attention_pairs_floats(const Work& w) {
  return (w.longest + kPanel) * w.shape.head_dim + kBlockRows * (2 * w.shape.head_dim + 18);
}
int64_t attention_backward_pairs_floats(const Work& w) {
  const int64_t rows = w.longest * (w.shape.num_heads / w.shape.num_kv_heads) + kBlockRows;
  return rows * (w.shape.head_dim + 2) + 4 * kSpan * w.shape.head_dim + 2 * kBlockRows * w.shape.head_dim +
         kBlockRows * (kPanel + kSpan / 2);
}

/// Which of the two it is depends on the processor: the larger counts. Forward divides rows among threads.
int64_t attention_scratch(const Work& w, bool backward) {
  const int64_t rows = (w.t + w.longest - 1) / w.longest;
  const int64_t pieces = backward ? 1 : (w.longest + kPieceQueries - 1) / kPieceQueries;
  const int64_t threads = std::min<int64_t>(num_threads(), w.shape.num_kv_heads * rows * pieces);
  const int64_t wide = backward ? attention_floats(w, 5, 3) : attention_floats(w, 2, 2);
  const int64_t pairs = backward ? attention_backward_pairs_floats(w) : attention_pairs_floats(w);
  return 4 * threads * (w.e == 2 ? std::max(wide, pairs) : wide);
}

/// One norm over `width`: what comes out, and behind it the gradient of what went in.
int64_t norm_scratch(const Work& w, int64_t width) {
  return w.e * w.t * width;
}
int64_t norm_backward_scratch(const Work& w, int64_t width) {
  return 2 * w.e * w.t * width;
}

/// A weight's gradient is written where it stays; where that is wider than the product, some rows at a time (and as
/// much again for the sum that ATen makes).
int64_t weight_gradient_scratch(const Work& w, int64_t elements) {
  return w.widened ? (w.e + 4) * std::min(elements, kWidenedAtOnce) : 0;
}

/// DoRA beside that: rows of an adapted weight, pieces of activations and B in fp32; what goes through W a second time.
int64_t dora_scratch(const Work& w, bool backward) {
  if (w.dora_width == 0) return 0;
  const int64_t pieces = std::max(3 * std::min(kDoraPiece, w.h * w.i), 2 * std::min(kDoraPiece, w.t * w.i));
  const int64_t through = (backward ? 1 : 0) + (w.dropout ? 1 : 0);
  return 4 * (pieces + 2 * w.r * (w.h + w.i)) + w.e * w.t * w.i * through;
}

/// Alive beside what is saved while one layer runs forward.
int64_t forward_scratch(const Work& w) {
  const int64_t base = w.e * w.t * (w.h + w.q + w.k + w.q);  // normed input, rotated q and k, attention's output
  const int64_t mlp = w.e * w.t * (2 * w.h + w.i + (w.dropout ? w.i : 0));
  const int64_t norm = norm_scratch(w, std::max(w.h, w.norms ? w.q : 0));
  return base + dora_scratch(w, false) + std::max({mlp, norm, attention_scratch(w, false)});
}

/// Alive beside what is saved while one layer runs backward.
int64_t backward_scratch(const Work& w) {
  const int64_t matrix = std::max(w.trained_projection, w.r * w.i);
  const int64_t mlp = w.e * w.t * (w.dropout ? 4 : 2) * w.i + weight_gradient_scratch(w, matrix);
  const int64_t heads = w.e * w.t * (w.h + 3 * w.q + 3 * w.k);  // dmiddle, rotated, d of each
  const int64_t norm = norm_backward_scratch(w, std::max(w.h, w.norms ? w.q : 0));
  const int64_t attention = heads + std::max(attention_scratch(w, true), norm);
  // The gradients on both sides of the layer and the residual's.
  return 3 * layer_input(w) + dora_scratch(w, true) + std::max(mlp, attention);
}

/// The last hidden state, its supervised rows, and one chunk of logits.
int64_t head_scratch(const Work& w) {
  const int64_t rows = w.e * 3 * (w.t + w.n) * w.h + 8 * w.n * w.h;
  return rows + w.e * w.logits_rows * w.v + weight_gradient_scratch(w, w.head_trains ? w.v * w.h : 0);
}

int64_t embedding_scratch(const Work& w) {
  return !w.table_trains ? 0 : (3 * 4 + w.e) * w.t * w.h;  // rows of tokens that occur: what was, what comes, their sum
}

/// What a product with m rows that goes by fp32 lays out and adds up for each thread.
int64_t widened_bytes(int64_t m, int64_t /*k*/, int64_t /*n*/) {
  return num_threads() * (kWidenedFactors + kWidenedSums * std::min(m, kWidenedMostRows));
}

/// Pieces of the factors that are laid out anew for each thread, where the processor multiplies bf16 in tiles or has
/// fp16: in a workspace of our own where they fit (kernels/product.h), else by oneDNN: measured, with all rows from 250
/// to 16,384, up to 0.94 MB a thread in bf16 and 2.25 MB in fp16, which becomes fp32.
int64_t laid_out_bytes(int64_t m, int64_t k, int64_t n, DType compute) {
  const bool bf16 = compute == DType::kBF16;
  if (bf16 && std::min(m, n) >= kFewestInTiles) return num_threads() * kTileWorkspace;
  const int64_t a_thread = bf16 ? int64_t{1} << 20 : 9 * (int64_t{1} << 18);
  return std::min(num_threads() * a_thread, (bf16 ? 2 : 4) * (m * k + k * n));
}

/// The most that a product of a step takes beside its factors and its result.
template <typename Bytes>
int64_t largest_product(const Work& w, Bytes bytes) {
  int64_t largest = 0;
  const auto through = [&](int64_t tokens, int64_t in, int64_t out, bool trains) {
    largest = std::max({largest, bytes(tokens, in, out), bytes(tokens, out, in), trains ? bytes(out, tokens, in) : 0});
  };
  const bool trains = w.trained_projection > 0;
  through(w.t, w.h, std::max(w.q, w.k), trains);
  through(w.t, w.q, w.h, trains);
  through(w.t, w.h, w.i, trains);
  through(w.t, w.i, w.h, trains);
  through(w.t, std::max({w.h, w.q, w.i}), w.r, true);  // A of the widest site
  through(w.t, w.r, std::max({w.h, w.q, w.i}), true);  // B
  through(w.logits_rows, w.h, w.v, w.head_trains);
  return largest;
}

/// Every phase of a step beside what is saved for it; the largest counts, and a tenth more for what is too small to be
/// named: labels, positions, statistics of rows, the products' own buffers.
int64_t step_scratch(const Work& w) {
  int64_t backward = backward_scratch(w);
  int64_t forward = forward_scratch(w);
  if (const int64_t again = layer_recomputed(w); again > 0) {
    forward += again;
    backward = again + std::max(backward, forward_scratch(w) + layer_input(w));
  }
  return std::max({forward, backward, head_scratch(w), embedding_scratch(w)}) * 11 / 10 + kFixed;
}

/// Sines and cosines of every position.
int64_t rotary_bytes(const Work& w) {
  return 4 * w.t * w.shape.head_dim;
}

/// Of a batch that is only run forward: what one layer makes is gone when the next begins, and dropout is off.
int64_t evaluation_bytes(Work w) {
  if (w.t == 0) return 0;
  w.dropout = false;
  const int64_t heads = w.e * w.t * (3 * w.q + 3 * w.k + (w.norms ? w.q : 0)) + attention_scratch(w, false);
  const int64_t mlp = w.e * w.t * (w.q + 2 * w.h + 3 * w.i + w.r + (w.dora_width > 0 ? w.i : 0));
  const int64_t layer = layer_input(w) + dora_scratch(w, false) + std::max(heads, mlp);
  const int64_t head = layer_input(w) + 2 * w.e * w.n * w.h + w.e * w.logits_rows * w.v;
  return rotary_bytes(w) + std::max(layer, head) * 11 / 10 + kFixed;
}

/// Linear weights of the layers in few bits, everything else as it is read; and the one weight that is open at a time.
void add_quantized_weights(MemoryPlan& plan, const ModelShape& shape, const TrainingArguments& args, DType compute) {
  int64_t largest = 0, projections = 0;
  for (const LinearModule& module : linear_modules(shape, 0)) {
    largest = std::max(largest, module.in * module.out);
    projections += module.in * module.out;
  }
  const int64_t rest = shape.num_parameters() - shape.num_layers * projections - copies_of(shape, args).replaced;
  const bool in_place = shape.torch_dtype == compute && !args.init_from_scratch;
  plan.mapped_bytes = in_place ? rest * size_bytes(compute) : 0;
  plan.terms.push_back({MemoryClass::kWeights, fmt::format("{}-bit frozen weights", args.quantization_bit),
                        quantized_bytes(shape, args)});
  plan.terms.push_back(
      {MemoryClass::kWeights, in_place ? "other weights, read in place" : "other weights", rest * size_bytes(compute)});
  const bool wide = args.quantization_bit == 4 && args.bnb_4bit_compute_dtype == "float32";
  plan.terms.push_back({MemoryClass::kWorkspace, "one weight opened", largest * (wide ? 4 : size_bytes(compute))});
}

void add_weights(MemoryPlan& plan, const ModelShape& shape, const TrainingArguments& args, DType compute,
                 int64_t trainable) {
  const int64_t e = size_bytes(compute);
  const Copies copies = args.use_lora ? copies_of(shape, args) : Copies();
  const int64_t base = shape.num_parameters() - copies.replaced;
  const auto add = [&](MemoryClass memory_class, const char* name, int64_t bytes) {
    if (bytes > 0) plan.terms.push_back({memory_class, name, bytes});
  };
  if (args.use_qlora) {
    add_quantized_weights(plan, shape, args, compute);
  } else if (args.use_lora) {
    const bool in_place = shape.torch_dtype == compute && !args.init_from_scratch;
    plan.mapped_bytes = in_place ? base * e : 0;
    add(MemoryClass::kWeights, in_place ? "frozen weights, read in place" : "frozen weights", base * e);
  } else {
    add(MemoryClass::kWeights, "weights", base * e);
  }
  int64_t adapters = 0, magnitudes = 0, vectors = 0;
  for (const TrainedTensor& tensor : trained_tensors(shape, args)) {
    adapters += tensor.kind == TrainedKind::kAdapter ? tensor.elements : 0;
    magnitudes += tensor.kind == TrainedKind::kMagnitude ? tensor.elements : 0;
    vectors += tensor.rows == 0 ? tensor.elements : 0;
  }
  add(MemoryClass::kWeights, "adapter", e * adapters + 4 * magnitudes);
  add(MemoryClass::kWeights, "copies of modules_to_save", e * copies.all);
  const bool beside = e != 4 && !args.bf16_stochastic_rounding, half = compute == DType::kF16;
  add(MemoryClass::kMaster, half ? "fp32 masters" : "what fp32 masters have beyond bf16",
      !beside ? 0 : (half ? 4 : 2) * (trainable - magnitudes));
  add(MemoryClass::kGradients, "gradients", 4 * vectors + gradient_bytes(args, compute) * (trainable - vectors));
  add(MemoryClass::kOptimizer, optimizer_words(args), optimizer_bytes(shape, args));
}

}  // namespace

int64_t MemoryPlan::total() const {
  int64_t sum = 0;
  for (const int64_t part : bytes) sum += part;
  return sum;
}

DType compute_dtype(const TrainingArguments& args) {
  return args.bf16 ? DType::kBF16 : args.fp16 ? DType::kF16 : DType::kF32;
}

int64_t loss_chunk_tokens(const TrainingArguments& args) {
  return args.use_lora && args.gradient_checkpointing ? 128 : 256;
}

int64_t quantized_bytes(const ModelShape& shape, const TrainingArguments& args) {
  const auto groups = [](int64_t count, int64_t size) { return (count + size - 1) / size; };
  int64_t bytes = 0;
  for (const LinearModule& module : linear_modules(shape, 0)) {
    const int64_t count = module.in * module.out, scales = groups(count, 64);
    if (args.quantization_bit == 8) {
      bytes += count + 4 * module.out;
    } else {
      bytes += groups(count, 2) + (args.bnb_4bit_use_double_quant ? scales + 4 * groups(scales, 256) + 4 : 4 * scales);
    }
  }
  return shape.num_layers * bytes;
}

int64_t trainable_parameters(const ModelShape& shape, const TrainingArguments& args) {
  int64_t count = 0;
  for (const TrainedTensor& tensor : trained_tensors(shape, args)) count += tensor.elements;
  return count;
}

LoadShape nominal_load(const TrainingArguments& args) {
  const auto rows = [&](int64_t count) {
    return BatchShape{count * args.max_seq_length, args.max_seq_length, count * args.max_seq_length};
  };
  return {rows(args.per_device_train_batch_size),
          evaluates(args) ? rows(args.per_device_eval_batch_size) : BatchShape()};
}

MemoryPlan plan_memory(const ModelShape& shape, const TrainingArguments& args, const LoadShape& load, DType compute,
                       int64_t trainable) {
  const Work train = work_of(shape, args, load.train, compute), eval = work_of(shape, args, load.eval, compute);
  MemoryPlan plan;
  add_weights(plan, shape, args, compute, trainable);
  const int64_t kept =
      shape.num_layers * (layer_input(train) + layer_inside(train) - layer_recomputed(train)) + rotary_bytes(train);
  const int64_t step = step_scratch(train), beyond = evaluation_bytes(eval) - (kept + step);
  plan.terms.push_back({MemoryClass::kActivations, "kept for backward", kept});
  plan.terms.push_back({MemoryClass::kActivations, "largest phase of a step", step});
  if (beyond > 0) plan.terms.push_back({MemoryClass::kActivations, "an evaluation batch beyond these", beyond});
  const auto largest = [&](auto bytes) {
    return std::max(largest_product(train, bytes), largest_product(eval, bytes));
  };
  if (!multiplies(compute)) {
    plan.terms.push_back({MemoryClass::kWorkspace, "products widened to fp32", largest(widened_bytes)});
  } else if (compute == DType::kF16 || (compute == DType::kBF16 && multiplies_in_tiles())) {
    const auto laid_out = [&](int64_t m, int64_t k, int64_t n) { return laid_out_bytes(m, k, n, compute); };
    plan.terms.push_back({MemoryClass::kWorkspace, "factors laid out for products", largest(laid_out)});
  }
  for (const PlanTerm& term : plan.terms) plan.bytes[static_cast<size_t>(term.memory_class)] += term.bytes;
  return plan;
}

std::string describe(const MemoryPlan& plan, int64_t available_bytes) {
  std::string text =
      fmt::format("memory plan: {} of {} available\n", format_bytes(plan.total()), format_bytes(available_bytes));
  for (size_t i = 0; i < kNumMemoryClasses; ++i) {
    if (plan.bytes[i] == 0) continue;
    std::vector<std::string> parts;
    for (const PlanTerm& term : plan.terms) {
      if (static_cast<size_t>(term.memory_class) == i)
        parts.push_back(fmt::format("{} {}", term.name, format_bytes(term.bytes)));
    }
    text += fmt::format("  {:<12} {:>10}  {}\n", name(static_cast<MemoryClass>(i)), format_bytes(plan.bytes[i]),
                        fmt::join(parts, ", "));
  }
  return text;
}

int64_t checkpoint_bytes(const ModelShape& shape, const TrainingArguments& args, int64_t trainable) {
  const int64_t copied = args.use_lora ? copies_of(shape, args).all : trainable, e = size_bytes(compute_dtype(args));
  // A tied table that an adapter copies as one stands in its file under both names.
  const int64_t twice =
      args.use_lora && modules_to_save(args).copies_tied(shape) ? shape.vocab_size * shape.hidden_size : 0;
  const int64_t weights = args.use_lora ? 4 * (trainable - copied) + e * (copied + twice) : e * shape.num_parameters();
  const bool masters = e != 4 && !args.bf16_stochastic_rounding;
  // Beside the state of the optimizer, weights of the model itself that train in bf16 have their masters there.
  const int64_t state = args.save_only_model ? 0 : optimizer_bytes(shape, args) + (masters ? 4 * copied : 0);
  return weights + kTokenizerBytes + (args.save_strategy == "no" ? 0 : state);
}

}  // namespace lathe
