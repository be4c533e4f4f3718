#pragma once
// A Hugging Face model folder ⇄ tensors by ParameterId.
#include <ATen/core/Tensor.h>

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "config/model_shape.h"
#include "model/parameter.h"
#include "model/tensor_file.h"
#include "ops/quantized_weight.h"

namespace lathe {

using TensorMap = std::map<ParameterId, at::Tensor>;

/// Weights of a folder (model.safetensors, or model.safetensors.index.json with its shards), each of `dtype`, or as
/// stored. A tensor that already has that dtype is a view of the mapped file (no copy, read-only); others are
/// converted.
/// @throws Error(kData) naming file and tensor: missing, wrong shape (both shapes), unexpected tensors, no floats.
[[nodiscard]] TensorMap load_model_weights(const std::string& directory, const ModelShape& shape,
                                           std::optional<at::ScalarType> dtype);

using QuantizedMap = std::map<ParameterId, std::shared_ptr<const ops::QuantizedWeight>>;

/// The weights of a model whose projections are quantised.
struct QuantizedModel {
  TensorMap dense;         ///< embedding, head, norms, biases
  QuantizedMap quantized;  ///< every linear weight of the decoder layers
};

/// As load_model_weights, but the projections are quantised one at a time from the mapped file, whose pages are given
/// back: the whole model is never in memory in more than its quantised form.
[[nodiscard]] QuantizedModel load_quantized_model(const std::string& directory, const ModelShape& shape,
                                                  at::ScalarType dtype, const ops::QuantizationSettings& settings);
/// The same of weights that are in memory already; each is given up as soon as it is quantised.
[[nodiscard]] QuantizedModel quantize_model(TensorMap weights, const ops::QuantizationSettings& settings);

/// Random weights as transformers initialises them: normal(0, initializer_range) for linear and embedding weights, ones
/// for norms, zeros for biases, drawn in the order of transformers' modules from torch's generator with that seed.
[[nodiscard]] TensorMap init_model_weights(const ModelShape& shape, uint64_t seed, at::ScalarType dtype);

constexpr int64_t kMaxShardBytes = 5'000'000'000;
/// config.json (dtype set), model.safetensors (sharded with an index beyond max_shard_bytes, as transformers).
[[nodiscard]] FilesToSave model_weight_files(const ModelShape& shape, const TensorMap& weights,
                                             int64_t max_shard_bytes = kMaxShardBytes);
/// Writes them. @throws Error(kIo)
void save_model_weights(const std::string& directory, const ModelShape& shape, const TensorMap& weights,
                        int64_t max_shard_bytes = kMaxShardBytes);

/// Every id that the tokenizer can give has a row in the model's embedding.
/// @param directory named in the message  @throws Error(kData) when not
void check_vocabulary(int64_t tokenizer_vocab_size, const ModelShape& shape, const std::string& directory);

/// Expected shape of each base parameter of a model.
[[nodiscard]] std::map<ParameterId, std::vector<int64_t>> expected_shapes(const ModelShape& shape);

}  // namespace lathe
