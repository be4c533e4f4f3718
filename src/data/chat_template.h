#pragma once
// Prompt texts: the toolkit's own, and the chat templates of supported models, recognised by their content.
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace lathe {

struct Message {
  std::string role;  ///< "system", "user", "assistant"
  std::string content;
};

/// A piece of prompt text. Trained pieces carry loss (labels); the others are only seen.
struct Segment {
  std::string text;
  bool trained = false;
  bool markup = false;  ///< written by the template: special tokens in it count; a user's own text never makes markers
};

enum class TemplateKind {
  kToolkit,
  kQwen25,  ///< of the instruction-tuned models
  kQwen3,
  kPlain,       ///< {"text"}
  kQwen25Base,  ///< as kQwen25 with another default system turn
};

struct TemplateOptions {
  bool add_generation_prompt = false;
  /// Qwen3 only. False: the empty think block of the last turn stands in the prompt at inference, so it is not trained.
  std::optional<bool> enable_thinking;
};

/// "toolkit", "qwen2.5", "qwen2.5-base", "qwen3", "plain".
[[nodiscard]] std::string_view name(TemplateKind kind);

/// @param setting "toolkit" or "chat".  @param jinja the tokenizer's chat template.
/// @throws Error(kConfig) for a template that is not known (names what is supported).
[[nodiscard]] TemplateKind choose_template(std::string_view setting, std::string_view jinja);

/// Text of a conversation in pieces; joined, equal to apply_chat_template(messages, tokenize=False) for chat kinds.
/// Assistant contents and their closing marker are trained; kPlain: every content is, and markers in it count.
/// @throws Error(kData) for no messages, tools or unknown roles.
[[nodiscard]] std::vector<Segment> render(TemplateKind kind, const std::vector<Message>& messages,
                                          const TemplateOptions& options);

/// What the user says in the toolkit's prompt: instruction, then a blank line and input unless input is blank.
[[nodiscard]] std::string join_instruction(std::string_view instruction, std::string_view input);

}  // namespace lathe
