#include "data/chat_template.h"

#include <fmt/core.h>
#include <lathe/error.h>

#include "base/sha256.h"
#include "data/unicode.h"

namespace lathe {
namespace {

constexpr std::string_view kThinkBegin = "<think>", kThinkEnd = "</think>";
constexpr std::string_view kQwen25BaseSystem = "You are a helpful assistant.";
constexpr std::string_view kQwen25System = "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.";

/// SHA-256 of published templates, white space at their ends left out.
struct KnownTemplate {
  std::string_view sha256;
  TemplateKind kind;
};
constexpr KnownTemplate kKnownTemplates[] = {
    {"55b2f4a26ac9ee719330a61a0c39d9e538b0e9322212f048326318cff4f8674a", TemplateKind::kQwen25},
    {"4039eed0f28b7aaa337e70c76cfedba3271ee32505835a095a8c92e536b3c355", TemplateKind::kQwen25Base},
    {"87a2728cb8dc9fe424d624542f6060ec05a1d285ebbec578bb078900e33396b5", TemplateKind::kQwen3},
    {"a55ee1b1660128b7098723e0abcd92caa0788061051c62d51cbe87d9cf1974d8", TemplateKind::kQwen3},
};

std::string_view trim(std::string_view text, std::string_view what) {
  const size_t begin = text.find_first_not_of(what);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(what) - begin + 1);
}

/// Collects segments; texts that the template writes are markup.
class Writer {
 public:
  void markup(std::string_view text, bool trained = false) { add(text, trained, true); }
  void content(std::string_view text, bool trained) { add(text, trained, false); }
  void open(std::string_view role) { markup(fmt::format("<|im_start|>{}\n", role)); }
  void close(bool trained) { markup("<|im_end|>", trained); }

  void turn(const Message& message) {
    const bool trained = message.role == "assistant";
    open(message.role);
    content(message.content, trained);
    close(trained);
  }

  [[nodiscard]] std::vector<Segment> take() { return std::move(segments_); }

 private:
  void add(std::string_view text, bool trained, bool is_markup) {
    if (!text.empty()) segments_.push_back({std::string(text), trained, is_markup});
  }
  std::vector<Segment> segments_;
};

void check_messages(const std::vector<Message>& messages) {
  if (messages.empty()) throw Error(ErrorKind::kData, "the conversation is empty", {}, "give at least one message");
  for (size_t i = 0; i < messages.size(); ++i) {
    const std::string& role = messages[i].role;
    if (role == "system" || role == "user" || role == "assistant") continue;
    const Where where{"", 0, fmt::format("messages[{}].role", i)};
    if (role == "tool" || role == "function") {
      throw Error(ErrorKind::kData, fmt::format("'{}' messages (tools) are not supported", role), where,
                  "leave rows with tool calls out");
    }
    throw Error(ErrorKind::kData, fmt::format("'{}' is not a known role", role), where,
                "roles are system, user and assistant");
  }
}

/// The toolkit's prompt: turns with a line feed between them, no system turn of its own, nothing behind the last.
std::vector<Segment> render_toolkit(const std::vector<Message>& messages, const TemplateOptions& options) {
  Writer out;
  for (size_t i = 0; i < messages.size(); ++i) {
    if (i > 0) out.markup("\n");
    out.turn(messages[i]);
  }
  if (options.add_generation_prompt) out.markup("\n<|im_start|>assistant\n");
  return out.take();
}

std::vector<Segment> render_qwen25(const std::vector<Message>& messages, const TemplateOptions& options,
                                   std::string_view default_system) {
  Writer out;
  if (messages[0].role != "system") out.markup(fmt::format("<|im_start|>system\n{}<|im_end|>\n", default_system));
  for (const Message& message : messages) {
    out.turn(message);
    out.markup("\n");
  }
  if (options.add_generation_prompt) out.markup("<|im_start|>assistant\n");
  return out.take();
}

/// An assistant's content, taken apart as Qwen3's template does.
struct Thought {
  std::string_view reasoning, answer;
};

std::string_view strip_left(std::string_view text) {
  const size_t begin = text.find_first_not_of('\n');
  return begin == std::string_view::npos ? std::string_view() : text.substr(begin);
}

Thought take_apart(std::string_view content) {
  const size_t first = content.find(kThinkEnd);
  if (first == std::string_view::npos) return {{}, content};
  std::string_view reasoning = content.substr(0, first);
  reasoning = reasoning.substr(0, reasoning.find_last_not_of('\n') + 1);
  const size_t begin = reasoning.rfind(kThinkBegin);
  if (begin != std::string_view::npos) reasoning.remove_prefix(begin + kThinkBegin.size());
  return {strip_left(reasoning), strip_left(content.substr(content.rfind(kThinkEnd) + kThinkEnd.size()))};
}

/// Index of the last thing the user asked (a tool's answer in a user turn is not asked); the last message when nothing.
size_t last_query(const std::vector<Message>& messages) {
  for (size_t i = messages.size(); i-- > 0;) {
    const std::string& content = messages[i].content;
    if (messages[i].role == "user" &&
        !(content.starts_with("<tool_response>") && content.ends_with("</tool_response>"))) {
      return i;
    }
  }
  return messages.size() - 1;
}

void write_qwen3_answer(Writer& out, const Message& message, bool after_query, bool last,
                        const TemplateOptions& options) {
  const Thought thought = take_apart(message.content);
  out.open(message.role);
  if (after_query && (last || !thought.reasoning.empty())) {
    const bool trained = !thought.reasoning.empty() || options.enable_thinking != false;
    out.markup("<think>\n", trained);
    out.content(trim(thought.reasoning, "\n"), trained);
    out.markup("\n</think>\n\n", trained);
    out.content(strip_left(thought.answer), true);
  } else {
    out.content(thought.answer, true);
  }
  out.close(true);
}

std::vector<Segment> render_qwen3(const std::vector<Message>& messages, const TemplateOptions& options) {
  Writer out;
  const size_t query = last_query(messages);
  for (size_t i = 0; i < messages.size(); ++i) {
    if (messages[i].role == "assistant") {
      write_qwen3_answer(out, messages[i], i > query, i + 1 == messages.size(), options);
    } else {
      out.turn(messages[i]);
    }
    out.markup("\n");
  }
  if (options.add_generation_prompt) {
    out.markup("<|im_start|>assistant\n");
    if (options.enable_thinking == false) out.markup("<think>\n\n</think>\n\n");
  }
  return out.take();
}

}  // namespace

std::string_view name(TemplateKind kind) {
  switch (kind) {
    case TemplateKind::kToolkit:
      return "toolkit";
    case TemplateKind::kQwen25:
      return "qwen2.5";
    case TemplateKind::kQwen25Base:
      return "qwen2.5-base";
    case TemplateKind::kQwen3:
      return "qwen3";
    case TemplateKind::kPlain:
      return "plain";
  }
  return "";
}

TemplateKind choose_template(std::string_view setting, std::string_view jinja) {
  if (setting == "toolkit") return TemplateKind::kToolkit;
  const Where where{"", 0, "template"};
  if (setting != "chat") {
    throw Error(ErrorKind::kConfig, fmt::format("'{}' is not a known template", setting), where,
                "templates are \"toolkit\" and \"chat\"");
  }
  if (jinja.empty()) {
    throw Error(ErrorKind::kConfig, "the tokenizer has no chat template of its own", where, "use \"toolkit\"");
  }
  const std::string sha256 = Sha256().update(trim(jinja, " \t\r\n")).hex();
  for (const KnownTemplate& known : kKnownTemplates) {
    if (known.sha256 == sha256) return known.kind;
  }
  throw Error(ErrorKind::kConfig, fmt::format("the tokenizer's chat template is not known (SHA-256 {})", sha256), where,
              "Qwen2.5's and Qwen3's published templates are; or use \"toolkit\"");
}

std::vector<Segment> render(TemplateKind kind, const std::vector<Message>& messages, const TemplateOptions& options) {
  check_messages(messages);
  switch (kind) {
    case TemplateKind::kToolkit:
      return render_toolkit(messages, options);
    case TemplateKind::kQwen25:
      return render_qwen25(messages, options, kQwen25System);
    case TemplateKind::kQwen25Base:
      return render_qwen25(messages, options, kQwen25BaseSystem);
    case TemplateKind::kQwen3:
      return render_qwen3(messages, options);
    case TemplateKind::kPlain:
      break;
  }
  Writer out;
  for (const Message& message : messages) out.markup(message.content, true);
  return out.take();
}

std::string join_instruction(std::string_view instruction, std::string_view input) {
  // Blank as Python's str.strip sees it: white space, and the four separators of ASCII.
  const uint8_t* properties = unicode::property_table();
  bool blank = true;
  for (size_t at = 0; at < input.size() && blank;) {
    const unicode::CodePoint c = unicode::decode(input.data() + at);
    blank = (properties[c.value] & unicode::kSpace) != 0 || (c.value >= 0x1C && c.value <= 0x1F);
    at += c.size;
  }
  std::string joined(instruction);
  if (!blank) joined.append("\n\n").append(input);
  return joined;
}

}  // namespace lathe
