#pragma once
// Code points, their classes and NFC, as `tokenizers` sees them (unicode_tables.h). Functions here take valid UTF-8
// unless they say otherwise.
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace lathe::unicode {

enum Property : uint8_t {
  kLetter = 1,    ///< \p{L}
  kNumber = 2,    ///< \p{N}
  kSpace = 4,     ///< \s
  kNotInert = 8,  ///< NFC may change it or join it with what stands before
  kOther = 16,    ///< neither letter, number nor space
};

/// Property bits of every code point; built at first use.
[[nodiscard]] const uint8_t* property_table();

struct CodePoint {
  uint32_t value;
  uint32_t size;  ///< bytes in UTF-8
};

/// The code point at p, the first byte of a valid sequence.
[[nodiscard]] inline CodePoint decode(const char* p) {
  const auto byte = [p](int i) { return static_cast<uint32_t>(static_cast<unsigned char>(p[i])); };
  const uint32_t lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  if (lead < 0xE0) return {(lead & 0x1F) << 6 | (byte(1) & 0x3F), 2};
  if (lead < 0xF0) return {(lead & 0x0F) << 12 | (byte(1) & 0x3F) << 6 | (byte(2) & 0x3F), 3};
  return {(lead & 0x07) << 18 | (byte(1) & 0x3F) << 12 | (byte(2) & 0x3F) << 6 | (byte(3) & 0x3F), 4};
}

void append_utf8(std::string& out, uint32_t code_point);

/// Bytes before the first that is not UTF-8 (surrogates and overlong forms are not); text.size() when all are.
[[nodiscard]] size_t valid_utf8_prefix(std::string_view text);

/// Text that may hold anything: each maximal broken sequence becomes one U+FFFD, as Rust's from_utf8_lossy does.
/// @param keep_unfinished when not null, a trailing sequence that more bytes could complete goes there instead.
[[nodiscard]] std::string to_valid_utf8(std::string_view bytes, std::string* keep_unfinished = nullptr);

/// True when no code point of text can be changed by NFC (sufficient, not necessary: then nfc(text) == text).
[[nodiscard]] bool surely_nfc(std::string_view text);

/// From here on, normalised offset - offset == shift, until the next entry; inside a changed stretch every
/// normalised byte stands for `offset`.
struct Alignment {
  size_t normalised, offset;
  bool changed;
};

/// NFC. @param alignment may be null; else filled in order, its first entry at 0.
[[nodiscard]] std::string nfc(std::string_view text, std::vector<Alignment>* alignment = nullptr);

}  // namespace lathe::unicode
