#include "data/tokenizer_json.h"

#include <fmt/core.h>
#include <lathe/error.h>

#include <algorithm>
#include <limits>

namespace lathe {
namespace {

/// Where in the document the parser is.
enum class Part { kRest, kVocab, kMerges, kMergePair };

class Handler final : public nlohmann::json_sax<Json> {
 public:
  Handler(std::string_view text, const std::string& path, TokenizerJson& out) : text_(text), path_(path), out_(out) {}

  bool null() override { return value(nullptr); }
  bool boolean(bool b) override { return value(b); }
  bool number_integer(number_integer_t n) override { return value(n); }
  bool number_float(number_float_t n, const string_t&) override { return value(n); }
  bool binary(binary_t&) override { return fail("unexpected value"); }

  bool number_unsigned(number_unsigned_t n) override {
    if (part_ != Part::kVocab) return value(n);
    if (n > static_cast<number_unsigned_t>(std::numeric_limits<int32_t>::max())) return fail("token id is too large");
    out_.vocab.emplace_back(std::move(key_), static_cast<int32_t>(n));
    return true;
  }

  bool string(string_t& s) override {
    if (part_ == Part::kMerges) return merge_line(s);
    if (part_ != Part::kMergePair) return value(std::move(s));
    if (pair_.size() == 2) return fail("a merge has more than two parts");
    pair_.push_back(std::move(s));
    return true;
  }

  bool start_object(size_t) override {
    if (part_ != Part::kRest) return fail("unexpected object");
    if (in_model() && key_ == "vocab") {
      part_ = Part::kVocab;
      return true;
    }
    return open(Json::object());
  }

  bool end_object() override {
    if (part_ == Part::kVocab) {
      part_ = Part::kRest;
    } else {
      stack_.pop_back();
    }
    return true;
  }

  bool start_array(size_t) override {
    if (part_ == Part::kMerges) {
      part_ = Part::kMergePair;
      pair_.clear();
      return true;
    }
    if (part_ != Part::kRest) return fail("unexpected list");
    if (in_model() && key_ == "merges") {
      part_ = Part::kMerges;
      return true;
    }
    return open(Json::array());
  }

  bool end_array() override {
    if (part_ == Part::kMergePair) {
      if (pair_.size() != 2) return fail("a merge has fewer than two parts");
      out_.merges.emplace_back(std::move(pair_[0]), std::move(pair_[1]));
      part_ = Part::kMerges;
    } else if (part_ == Part::kMerges) {
      part_ = Part::kRest;
    } else {
      stack_.pop_back();
    }
    return true;
  }

  bool key(string_t& s) override {
    key_ = std::move(s);
    return true;
  }

  bool parse_error(size_t position, const std::string&, const nlohmann::detail::exception&) override {
    const auto end = text_.begin() + static_cast<ptrdiff_t>(std::min(position, text_.size()));
    const int64_t line = 1 + std::count(text_.begin(), end, '\n');
    throw Error(ErrorKind::kData, fmt::format("is not JSON from byte {} on", position), {path_, line, ""},
                "the file may be cut off; fetch it again");
  }

 private:
  [[nodiscard]] bool in_model() const { return stack_.size() == 2 && model_ && stack_.back()->is_object(); }

  bool merge_line(const std::string& line) {
    const size_t space = line.find(' ');
    if (space == std::string::npos || line.find(' ', space + 1) != std::string::npos) {
      return fail(fmt::format("merge '{}' is not two tokens with a space between them", line));
    }
    out_.merges.emplace_back(line.substr(0, space), line.substr(space + 1));
    return true;
  }

  /// Puts a value where the parser is; returns its place.
  Json* place(Json&& json) {
    if (stack_.empty()) {
      out_.rest = std::move(json);
      return &out_.rest;
    }
    Json& parent = *stack_.back();
    if (parent.is_array()) {
      parent.push_back(std::move(json));
      return &parent.back();
    }
    if (stack_.size() == 1) model_ = key_ == "model";
    Json& member = parent[key_];
    member = std::move(json);
    return &member;
  }

  bool value(Json&& json) {
    if (part_ != Part::kRest) return fail("unexpected value");
    place(std::move(json));
    return true;
  }

  bool open(Json&& json) {
    stack_.push_back(place(std::move(json)));
    return true;
  }

  [[noreturn]] bool fail(const std::string& what) const {
    const char* keys[] = {"", "model.vocab", "model.merges", "model.merges"};
    throw Error(ErrorKind::kData, what, {path_, 0, keys[static_cast<int>(part_)]});
  }

  std::string_view text_;
  const std::string& path_;
  TokenizerJson& out_;
  Part part_ = Part::kRest;
  bool model_ = false;
  std::string key_;
  std::vector<std::string> pair_;
  std::vector<Json*> stack_;  // a Json being filled never moves: its parent gets nothing new meanwhile
};

}  // namespace

TokenizerJson read_tokenizer_json(std::string_view text, const std::string& path) {
  TokenizerJson out;
  Handler handler(text, path, out);
  Json::sax_parse(text.begin(), text.end(), &handler);
  return out;
}

}  // namespace lathe
