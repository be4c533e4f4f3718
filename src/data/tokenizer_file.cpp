#include "data/tokenizer_file.h"

#include <fmt/core.h>
#include <lathe/error.h>

#include <array>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "data/tokenizer_json.h"
#include "data/unicode.h"

namespace lathe {
namespace {

/// The code point that stands for each byte: printable ones for themselves, the others from U+0100 on.
struct Alphabet {
  std::array<uint32_t, 256> code_points;
  std::array<int, 0x200> bytes;

  Alphabet() {
    bytes.fill(-1);
    uint32_t next = 0x100;
    for (uint32_t b = 0; b < 256; ++b) {
      const bool printable = (b >= '!' && b <= '~') || (b >= 0xA1 && b <= 0xAC) || b >= 0xAE;
      code_points[b] = printable ? b : next++;
      bytes[code_points[b]] = static_cast<int>(b);
    }
  }
};

const Alphabet& alphabet() {
  static const Alphabet value;
  return value;
}

/// Reads members of a tokenizer.json and knows how to complain about them.
class Reader {
 public:
  explicit Reader(const std::string& path) : path_(path) {}

  [[noreturn]] void refuse(const std::string& key, const std::string& what) const {
    throw Error(ErrorKind::kData, what, {path_, 0, key},
                "Lathe reads the byte-level BPE tokenizers of Qwen2, Qwen2.5 and Qwen3");
  }

  [[nodiscard]] static std::string type_of(const Json& json) {
    const auto found = json.is_object() ? json.find("type") : json.end();
    return json.is_object() && found != json.end() && found->is_string() ? found->get<std::string>() : json.dump();
  }

  [[nodiscard]] const Json& member(const Json& json, const char* name, const std::string& key) const {
    static const Json kNull;
    if (!json.is_object()) refuse(key, "is not an object");
    const auto found = json.find(name);
    return found == json.end() ? kNull : *found;
  }

  /// @throws unless the member is absent, null or this value.
  void expect(const Json& json, const char* name, const std::string& key, const Json& value) const {
    const Json& found = member(json, name, key);
    if (!found.is_null() && found != value) {
      refuse(key + "." + name, fmt::format("{} is not supported", found.dump()));
    }
  }

  [[nodiscard]] bool flag(const Json& json, const char* name, const std::string& key) const {
    const Json& found = member(json, name, key);
    if (found.is_null()) return false;
    if (!found.is_boolean()) refuse(key + "." + name, "is neither true nor false");
    return found.get<bool>();
  }

  void read_model(const Json& root) const {
    const Json& model = member(root, "model", "");
    if (model.is_null()) refuse("model", "is missing");
    const Json& type = member(model, "type", "model");
    if (!type.is_null() && type != "BPE") refuse("model.type", fmt::format("{} is not supported", type.dump()));
    expect(model, "dropout", "model", nullptr);
    expect(model, "continuing_subword_prefix", "model", "");
    expect(model, "end_of_word_suffix", "model", "");
    expect(model, "byte_fallback", "model", false);
    expect(model, "ignore_merges", "model", false);
  }

  [[nodiscard]] bool read_normalizer(const Json& root) const {
    const Json& normalizer = member(root, "normalizer", "");
    if (normalizer.is_null()) return false;
    if (type_of(normalizer) != "NFC") {
      refuse("normalizer", fmt::format("{} is not supported (NFC is)", type_of(normalizer)));
    }
    return true;
  }

  /// Sequence[Split, ByteLevel without a pattern], or ByteLevel with its own.
  [[nodiscard]] SplitPattern read_pre_tokenizer(const Json& root) const {
    const std::string key = "pre_tokenizer";
    const Json& pre = member(root, "pre_tokenizer", "");
    if (type_of(pre) == "ByteLevel") {
      if (!read_byte_level(pre, key)) refuse(key, "ByteLevel without a splitting pattern is not supported");
      return SplitPattern::kGpt2;
    }
    const Json* parts = type_of(pre) == "Sequence" ? &member(pre, "pretokenizers", key) : nullptr;
    if (parts == nullptr || !parts->is_array() || parts->size() != 2 || type_of((*parts)[0]) != "Split" ||
        type_of((*parts)[1]) != "ByteLevel" || read_byte_level((*parts)[1], key)) {
      refuse(key, fmt::format("{} is not supported (Split, then ByteLevel is)", type_of(pre)));
    }
    const Json& split = (*parts)[0];
    expect(split, "behavior", key, "Isolated");
    expect(split, "invert", key, false);
    const Json& regex = member(member(split, "pattern", key), "Regex", key + ".pattern");
    if (!regex.is_string()) refuse(key + ".pattern", "has no Regex");
    const auto pattern = find_split_pattern(regex.get<std::string>());
    if (!pattern) refuse(key + ".pattern", fmt::format("the splitting pattern {} is not known", regex.dump()));
    return *pattern;
  }

  void read_ends(const Json& root) const {
    const Json& post = member(root, "post_processor", "");
    if (!post.is_null() && type_of(post) != "ByteLevel") {
      refuse("post_processor", fmt::format("{} is not supported", type_of(post)));
    }
    const Json& decoder = member(root, "decoder", "");
    if (type_of(decoder) != "ByteLevel") refuse("decoder", fmt::format("{} is not supported", type_of(decoder)));
  }

  [[nodiscard]] std::vector<AddedToken> read_added_tokens(const Json& root) const {
    std::vector<AddedToken> tokens;
    const Json& list = member(root, "added_tokens", "");
    if (list.is_null()) return tokens;
    if (!list.is_array()) refuse("added_tokens", "is not a list");
    for (size_t i = 0; i < list.size(); ++i)
      tokens.push_back(read_added_token(list[i], fmt::format("added_tokens[{}]", i)));
    return tokens;
  }

 private:
  /// True when it splits by its own pattern.
  [[nodiscard]] bool read_byte_level(const Json& json, const std::string& key) const {
    if (flag(json, "add_prefix_space", key)) refuse(key + ".add_prefix_space", "true is not supported");
    const Json& use_regex = member(json, "use_regex", key);
    return use_regex.is_null() || flag(json, "use_regex", key);
  }

  [[nodiscard]] AddedToken read_added_token(const Json& json, const std::string& key) const {
    const Json& id = member(json, "id", key);
    const Json& content = member(json, "content", key);
    if (!id.is_number_unsigned() || id.get<uint64_t>() > INT32_MAX) refuse(key + ".id", "is no token id");
    if (!content.is_string()) refuse(key + ".content", "is no text");
    for (const char* name : {"lstrip", "rstrip", "single_word"}) {
      if (flag(json, name, key)) {
        refuse(key + "." + name, fmt::format("true is not supported (token {})", content.dump()));
      }
    }
    return {id.get<int32_t>(), content.get<std::string>(), flag(json, "special", key), flag(json, "normalized", key)};
  }

  const std::string& path_;
};

}  // namespace

TokenizerFile parse_tokenizer_file(std::string_view text, const std::string& path) {
  TokenizerJson json = read_tokenizer_json(text, path);
  const Reader reader(path);
  if (!json.rest.is_object()) reader.refuse("", "is not an object");
  reader.read_model(json.rest);
  TokenizerFile file;
  file.nfc = reader.read_normalizer(json.rest);
  file.split_pattern = reader.read_pre_tokenizer(json.rest);
  reader.read_ends(json.rest);
  file.added_tokens = reader.read_added_tokens(json.rest);
  file.vocab = std::move(json.vocab);
  file.merges = std::move(json.merges);
  if (file.vocab.empty()) reader.refuse("model.vocab", "is missing or empty");
  return file;
}

std::string byte_to_alphabet(unsigned char byte) {
  std::string out;
  unicode::append_utf8(out, alphabet().code_points[byte]);
  return out;
}

std::string bytes_to_alphabet(std::string_view bytes) {
  std::string out;
  out.reserve(bytes.size() * 2);
  for (const char byte : bytes) unicode::append_utf8(out, alphabet().code_points[static_cast<unsigned char>(byte)]);
  return out;
}

std::optional<std::string> alphabet_to_bytes(std::string_view token) {
  std::string out;
  out.reserve(token.size());
  for (size_t at = 0; at < token.size();) {
    const unicode::CodePoint c = unicode::decode(token.data() + at);
    const int byte = c.value < alphabet().bytes.size() ? alphabet().bytes[c.value] : -1;
    if (byte < 0) return std::nullopt;
    out.push_back(static_cast<char>(byte));
    at += c.size;
  }
  return out;
}

}  // namespace lathe
