#include "config/model_shape.h"

#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <cmath>

#include "base/file.h"

namespace lathe {
namespace {

[[noreturn]] void refuse(const std::string& file, const std::string& key, std::string what, std::string hint = {}) {
  throw Error(ErrorKind::kData, std::move(what), {.file = file, .line = 0, .key = key}, std::move(hint));
}

/// Typed look-ups in config.json, with defaults, that name file and key when something is wrong. null means absent.
class Reader {
 public:
  Reader(const Json& json, std::string file, std::string prefix = {})
      : json_(json), file_(std::move(file)), prefix_(std::move(prefix)) {}

  [[nodiscard]] const Json* get(const char* key) const {
    const auto found = json_.find(key);
    return found == json_.end() || found->is_null() ? nullptr : &*found;
  }
  [[nodiscard]] bool has(const char* key) const { return get(key) != nullptr; }

  [[nodiscard]] std::optional<int64_t> integer(const char* key) const {
    const Json* value = get(key);
    if (value == nullptr) return {};
    if (!value->is_number_integer()) wrong(key, "a whole number", *value);
    return value->get<int64_t>();
  }
  /// A size: at least 1, and small enough that products of three sizes cannot overflow.
  [[nodiscard]] int64_t size(const char* key, std::optional<int64_t> fallback = {}) const {
    const std::optional<int64_t> value = integer(key);
    if (!value && !fallback) refuse(file_, prefix_ + key, "is missing");
    const int64_t number = value.value_or(fallback.value_or(0));
    if (number < 1 || number > int64_t{1} << 24U)
      refuse(file_, prefix_ + key, fmt::format("{} is not a possible size", number));
    return number;
  }
  [[nodiscard]] std::optional<double> number(const char* key) const {
    const Json* value = get(key);
    if (value == nullptr) return {};
    if (!value->is_number()) wrong(key, "a number", *value);
    return value->get<double>();
  }
  [[nodiscard]] double positive(const char* key, double fallback) const {
    const double value = number(key).value_or(fallback);
    if (!(value > 0) || !std::isfinite(value)) refuse(file_, prefix_ + key, fmt::format("{} is not above 0", value));
    return value;
  }
  [[nodiscard]] bool flag(const char* key, bool fallback) const {
    const Json* value = get(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) wrong(key, "true or false", *value);
    return value->get<bool>();
  }
  [[nodiscard]] std::string text(const char* key, const std::string& fallback) const {
    const Json* value = get(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) wrong(key, "text", *value);
    return value->get<std::string>();
  }
  [[noreturn]] void wrong(const char* key, const char* expected, const Json& value) const {
    refuse(file_, prefix_ + key, fmt::format("expected {}, found {}", expected, dump_json(value)));
  }
  [[nodiscard]] const std::string& file() const { return file_; }

 private:
  const Json& json_;
  std::string file_, prefix_;
};

ModelFamily read_family(const Reader& config) {
  const std::string type = config.text("model_type", "");
  const char* supported = "supported are qwen2 (Qwen2, Qwen2.5) and qwen3 (dense)";
  if (type.empty()) refuse(config.file(), "model_type", "is missing", supported);
  if (type.find("moe") != std::string::npos) {
    refuse(config.file(), "model_type",
           fmt::format("\"{}\" is a mixture-of-experts model, which is not part of this version", type), supported);
  }
  if (type.find("_vl") != std::string::npos || type.find("omni") != std::string::npos ||
      type.find("audio") != std::string::npos || config.has("vision_config")) {
    refuse(config.file(), "model_type",
           fmt::format("\"{}\" is a vision or audio model, which is not part of this version", type), supported);
  }
  if (type == "qwen2") return ModelFamily::kQwen2;
  if (type == "qwen3") return ModelFamily::kQwen3;
  refuse(config.file(), "model_type", fmt::format("\"{}\" is not supported", type), supported);
}

void refuse_quantised(const Reader& config) {
  const Json* quantised = config.get("quantization_config");
  if (quantised == nullptr) return;
  std::string method = "quantised";
  if (quantised->is_object() && quantised->contains("quant_method") && (*quantised)["quant_method"].is_string()) {
    method = (*quantised)["quant_method"].get<std::string>();
    std::transform(method.begin(), method.end(), method.begin(),
                   [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  }
  refuse(config.file(), "quantization_config", fmt::format("the weights are {}, which is not supported", method),
         "use the folder of the model's original bf16 weights");
}

void refuse_sliding_window(const Reader& config, int64_t num_layers) {
  const char* advice = "full attention is the one kind of attention here";
  if (const Json* types = config.get("layer_types")) {
    if (!types->is_array()) config.wrong("layer_types", "a list", *types);
    if (static_cast<int64_t>(types->size()) != num_layers) {
      refuse(config.file(), "layer_types", fmt::format("has {} entries for {} layers", types->size(), num_layers));
    }
    for (const Json& type : *types) {
      if (type != "full_attention") {
        refuse(config.file(), "layer_types", fmt::format("{} is not supported", dump_json(type)), advice);
      }
    }
    return;
  }
  const bool window =
      config.flag("use_sliding_window", false) && (!config.get("sliding_window") || config.integer("sliding_window"));
  if (window && config.integer("max_window_layers").value_or(28) < num_layers) {
    refuse(config.file(), "use_sliding_window", "sliding-window attention is not supported", advice);
  }
}

YarnScaling read_yarn(const Reader& rope, const ModelShape& shape) {
  YarnScaling yarn;
  yarn.original_max_position_embeddings = rope.size("original_max_position_embeddings", shape.max_position_embeddings);
  const double implied =
      static_cast<double>(shape.max_position_embeddings) / static_cast<double>(yarn.original_max_position_embeddings);
  yarn.factor = rope.positive("factor", implied);
  yarn.beta_fast = rope.positive("beta_fast", 32);
  yarn.beta_slow = rope.positive("beta_slow", 1);
  yarn.attention_factor = rope.number("attention_factor");
  yarn.mscale = rope.number("mscale");
  yarn.mscale_all_dim = rope.number("mscale_all_dim");
  yarn.truncate = rope.flag("truncate", true);
  return yarn;
}

/// transformers 5 keeps everything in rope_parameters; 4 has rope_theta beside rope_scaling. Inside wins over beside.
void read_rope(const Reader& config, ModelShape& shape) {
  shape.rope_theta = config.positive("rope_theta", 10000);
  const char* key = config.has("rope_scaling") ? "rope_scaling" : "rope_parameters";
  const Json* json = config.get(key);
  if (json == nullptr) return;
  if (!json->is_object()) config.wrong(key, "an object", *json);
  if (json->contains("full_attention") && (*json)["full_attention"].is_object()) json = &(*json)["full_attention"];
  const Reader rope(*json, config.file(), std::string(key) + ".");
  shape.rope_theta = rope.positive("rope_theta", shape.rope_theta);
  const std::string type = rope.text("rope_type", rope.text("type", "default"));
  if (rope.number("partial_rotary_factor").value_or(1) != 1) {
    refuse(config.file(), std::string(key) + ".partial_rotary_factor", "a part of each head cannot be left unrotated");
  }
  if (type == "yarn") {
    shape.yarn = read_yarn(rope, shape);
  } else if (type != "default") {
    refuse(config.file(), std::string(key) + ".rope_type", fmt::format("\"{}\" is not supported", type),
           "supported are default and yarn");
  }
}

void read_sizes(const Reader& config, ModelShape& shape) {
  shape.vocab_size = config.size("vocab_size");
  shape.hidden_size = config.size("hidden_size");
  shape.intermediate_size = config.size("intermediate_size");
  shape.num_layers = config.size("num_hidden_layers");
  shape.num_heads = config.size("num_attention_heads");
  shape.num_kv_heads = config.has("num_key_value_heads") ? config.size("num_key_value_heads") : shape.num_heads;
  shape.max_position_embeddings = config.size("max_position_embeddings", 32768);
  if (shape.num_heads % shape.num_kv_heads != 0) {
    refuse(config.file(), "num_key_value_heads",
           fmt::format("{} query heads cannot be shared out among {} key heads", shape.num_heads, shape.num_kv_heads));
  }
  const bool free_head_dim = shape.family == ModelFamily::kQwen3;
  if (!config.has("head_dim") && !free_head_dim && shape.hidden_size % shape.num_heads != 0) {
    refuse(config.file(), "hidden_size",
           fmt::format("{} is not a multiple of num_attention_heads {}", shape.hidden_size, shape.num_heads));
  }
  shape.head_dim = config.size("head_dim", free_head_dim ? 128 : shape.hidden_size / shape.num_heads);
  if (shape.head_dim % 2 != 0)
    refuse(config.file(), "head_dim", fmt::format("{} is odd: rotary positions need pairs", shape.head_dim));
}

void read_switches(const Reader& config, ModelShape& shape) {
  const bool attention_bias = config.flag("attention_bias", false);
  shape.qkv_bias = shape.family == ModelFamily::kQwen2 || attention_bias;
  shape.o_bias = shape.family == ModelFamily::kQwen3 && attention_bias;
  shape.qk_norm = shape.family == ModelFamily::kQwen3;
  shape.tie_word_embeddings = config.flag("tie_word_embeddings", false);
  shape.rms_norm_eps = config.positive("rms_norm_eps", 1e-6);
  shape.initializer_range = config.positive("initializer_range", 0.02);
  const std::string activation = config.text("hidden_act", "silu");
  if (activation != "silu")
    refuse(config.file(), "hidden_act", fmt::format("\"{}\" is not supported", activation), "supported is silu");
  if (config.number("attention_dropout").value_or(0) != 0) {
    refuse(config.file(), "attention_dropout", "dropout inside attention is not supported", "set it to 0");
  }
}

void read_dtype(const Reader& config, ModelShape& shape) {
  const char* key = config.has("dtype") ? "dtype" : "torch_dtype";
  if (!config.has(key)) return;
  const std::string text = config.text(key, "");
  const std::optional<DType> dtype = parse_torch_dtype(text);
  if (!dtype || (*dtype != DType::kF32 && *dtype != DType::kF16 && *dtype != DType::kBF16)) {
    refuse(config.file(), key, fmt::format("\"{}\" is not supported", text),
           "supported are float32, float16 and bfloat16");
  }
  shape.torch_dtype = *dtype;
}

void read_token_ids(const Reader& config, ModelShape& shape) {
  shape.bos_token_id = config.integer("bos_token_id");
  const Json* eos = config.get("eos_token_id");
  if (eos == nullptr) return;
  for (const Json& id : eos->is_array() ? *eos : Json::array({*eos})) {
    if (!id.is_number_integer()) config.wrong("eos_token_id", "a whole number or a list of them", *eos);
    shape.eos_token_ids.push_back(id.get<int64_t>());
  }
}

}  // namespace

int64_t ModelShape::num_parameters() const {
  const int64_t q = num_heads * head_dim, kv = num_kv_heads * head_dim;
  int64_t layer = hidden_size * (q + 2 * kv) + q * hidden_size + 3 * hidden_size * intermediate_size + 2 * hidden_size;
  if (qkv_bias) layer += q + 2 * kv;
  if (o_bias) layer += hidden_size;
  if (qk_norm) layer += 2 * head_dim;
  const int64_t embedding = vocab_size * hidden_size;
  return num_layers * layer + hidden_size + embedding * (tie_word_embeddings ? 1 : 2);
}

ModelShape parse_model_shape(const Json& config, const std::string& file) {
  if (!config.is_object()) refuse(file, "", "is not a JSON object");
  const Reader reader(config, file);
  ModelShape shape;
  shape.family = read_family(reader);
  refuse_quantised(reader);
  read_sizes(reader, shape);
  refuse_sliding_window(reader, shape.num_layers);
  read_rope(reader, shape);
  read_switches(reader, shape);
  read_dtype(reader, shape);
  read_token_ids(reader, shape);
  shape.source = config;
  return shape;
}

ModelShape read_model_shape(const std::string& directory) {
  const std::string file = directory + "/config.json";
  if (!file_exists(file)) {
    throw Error(ErrorKind::kData, "there is no config.json in the model folder",
                {.file = directory, .line = 0, .key = {}},
                "a model folder holds config.json, tokenizer.json and *.safetensors");
  }
  return parse_model_shape(read_json_file(file), file);
}

}  // namespace lathe
