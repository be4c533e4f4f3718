// Normalization Form C (Unicode Standard Annex 15): decompose, order marks by class, compose. Only stretches around a
// code point that may change are touched; everything else is copied.
#include <algorithm>
#include <iterator>

#include "data/unicode.h"
#include "data/unicode_tables.h"

namespace lathe::unicode {
namespace {

// Hangul syllables are arithmetic (Unicode Standard 3.12).
constexpr uint32_t kSyllables = 0xAC00, kLeads = 0x1100, kVowels = 0x1161, kTails = 0x11A7;
constexpr uint32_t kNumLeads = 19, kNumVowels = 21, kNumTails = 28;
constexpr uint32_t kNumSyllables = kNumLeads * kNumVowels * kNumTails;

struct Mark {
  uint32_t code_point;
  uint8_t combining_class;
};

uint8_t combining_class(uint32_t c) {
  const auto* end = kCombiningClasses + kCombiningClassesSize;
  const auto* found = std::upper_bound(kCombiningClasses, end, c,
                                       [](uint32_t value, const CombiningClassRange& r) { return value < r.first; });
  if (found == kCombiningClasses) return 0;
  --found;
  return c <= found->last ? found->combining_class : uint8_t{0};
}

void decompose(uint32_t c, std::vector<Mark>& out) {
  if (c - kSyllables < kNumSyllables) {
    const uint32_t index = c - kSyllables;
    out.push_back({kLeads + index / (kNumVowels * kNumTails), 0});
    out.push_back({kVowels + index % (kNumVowels * kNumTails) / kNumTails, 0});
    if (index % kNumTails != 0) out.push_back({kTails + index % kNumTails, 0});
    return;
  }
  const auto* end = kDecompositions + kDecompositionsSize;
  const auto* found = std::lower_bound(kDecompositions, end, c,
                                       [](const Decomposition& d, uint32_t value) { return d.code_point < value; });
  if (found == end || found->code_point != c) {
    out.push_back({c, combining_class(c)});
    return;
  }
  for (const uint32_t part : found->parts) {
    if (part != 0) out.push_back({part, combining_class(part)});
  }
}

/// 0 when the two do not compose.
uint32_t compose(uint32_t first, uint32_t second) {
  if (first - kLeads < kNumLeads && second - kVowels < kNumVowels) {
    return kSyllables + ((first - kLeads) * kNumVowels + (second - kVowels)) * kNumTails;
  }
  if (first - kSyllables < kNumSyllables && (first - kSyllables) % kNumTails == 0 && second > kTails &&
      second - kTails < kNumTails) {
    return first + (second - kTails);
  }
  const auto* end = kCompositions + kCompositionsSize;
  const auto* found =
      std::lower_bound(kCompositions, end, std::pair(first, second),
                       [](const Composition& c, auto key) { return std::pair(c.first, c.second) < key; });
  return found != end && found->first == first && found->second == second ? found->composed : 0;
}

void order_marks(std::vector<Mark>& marks) {
  for (auto from = marks.begin(); from != marks.end();) {
    if (from->combining_class == 0) {
      ++from;
      continue;
    }
    auto to = std::find_if(from, marks.end(), [](const Mark& m) { return m.combining_class == 0; });
    std::stable_sort(from, to, [](const Mark& a, const Mark& b) { return a.combining_class < b.combining_class; });
    from = to;
  }
}

/// Joins each mark with the last starter unless one of the same or a higher class stands between.
void compose_marks(std::vector<Mark>& marks) {
  constexpr size_t kNone = static_cast<size_t>(-1);
  size_t starter = kNone, kept = 0;
  int last_class = -1;  // of what was kept since the starter; -1: nothing
  for (const Mark mark : marks) {
    if (starter != kNone && last_class < static_cast<int>(mark.combining_class)) {
      if (const uint32_t composed = compose(marks[starter].code_point, mark.code_point)) {
        marks[starter].code_point = composed;
        continue;
      }
    }
    if (mark.combining_class == 0) {
      starter = kept;
      last_class = -1;
    } else {
      last_class = mark.combining_class;
    }
    marks[kept++] = mark;
  }
  marks.resize(kept);
}

/// End of the stretch of code points from `at` on that may change or join with what stands before them.
size_t end_of_stretch(std::string_view text, size_t at, const uint8_t* properties) {
  while (at < text.size()) {
    const CodePoint c = decode(text.data() + at);
    if ((properties[c.value] & kNotInert) == 0) break;
    at += c.size;
  }
  return at;
}

void append_normalised(std::string_view stretch, std::vector<Mark>& marks, std::string& out) {
  marks.clear();
  for (size_t at = 0; at < stretch.size();) {
    const CodePoint c = decode(stretch.data() + at);
    decompose(c.value, marks);
    at += c.size;
  }
  order_marks(marks);
  compose_marks(marks);
  for (const Mark mark : marks) append_utf8(out, mark.code_point);
}

}  // namespace

std::string nfc(std::string_view text, std::vector<Alignment>* alignment) {
  const uint8_t* properties = property_table();
  std::string out;
  out.reserve(text.size());
  std::vector<Mark> marks;
  if (alignment != nullptr) alignment->assign(1, {0, 0, false});
  size_t copied = 0, inert = 0;  // text before `copied` is in out; `inert`: where the last inert code point began
  for (size_t at = 0; at < text.size();) {
    const CodePoint c = decode(text.data() + at);
    if ((properties[c.value] & kNotInert) == 0) {
      inert = at;
      at += c.size;
      continue;
    }
    const size_t from = std::max(inert, copied), to = end_of_stretch(text, at, properties);
    out.append(text.substr(copied, from - copied));
    const size_t before = out.size();
    append_normalised(text.substr(from, to - from), marks, out);
    if (alignment != nullptr && std::string_view(out).substr(before) != text.substr(from, to - from)) {
      alignment->push_back({before, from, true});
      alignment->push_back({out.size(), to, false});
    }
    at = copied = inert = to;
  }
  out.append(text.substr(copied));
  return out;
}

}  // namespace lathe::unicode
