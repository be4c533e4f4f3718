#include "model/model_files.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <lathe/error.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "base/file.h"
#include "base/json.h"
#include "base/mapped_pages.h"
#include "base/signals.h"
#include "model/tensor_file.h"
#include "ops/dtype.h"

namespace lathe {
namespace {

constexpr const char* kSingleFile = "model.safetensors";
constexpr const char* kIndexFile = "model.safetensors.index.json";
constexpr ParameterId kTiedHead = {{BlockId::Kind::kHead, 0}, Site::kLmHead, Part::kWeight};

std::string shape_text(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

// The files that hold a folder's weights.
std::vector<std::string> weight_files(const std::string& directory) {
  const std::filesystem::path folder(directory);
  const std::string index = (folder / kIndexFile).string(), single = (folder / kSingleFile).string();
  if (file_exists(single)) return {single};
  if (!file_exists(index)) {
    throw Error(
        ErrorKind::kData, fmt::format("no weights here: neither {} nor {}", kSingleFile, kIndexFile),
        {.file = directory},
        "point model_name_or_path at a Hugging Face model folder with safetensors files, or make random weights "
        "with 'lathe init'");
  }
  const Json json = read_json_file(index);
  if (!json.is_object() || !json.contains("weight_map") || !json["weight_map"].is_object()) {
    throw Error(ErrorKind::kData, "has no object 'weight_map'", {.file = index, .key = "weight_map"});
  }
  std::set<std::string> names;
  for (const auto& [tensor, file] : json["weight_map"].items()) {
    if (!file.is_string()) throw Error(ErrorKind::kData, "names no file", {.file = index, .key = tensor});
    names.insert(file.get<std::string>());
  }
  std::vector<std::string> files;
  for (const std::string& name : names) files.push_back((folder / name).string());
  return files;
}

// Tensors that other programs leave in such files and that carry no weight of the model.
bool ignorable(const std::string& name) {
  return name.ends_with("rotary_emb.inv_freq");
}

void check_tensor(const std::string& file, const std::string& name, const TensorEntry& entry,
                  const std::vector<int64_t>& expected) {
  if (entry.shape != expected) {
    throw Error(
        ErrorKind::kData,
        fmt::format("has shape {} where config.json asks for {}", shape_text(entry.shape), shape_text(expected)),
        {.file = file, .key = name}, "weights and config.json are of different models");
  }
  if (!at::isFloatingType(ops::to_scalar_type(entry.dtype))) {
    throw Error(ErrorKind::kData, fmt::format("is {}, not a floating-point type", lathe::name(entry.dtype)),
                {.file = file, .key = name}, "quantised model folders are not read; use the original one");
  }
}

bool is_projection_weight(const ParameterId& id) {
  return id.block.kind == BlockId::Kind::kLayer && id.part == Part::kWeight && !projection_name(id.site).empty();
}

class Loader {
 public:
  /// @param quantization null: every weight stays dense
  Loader(const ModelShape& shape, std::optional<at::ScalarType> dtype,
         const ops::QuantizationSettings* quantization = nullptr)
      : expected_(expected_shapes(shape)),
        tied_(shape.tie_word_embeddings),
        dtype_(dtype),
        quantization_(quantization) {}

  void read(const std::string& path) {
    const SafetensorsFile file = SafetensorsFile::open(path);
    for (const auto& [name, entry] : file.tensors()) {
      if (quantization_ != nullptr) throw_if_stopped();  // to quantise them may take minutes
      if (!ignorable(name)) take(path, file, name, entry);
    }
  }

  QuantizedModel finish(const std::string& directory) && {
    // Tied weights may stand in the file under the head's name alone.
    if (tied_ && head_.defined() && !weights_.contains(kTableId)) weights_[kTableId] = head_;
    if (tied_ && head_.defined() && !at::equal(head_, weights_[kTableId])) {
      throw Error(ErrorKind::kData, "differs from model.embed_tokens.weight although config.json ties the two",
                  {.file = directory, .key = hf_name(kTiedHead)}, "set tie_word_embeddings to false in config.json");
    }
    for (const auto& [id, shape] : expected_) {
      if (weights_.contains(id) || quantized_.contains(id)) continue;
      throw Error(ErrorKind::kData, fmt::format("tensor of shape {} is missing", shape_text(shape)),
                  {.file = directory, .key = hf_name(id)},
                  "the folder is incomplete, or its config.json is of another model");
    }
    return {std::move(weights_), std::move(quantized_)};
  }

 private:
  void take(const std::string& path, const SafetensorsFile& file, const std::string& name, const TensorEntry& entry) {
    const std::optional<ParameterId> id = parse_hf_name(name);
    if (id && tied_ && *id == kTiedHead) {
      check_tensor(path, name, entry, expected_.at(kTableId));
      head_ = read(file, entry);
      return;
    }
    if (!id || !expected_.contains(*id)) {
      throw Error(ErrorKind::kData, "tensor is not part of the model that config.json describes",
                  {.file = path, .key = name});
    }
    check_tensor(path, name, entry, expected_.at(*id));
    if (!keep(*id, file, entry)) {
      throw Error(ErrorKind::kData, "tensor stands in two files", {.file = path, .key = name});
    }
  }

  /// False when the tensor was there already.
  bool keep(const ParameterId& id, const SafetensorsFile& file, const TensorEntry& entry) {
    if (quantization_ == nullptr || !is_projection_weight(id)) return weights_.emplace(id, read(file, entry)).second;
    if (quantized_.contains(id)) return false;
    quantized_[id] = std::make_shared<const ops::QuantizedWeight>(
        ops::QuantizedWeight::quantize(map_tensor(file, entry), *quantization_));
    give_back_pages(entry.bytes);
    return true;
  }

  at::Tensor read(const SafetensorsFile& file, const TensorEntry& entry) const {
    return dtype_ ? map_tensor(file, entry, *dtype_) : map_tensor(file, entry);
  }

  std::map<ParameterId, std::vector<int64_t>> expected_;
  bool tied_;
  std::optional<at::ScalarType> dtype_;
  const ops::QuantizationSettings* quantization_;
  TensorMap weights_;
  QuantizedMap quantized_;
  at::Tensor head_;
};

// Tensors cut into files of at most max_bytes, as transformers cuts them: in order, a new file when the next is too
// much.
std::vector<NamedTensors> shards_of(const TensorMap& weights, int64_t max_bytes) {
  std::vector<NamedTensors> shards(1);
  int64_t bytes = 0;
  for (const auto& [id, tensor] : weights) {
    const auto size = static_cast<int64_t>(tensor.nbytes());
    if (bytes > 0 && bytes + size > max_bytes) {
      shards.emplace_back();
      bytes = 0;
    }
    shards.back().emplace_back(hf_name(id), tensor);
    bytes += size;
  }
  return shards;
}

NamedTensors contiguous(NamedTensors tensors) {
  for (auto& [name, tensor] : tensors) tensor = tensor.contiguous();
  return tensors;
}

FilesToSave shard_files(const std::vector<NamedTensors>& shards) {
  FilesToSave files;
  int64_t parameters = 0, bytes = 0;
  Json map = Json::object();
  for (size_t i = 0; i < shards.size(); ++i) {
    files.push_back({.name = fmt::format("model-{:05}-of-{:05}.safetensors", i + 1, shards.size()),
                     .tensors = contiguous(shards[i])});
    for (const auto& [tensor_name, tensor] : shards[i]) {
      map[tensor_name] = files.back().name;
      parameters += tensor.numel();
      bytes += static_cast<int64_t>(tensor.nbytes());
    }
  }
  const Json index = {{"metadata", {{"total_parameters", parameters}, {"total_size", bytes}}}, {"weight_map", map}};
  files.push_back({.name = kIndexFile, .text = dump_json(index, 2) + "\n"});
  return files;
}

}  // namespace

std::map<ParameterId, std::vector<int64_t>> expected_shapes(const ModelShape& shape) {
  std::map<ParameterId, std::vector<int64_t>> shapes;
  const int64_t hidden = shape.hidden_size, inner = shape.intermediate_size;
  const int64_t q = shape.num_heads * shape.head_dim, kv = shape.num_kv_heads * shape.head_dim;
  const auto add = [&](BlockId block, Site site, std::vector<int64_t> extents, bool bias = false) {
    if (bias) shapes[{block, site, Part::kBias}] = {extents[0]};
    shapes[{block, site, Part::kWeight}] = std::move(extents);
  };
  add(BlockId::embedding(), Site::kEmbedTokens, {shape.vocab_size, hidden});
  for (int64_t layer = 0; layer < shape.num_layers; ++layer) {
    const BlockId block = BlockId::decoder(layer);
    add(block, Site::kInputNorm, {hidden});
    add(block, Site::kQ, {q, hidden}, shape.qkv_bias);
    add(block, Site::kK, {kv, hidden}, shape.qkv_bias);
    add(block, Site::kV, {kv, hidden}, shape.qkv_bias);
    if (shape.qk_norm) add(block, Site::kQNorm, {shape.head_dim});
    if (shape.qk_norm) add(block, Site::kKNorm, {shape.head_dim});
    add(block, Site::kO, {hidden, q}, shape.o_bias);
    add(block, Site::kPostNorm, {hidden});
    add(block, Site::kGate, {inner, hidden});
    add(block, Site::kUp, {inner, hidden});
    add(block, Site::kDown, {hidden, inner});
  }
  add(BlockId::head(), Site::kFinalNorm, {hidden});
  if (!shape.tie_word_embeddings) add(BlockId::head(), Site::kLmHead, {shape.vocab_size, hidden});
  return shapes;
}

TensorMap load_model_weights(const std::string& directory, const ModelShape& shape,
                             std::optional<at::ScalarType> dtype) {
  Loader loader(shape, dtype);
  for (const std::string& file : weight_files(directory)) loader.read(file);
  return std::move(loader).finish(directory).dense;
}

QuantizedModel load_quantized_model(const std::string& directory, const ModelShape& shape, at::ScalarType dtype,
                                    const ops::QuantizationSettings& settings) {
  Loader loader(shape, dtype, &settings);
  for (const std::string& file : weight_files(directory)) loader.read(file);
  return std::move(loader).finish(directory);
}

QuantizedModel quantize_model(TensorMap weights, const ops::QuantizationSettings& settings) {
  QuantizedModel model;
  for (auto at = weights.begin(); at != weights.end(); at = weights.erase(at)) {
    throw_if_stopped();
    if (is_projection_weight(at->first)) {
      model.quantized[at->first] =
          std::make_shared<const ops::QuantizedWeight>(ops::QuantizedWeight::quantize(at->second, settings));
    } else {
      model.dense[at->first] = std::move(at->second);
    }
  }
  return model;
}

FilesToSave model_weight_files(const ModelShape& shape, const TensorMap& weights, int64_t max_shard_bytes) {
  LATHE_ASSERT(!weights.empty() && shape.source.is_object());
  Json config = shape.source;
  config.erase("torch_dtype");
  config["dtype"] = std::string(torch_name(ops::to_dtype(weights.begin()->second.scalar_type())));
  std::vector<NamedTensors> shards = shards_of(weights, max_shard_bytes);
  FilesToSave files;
  if (shards.size() == 1) {
    files.push_back({.name = kSingleFile, .tensors = contiguous(std::move(shards[0]))});
  } else {
    files = shard_files(shards);
  }
  files.push_back({.name = "config.json", .text = dump_json(config, 2) + "\n"});
  return files;
}

void save_model_weights(const std::string& directory, const ModelShape& shape, const TensorMap& weights,
                        int64_t max_shard_bytes) {
  save_files(directory, model_weight_files(shape, weights, max_shard_bytes));
}

void check_vocabulary(int64_t tokenizer_vocab_size, const ModelShape& shape, const std::string& directory) {
  if (tokenizer_vocab_size <= shape.vocab_size) return;
  throw Error(ErrorKind::kData,
              fmt::format("the tokenizer has ids up to {} and the model's embedding has {} rows",
                          tokenizer_vocab_size - 1, shape.vocab_size),
              {.file = directory}, "use the tokenizer that belongs to the model");
}

}  // namespace lathe
