#include "data/unicode.h"

#include <cstring>
#include <memory>

#include "data/unicode_tables.h"

namespace lathe::unicode {
namespace {

constexpr uint32_t kNumCodePoints = 0x110000;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

void add(uint8_t* table, const CodePointRange* ranges, size_t size, Property property) {
  for (size_t i = 0; i < size; ++i) {
    for (uint32_t c = ranges[i].first; c <= ranges[i].last; ++c) {
      table[c] = static_cast<uint8_t>((table[c] & ~kOther) | property);
    }
  }
}

/// Not inert: marks, second halves of compositions, and what decomposes unless NFC puts it together again.
void mark_not_inert(uint8_t* table) {
  constexpr uint8_t kJoins = 32;  // only while the table is made
  for (size_t i = 0; i < kCombiningClassesSize; ++i) {
    for (uint32_t c = kCombiningClasses[i].first; c <= kCombiningClasses[i].last; ++c) table[c] |= kJoins;
  }
  for (size_t i = 0; i < kCompositionsSize; ++i) table[kCompositions[i].second] |= kJoins;
  for (uint32_t c = 0x1161; c <= 0x11C2; ++c) table[c] |= kJoins;  // Hangul vowels and final consonants
  for (size_t i = 0; i < kDecompositionsSize; ++i) table[kDecompositions[i].code_point] |= kNotInert;
  for (size_t i = 0; i < kCompositionsSize; ++i) {
    const bool first_is_inert = (table[kCompositions[i].first] & (kNotInert | kJoins)) == 0;
    uint8_t& composed = table[kCompositions[i].composed];
    if (first_is_inert) composed = static_cast<uint8_t>(composed & ~kNotInert);
  }
  for (uint32_t c = 0; c < kNumCodePoints; ++c) {
    if (table[c] & kJoins) table[c] = static_cast<uint8_t>((table[c] & ~kJoins) | kNotInert);
  }
}

std::unique_ptr<uint8_t[]> build_property_table() {
  auto table = std::make_unique<uint8_t[]>(kNumCodePoints);
  std::memset(table.get(), kOther, kNumCodePoints);
  add(table.get(), kLetters, kLettersSize, kLetter);
  add(table.get(), kNumbers, kNumbersSize, kNumber);
  add(table.get(), kSpaces, kSpacesSize, kSpace);
  mark_not_inert(table.get());
  return table;
}

/// Length of the sequence that a lead byte opens, and the range of its second byte; 0: no lead byte.
struct Lead {
  int size;
  unsigned char low, high;
};

Lead lead_of(unsigned char byte) {
  if (byte < 0x80) return {1, 0, 0};
  if (byte < 0xC2) return {0, 0, 0};
  if (byte < 0xE0) return {2, 0x80, 0xBF};
  if (byte == 0xE0) return {3, 0xA0, 0xBF};
  if (byte == 0xED) return {3, 0x80, 0x9F};
  if (byte < 0xF0) return {3, 0x80, 0xBF};
  if (byte == 0xF0) return {4, 0x90, 0xBF};
  if (byte < 0xF4) return {4, 0x80, 0xBF};
  if (byte == 0xF4) return {4, 0x80, 0x8F};
  return {0, 0, 0};
}

/// Bytes at p that belong to one sequence: `whole` when it is complete, else the maximal start of one (at least 1).
struct Sequence {
  size_t size;
  bool whole;
  bool cut;  ///< not whole because the text ended
};

Sequence sequence_at(const char* p, size_t left) {
  const auto byte = [p](size_t i) { return static_cast<unsigned char>(p[i]); };
  const Lead lead = lead_of(byte(0));
  if (lead.size == 0) return {1, false, false};
  const auto wanted = static_cast<size_t>(lead.size);
  for (size_t i = 1; i < wanted; ++i) {
    if (i == left) return {i, false, true};
    const unsigned char low = i == 1 ? lead.low : 0x80, high = i == 1 ? lead.high : 0xBF;
    if (byte(i) < low || byte(i) > high) return {i, false, false};
  }
  return {wanted, true, false};
}

/// Bytes of ASCII from p on.
size_t ascii_run(const char* p, size_t left) {
  size_t n = 0;
  for (; n + 8 <= left; n += 8) {
    uint64_t word;
    std::memcpy(&word, p + n, 8);
    if (word & 0x8080808080808080ULL) break;
  }
  while (n < left && static_cast<unsigned char>(p[n]) < 0x80) ++n;
  return n;
}

}  // namespace

const uint8_t* property_table() {
  static const std::unique_ptr<uint8_t[]> table = build_property_table();
  return table.get();
}

void append_utf8(std::string& out, uint32_t c) {
  const auto put = [&out](uint32_t byte) { out.push_back(static_cast<char>(byte)); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xC0 | c >> 6);
    put(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    put(0xE0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  } else {
    put(0xF0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3F));
    put(0x80 | (c >> 6 & 0x3F));
    put(0x80 | (c & 0x3F));
  }
}

size_t valid_utf8_prefix(std::string_view text) {
  size_t at = 0;
  while (at < text.size()) {
    at += ascii_run(text.data() + at, text.size() - at);
    // Runs of longer sequences are taken without looking for ASCII between them.
    while (at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80) {
      const Sequence sequence = sequence_at(text.data() + at, text.size() - at);
      if (!sequence.whole) return at;
      at += sequence.size;
    }
  }
  return at;
}

std::string to_valid_utf8(std::string_view bytes, std::string* keep_unfinished) {
  std::string out;
  out.reserve(bytes.size());
  size_t at = 0;
  while (at < bytes.size()) {
    const std::string_view rest = bytes.substr(at);
    const size_t good = valid_utf8_prefix(rest);
    out.append(rest.substr(0, good));
    at += good;
    if (at == bytes.size()) break;
    const Sequence broken = sequence_at(bytes.data() + at, bytes.size() - at);
    if (broken.cut && keep_unfinished != nullptr) {
      *keep_unfinished = bytes.substr(at);
      return out;
    }
    out.append(kReplacement);
    at += broken.size;
  }
  if (keep_unfinished != nullptr) keep_unfinished->clear();
  return out;
}

bool surely_nfc(std::string_view text) {
  const uint8_t* properties = property_table();
  size_t at = 0;
  while (at < text.size()) {
    at += ascii_run(text.data() + at, text.size() - at);
    while (at < text.size() && static_cast<unsigned char>(text[at]) >= 0x80) {
      const CodePoint c = decode(text.data() + at);
      if (properties[c.value] & kNotInert) return false;
      at += c.size;
    }
  }
  return true;
}

}  // namespace lathe::unicode
