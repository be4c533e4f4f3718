#include "data/tokenizer_split.h"

namespace lathe {
namespace {

using unicode::kLetter;
using unicode::kNumber;
using unicode::kOther;
using unicode::kSpace;

constexpr std::string_view kQwenRegex =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt2Regex = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";

bool is_newline(char c) {
  return c == '\n' || c == '\r';
}

}  // namespace

std::optional<SplitPattern> find_split_pattern(std::string_view regex) {
  if (regex == kQwenRegex) return SplitPattern::kQwen;
  if (regex == kGpt2Regex) return SplitPattern::kGpt2;
  return std::nullopt;
}

std::string_view qwen_split_regex() {
  return kQwenRegex;
}

const char* SplitScanner::contraction_end(const char* p, bool ignore_case) const {
  const auto left = end_ - p;
  if (left < 2) return p;
  const auto lower = [ignore_case](char c) {
    return ignore_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  };
  const char first = lower(p[1]);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return p + 2;
  // U+017F, the long s, is an s to a pattern that ignores case.
  if (ignore_case && left >= 3 && p[1] == '\xC5' && p[2] == '\xBF') return p + 3;
  if (left < 3) return p;
  const char second = lower(p[2]);
  const bool two =
      (first == 'r' && second == 'e') || (first == 'v' && second == 'e') || (first == 'l' && second == 'l');
  return two ? p + 3 : p;
}

const char* SplitScanner::spaces_end(const char* p, bool with_newlines) const {
  const char* after_newline = nullptr;
  const char* last = p;  // where the last space of the run begins
  const char* q = p;
  while (q != end_) {
    const Seen seen = look(q);
    if ((seen.classes & kSpace) == 0) break;
    last = q;
    q += seen.size;
    if (is_newline(*last)) after_newline = q;
  }
  if (with_newlines && after_newline != nullptr) return after_newline;
  // The last space stays with what follows it, unless it is the only one or nothing follows.
  return q == end_ || last == p ? q : last;
}

const char* SplitScanner::qwen_end(const char* p) const {
  if (*p == '\'') {
    const char* end = contraction_end(p, true);
    if (end != p) return end;
  }
  const Seen first = look(p);
  if (first.classes & kLetter) return run_end(p + first.size, kLetter);
  if (first.classes & kNumber) return p + first.size;
  const char* second = p + first.size;
  if (second != end_ && !is_newline(*p)) {
    const Seen seen = look(second);
    if (seen.classes & kLetter) return run_end(second + seen.size, kLetter);
    if (*p == ' ' && (seen.classes & kOther)) second += seen.size;
  }
  if ((first.classes & kSpace) && second == p + first.size) return spaces_end(p, true);
  const char* end = run_end(second, kOther);
  while (end != end_ && is_newline(*end)) ++end;
  return end;
}

const char* SplitScanner::gpt2_end(const char* p) const {
  if (*p == '\'') {
    const char* end = contraction_end(p, false);
    if (end != p) return end;
  }
  const Seen first = look(p);
  const char* second = p + first.size;
  if ((first.classes & kSpace) == 0) return run_end(second, first.classes & (kLetter | kNumber | kOther));
  if (*p == ' ' && second != end_) {
    const Seen seen = look(second);
    const auto classes = static_cast<uint8_t>(seen.classes & (kLetter | kNumber | kOther));
    if (classes != 0) return run_end(second + seen.size, classes);
  }
  return spaces_end(p, false);
}

}  // namespace lathe
