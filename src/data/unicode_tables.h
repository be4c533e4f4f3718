#pragma once
// Unicode data as `tokenizers` has it; the values are generated (scripts/generate_unicode_tables.py). Every table is
// sorted by its first member(s).
#include <cstddef>
#include <cstdint>

namespace lathe::unicode {

struct CodePointRange {
  uint32_t first, last;  ///< both inside
};
struct CombiningClassRange {
  uint32_t first, last;
  uint8_t combining_class;
};
/// Full canonical decomposition; unused places are 0. Hangul syllables are computed, not listed.
struct Decomposition {
  uint32_t code_point;
  uint32_t parts[4];
};
/// first followed by second is composed by NFC. Hangul syllables are computed, not listed.
struct Composition {
  uint32_t first, second, composed;
};

extern const CodePointRange kLetters[], kNumbers[], kSpaces[];
extern const size_t kLettersSize, kNumbersSize, kSpacesSize;
extern const CombiningClassRange kCombiningClasses[];
extern const size_t kCombiningClassesSize;
extern const Decomposition kDecompositions[];
extern const size_t kDecompositionsSize;
extern const Composition kCompositions[];
extern const size_t kCompositionsSize;

}  // namespace lathe::unicode
