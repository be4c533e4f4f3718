#pragma once
// A Qwen2/Qwen3 decoder with a language-model head: forward and a backward that is called, not hidden.
//
// T tokens in the batch, H hidden, V vocabulary, N supervised tokens.
#include <ATen/core/Tensor.h>

#include <cstdint>
#include <memory>
#include <vector>

#include "config/model_shape.h"
#include "data/loader.h"
#include "model/kv_cache.h"
#include "model/weights.h"

namespace lathe {

/// The adapter as the model applies it: y += (alpha / r, or alpha / sqrt(r) for rslora) * B A dropout(x).
struct LoraSettings {
  int64_t r = 0;  ///< 0: no adapter
  double scale = 0, dropout = 0;
  bool magnitudes_fixed = false;  ///< DoRA's are m / n already (model/dora.h): nothing trains
};

/// What backward works out again instead of forward keeping it.
enum class Recompute : uint8_t {
  kNothing,    ///< but norms, SwiGLU and probabilities, which cost next to nothing
  kAttention,  ///< q, k, v and the attention
  kMlp,        ///< gate and up: most of what a layer keeps
  kLayer       ///< all but each layer's input
};

struct ModelOptions {
  at::ScalarType compute_dtype;  ///< kFloat, kBFloat16 or, on a CPU, kHalf
  LoraSettings lora;
  Recompute recompute = Recompute::kNothing;
  int64_t loss_chunk_tokens = 256;  ///< rows of logits alive at once, or up to a quarter more
  double label_smoothing = 0;
  at::Device device = at::kCPU;    ///< where the weights lie
  double neftune_noise_alpha = 0;  ///< noise on the embeddings in training; 0: none
};

/// Which draw of dropout this is: masks are a function of these numbers and the place in the network, nothing else.
struct DropoutKey {
  uint64_t seed = 0;
  int64_t step = 0, micro_batch = 0;
  bool enabled = false;
};

/// What forward keeps for backward. Opaque; lives from forward to backward of one micro-batch.
struct SavedActivations {
  virtual ~SavedActivations() = default;
};

class CausalLM {
 public:
  CausalLM(ModelShape shape, ModelOptions options);
  ~CausalLM();

  /// Sum (not mean) of the cross-entropy over the batch's targets, in fp32 added up in double.
  /// When gradients is given, everything backward needs is kept in saved, and the head's own gradients, multiplied by
  /// loss_scale, are handed over already (logits are never whole and never kept).
  /// @param gradients null: evaluation, nothing is kept and saved is untouched.
  double forward(const Batch& batch, WeightSource& weights, GradientSink* gradients, SavedActivations& saved,
                 double loss_scale, bool last_micro_batch, const DropoutKey& dropout);
  /// Carries d(loss_scale * loss) back through the layers; stops below the lowest parameter that wants a gradient.
  void backward(const Batch& batch, WeightSource& weights, GradientSink& gradients, SavedActivations& saved,
                bool last_micro_batch, const DropoutKey& dropout);
  /// Logits [T, V] fp32 of every token, on the CPU. For tests and small inputs: this one is whole.
  [[nodiscard]] at::Tensor logits(const Batch& batch, WeightSource& weights);
  /// Runs the tokens behind those in cache and adds them to it. @param ids not empty; prompt first, then one at a time.
  /// @returns logits [V] fp32 of the token after the last one, on the CPU.
  [[nodiscard]] at::Tensor next_logits(const std::vector<int32_t>& ids, KeyValueCache& cache, WeightSource& weights);
  [[nodiscard]] const ModelShape& shape() const;
  [[nodiscard]] const ModelOptions& options() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

[[nodiscard]] std::unique_ptr<SavedActivations> make_saved_activations();

}  // namespace lathe
