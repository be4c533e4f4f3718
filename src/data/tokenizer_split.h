#pragma once
// The splitting patterns of published Qwen tokenizers and of GPT-2, as scanners: each call yields the end of the next
// piece. A regex engine would give the same pieces (tests compare every code point); these need none.
#include <optional>
#include <string_view>

#include "data/unicode.h"

namespace lathe {

enum class SplitPattern { kQwen, kGpt2 };

/// The pattern that a tokenizer.json writes as this regular expression; nothing when it is not known.
[[nodiscard]] std::optional<SplitPattern> find_split_pattern(std::string_view regex);
/// The regular expression of Qwen2, Qwen2.5 and Qwen3.
[[nodiscard]] std::string_view qwen_split_regex();

/// Walks over valid UTF-8 [begin, end).
class SplitScanner {
 public:
  SplitScanner(SplitPattern pattern, const char* begin, const char* end)
      : properties_(unicode::property_table()), pattern_(pattern), at_(begin), end_(end) {}

  /// The next piece; empty at the end.
  [[nodiscard]] std::string_view next() {
    const char* from = at_;
    if (from == end_) return {};
    at_ = pattern_ == SplitPattern::kQwen ? qwen_end(from) : gpt2_end(from);
    return {from, static_cast<size_t>(at_ - from)};
  }

 private:
  [[nodiscard]] const char* qwen_end(const char* p) const;
  [[nodiscard]] const char* gpt2_end(const char* p) const;
  /// End of "'s", "'t", "'re", "'ve", "'m", "'ll" or "'d" at p; p itself when there is none.
  [[nodiscard]] const char* contraction_end(const char* p, bool ignore_case) const;
  /// End of \s*[\r\n]+ when with_newlines, of \s+(?!\S) or \s+ otherwise; p is at a space.
  [[nodiscard]] const char* spaces_end(const char* p, bool with_newlines) const;

  /// Classes of the code point at p, and its size.
  struct Seen {
    uint8_t classes;
    uint32_t size;
  };
  [[nodiscard]] Seen look(const char* p) const {
    const auto byte = static_cast<unsigned char>(*p);
    if (byte < 0x80) return {properties_[byte], 1};
    const unicode::CodePoint c = unicode::decode(p);
    return {properties_[c.value], c.size};
  }
  /// End of the run of code points of these classes.
  [[nodiscard]] const char* run_end(const char* p, uint8_t classes) const {
    while (p != end_) {
      const Seen seen = look(p);
      if ((seen.classes & classes) == 0) break;
      p += seen.size;
    }
    return p;
  }

  const uint8_t* properties_;
  SplitPattern pattern_;
  const char* at_;
  const char* end_;
};

}  // namespace lathe
