#include "app/inference.h"

#include <ATen/ATen.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "app/model_lookup.h"
#include "base/file.h"
#include "base/json.h"
#include "config/model_shape.h"
#include "data/encode_segments.h"
#include "model/dora.h"
#include "model/lora.h"
#include "model/model_files.h"

namespace lathe {
namespace {

struct Folders {
  std::string base, adapter;  // adapter: empty when there is none
};

// A folder with an adapter alone names its base in adapter_config.json.
std::string base_of_adapter(const std::string& directory) {
  const std::string path = directory + "/adapter_config.json";
  const Json config = read_json_file(path);
  if (config.is_object() && config.contains("base_model_name_or_path") &&
      config["base_model_name_or_path"].is_string()) {
    return config["base_model_name_or_path"].get<std::string>();
  }
  throw Error(ErrorKind::kData, "the adapter does not say which model it belongs to",
              {.file = path, .key = "base_model_name_or_path"},
              "give the model with -m and this folder with --adapter");
}

Folders find_folders(const InferenceRequest& request) {
  const bool is_adapter_alone =
      file_exists(request.model + "/adapter_config.json") && !file_exists(request.model + "/config.json");
  Folders folders;
  folders.adapter = !request.adapter.empty() ? request.adapter : is_adapter_alone ? request.model : "";
  if (!folders.adapter.empty() && !file_exists(folders.adapter + "/adapter_config.json")) {
    throw Error(ErrorKind::kConfig, "no adapter_config.json in it: it is not an adapter's folder",
                {.file = folders.adapter, .key = "--adapter"});
  }
  folders.base = find_model(
      {.name = is_adapter_alone ? base_of_adapter(request.model) : request.model, .cache_dir = {}, .key = "--model"});
  return folders;
}

at::ScalarType compute_type(const InferenceRequest& request, const ModelShape& shape) {
  const DType dtype = request.dtype ? parse_torch_dtype(*request.dtype).value_or(DType::kI8) : shape.torch_dtype;
  if (dtype == DType::kBF16) return at::kBFloat16;
  if (dtype == DType::kF32 || !request.dtype) return at::kFloat;
  throw Error(ErrorKind::kConfig, fmt::format("'{}' is neither float32 nor bfloat16", *request.dtype),
              {.key = "--dtype"});
}

}  // namespace

std::vector<int64_t> end_ids(const ModelShape& shape, const Tokenizer& tokenizer, const std::string& model_directory) {
  std::vector<int64_t> ids = shape.eos_token_ids;
  if (const std::string path = model_directory + "/generation_config.json"; file_exists(path)) {
    const Json config = read_json_file(path);
    const Json eos = config.is_object() ? config.value("eos_token_id", Json()) : Json();
    for (const Json& id : eos.is_array() ? eos : Json::array({eos})) {
      if (id.is_number_integer()) ids.push_back(id.get<int64_t>());
    }
  }
  for (const auto& id : {tokenizer.eos_id(), tokenizer.token_to_id("<|im_end|>")}) {
    if (id) ids.push_back(*id);
  }
  std::sort(ids.begin(), ids.end());
  ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
  return ids;
}

InferenceModel::InferenceModel(const InferenceRequest& request) {
  const Folders folders = find_folders(request);
  shape_ = read_model_shape(folders.base);
  const bool own_tokenizer = !folders.adapter.empty() && file_exists(folders.adapter + "/tokenizer.json");
  tokenizer_ = Tokenizer::load(own_tokenizer ? folders.adapter : folders.base);
  check_vocabulary(tokenizer_->vocab_size(), shape_, tokenizer_->directory());
  choose_template_name(request, {folders.adapter, folders.base});
  eos_token_ids_ = end_ids(shape_, *tokenizer_, folders.base);
  ModelOptions options{.compute_dtype = compute_type(request, shape_)};
  TensorMap weights = load_model_weights(folders.base, shape_, options.compute_dtype);
  if (!folders.adapter.empty()) {
    LoadedAdapter adapter = load_adapter(folders.adapter, shape_);
    options.lora = {.r = adapter.config.r, .scale = adapter.config.scale(), .magnitudes_fixed = true};
    for (auto& [id, tensor] : adapter.weights) {
      if (id.part != Part::kLoraMagnitude) tensor = tensor.to(options.compute_dtype);
    }
    add_adapter(weights, adapter.config, shape_, adapter.weights);
    fix_magnitudes(weights, adapter.config);
    shape_ = shape_behind(adapter.config, shape_);
  }
  weights_ = std::make_unique<ParameterStore>(shape_, std::move(weights), std::vector<ParameterId>{});
  model_ = std::make_unique<CausalLM>(shape_, options);
}

void InferenceModel::choose_template_name(const InferenceRequest& request, const std::vector<std::string>& folders) {
  template_name_ = tokenizer_->chat_template().empty() ? "toolkit" : "chat";
  for (const std::string& folder : folders) {
    const std::string path = folder + "/inference.json";
    if (folder.empty() || !file_exists(path)) continue;
    const Json written = read_json_file(path);
    if (!written.is_object()) throw Error(ErrorKind::kData, "an object was expected", {.file = path});
    template_name_ = written.value("template", template_name_);
    if (written.contains("enable_thinking") && written["enable_thinking"].is_boolean()) {
      enable_thinking_ = written["enable_thinking"].get<bool>();
    }
    break;
  }
  if (!request.template_name) return;
  template_name_ = *request.template_name;
  if (template_name_ == "toolkit" || template_name_ == "chat" || template_name_ == "none") return;
  throw Error(ErrorKind::kConfig, fmt::format("'{}' is not a template", template_name_), {.key = "--template"},
              "toolkit, chat or none");
}

std::vector<int32_t> InferenceModel::encode_prompt(const std::string& prompt, const std::string& system) const {
  if (template_name_ == "none") {
    if (system.empty()) return tokenizer_->encode(prompt);
    throw Error(ErrorKind::kConfig, "a template is needed to place a system text", {.key = "--system"},
                "--template chat");
  }
  std::vector<Message> messages;
  if (!system.empty()) messages.push_back({"system", system});
  messages.push_back({"user", prompt});
  const TemplateKind kind = choose_template(template_name_, tokenizer_->chat_template());
  const TemplateOptions options{.add_generation_prompt = true, .enable_thinking = enable_thinking_};
  return encode_segments(*tokenizer_, render(kind, messages, options)).ids;
}

std::vector<int32_t> InferenceModel::answer(const std::vector<int32_t>& prompt, GenerationConfig config,
                                            const std::function<void(const std::string&)>& on_text) {
  config.eos_token_ids = eos_token_ids_;
  StreamDecoder decoder(tokenizer_);
  std::vector<int32_t> ids = generate(*model_, *weights_, prompt, config, [&](int32_t id) {
    on_text(decoder.push(id));
    return true;
  });
  on_text(decoder.finish());
  return ids;
}

}  // namespace lathe
