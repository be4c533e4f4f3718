// lathe init: a model folder with random weights, as transformers initialises them.
#include <ATen/ATen.h>
#include <fmt/format.h>
#include <lathe/error.h>

#include <cstdio>
#include <memory>

#include "app/commands/commands.h"
#include "base/file.h"
#include "base/json.h"
#include "base/memory_ledger.h"
#include "config/model_shape.h"
#include "model/model_files.h"

namespace lathe {
namespace {

struct InitWords {
  std::string config, directory, tokenizer;
  std::optional<std::string> dtype;
  uint64_t seed = 42;
};

at::ScalarType scalar_type(const InitWords& words, const ModelShape& shape) {
  const auto dtype = words.dtype ? parse_torch_dtype(*words.dtype) : shape.torch_dtype;
  if (dtype == DType::kF32) return at::kFloat;
  if (dtype == DType::kBF16) return at::kBFloat16;
  if (dtype == DType::kF16) return at::kHalf;
  throw Error(ErrorKind::kConfig, fmt::format("'{}' is no type of weights", words.dtype.value_or("")),
              {.key = "--dtype"}, "float32, bfloat16 or float16");
}

void copy_tokenizer(const std::string& from, const std::string& to) {
  // Absent tokenizer.json is an error; the others come along where they are.
  atomic_write(to + "/tokenizer.json", read_text_file(from + "/tokenizer.json"));
  for (const char* name : {"tokenizer_config.json", "special_tokens_map.json", "chat_template.jinja", "vocab.json",
                           "merges.txt", "added_tokens.json", "generation_config.json"}) {
    const std::string path = from + "/" + name;
    if (file_exists(path)) atomic_write(to + "/" + name, read_text_file(path));
  }
}

int run_init(const InitWords& words) {
  const ModelShape shape = parse_model_shape(read_json_file(words.config), words.config);
  const at::ScalarType dtype = scalar_type(words, shape);
  for (const char* name : {"model.safetensors", "model.safetensors.index.json"}) {
    if (file_exists(words.directory + "/" + name)) {
      throw Error(ErrorKind::kConfig, "there is a model in it already, and it is not written over",
                  {.file = words.directory, .key = "--output"}, "give another folder");
    }
  }
  ensure_writable_directory(words.directory, "--output");
  if (!words.tokenizer.empty()) copy_tokenizer(words.tokenizer, words.directory);
  const TensorMap weights = init_model_weights(shape, words.seed, dtype);
  save_model_weights(words.directory, shape, weights);
  fmt::print("{}: {} parameters, {}, seed {}\n", words.directory, shape.num_parameters(),
             format_bytes(shape.num_parameters() * static_cast<int64_t>(at::elementSize(dtype))), words.seed);
  return 0;
}

}  // namespace

Command init_command() {
  return {"init", "Make a model folder with random weights from a config.json", [](CommandOptions& options) {
            auto words = std::make_shared<InitWords>();
            options.required("--config", words->config, "the model's config.json");
            options.required("-o,--output", words->directory, "the folder to make");
            options.option("--seed", words->seed, "of the weights");
            options.option("--dtype", words->dtype, "float32, bfloat16 or float16; not given: config.json's");
            options.option("--tokenizer", words->tokenizer, "a folder whose tokenizer files are copied along");
            return [words] { return run_init(*words); };
          }};
}

}  // namespace lathe
