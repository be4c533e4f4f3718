// lathe generate: one answer to one prompt, written to standard output as it comes.
#include <cstdio>
#include <memory>

#include "app/commands/commands.h"
#include "app/inference.h"
#include "model/sampling.h"

namespace lathe {
namespace {

struct GenerateWords {
  InferenceRequest model;
  std::string prompt, system;
  GenerationConfig config;
};

int run_generate(const GenerateWords& words) {
  check_generation_config(words.config);
  InferenceModel model(words.model);
  model.answer(model.encode_prompt(words.prompt, words.system), words.config, [](const std::string& text) {
    std::fwrite(text.data(), 1, text.size(), stdout);
    std::fflush(stdout);
  });
  std::fputc('\n', stdout);
  return 0;
}

}  // namespace

Command generate_command() {
  return {"generate", "Answer a prompt with a model, or with a model and an adapter", [](CommandOptions& options) {
            auto words = std::make_shared<GenerateWords>();
            GenerationConfig& config = words->config;
            options.required("-m,--model", words->model.model, "the model's folder or name; an adapter's folder too");
            options.option("--adapter", words->model.adapter, "an adapter's folder");
            options.required("-p,--prompt", words->prompt, "what the user says");
            options.option("--system", words->system, "what the system turn says");
            options.option("--max-new-tokens", config.max_new_tokens, "tokens of the answer at most");
            options.option("--temperature", config.temperature, "0: always the likeliest token");
            options.option("--top-p", config.top_p, "draw from the likeliest tokens that hold this share");
            options.option("--top-k", config.top_k, "draw from that many likeliest tokens; 0: all");
            options.option("--repetition-penalty", config.repetition_penalty, "above 1: against saying it again");
            options.option("--seed", config.seed, "of the draws");
            options.option("--template", words->model.template_name,
                           "toolkit, chat or none; not given: the one the model was trained with");
            options.option("--dtype", words->model.dtype, "float32 or bfloat16; not given: the model's own");
            return [words] { return run_generate(*words); };
          }};
}

}  // namespace lathe
