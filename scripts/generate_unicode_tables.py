#!/usr/bin/env python3
"""Writes src/data/unicode_tables.cpp: the Unicode data that decides how `tokenizers` 0.23.3 splits and normalises.

    pip install tokenizers==0.23.3 unicodedata2==16.0.0
    python3 scripts/generate_unicode_tables.py > src/data/unicode_tables.cpp

The library carries two versions of Unicode: its regex engine has letters and numbers of Unicode 16, its NFC crate
knows no character newer than Unicode 9. No package of Unicode 9's data builds with a current Python, so the newer
characters are found by asking the library itself: one whose decomposition or combining class it does not apply is
unknown to it. What is written is checked against the library for every code point before the file is printed.
"""
import sys

import tokenizers
import unicodedata2
from tokenizers import Regex, normalizers, pre_tokenizers

TOKENIZERS, UNICODE = "0.23.3", "16.0.0"
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]
HANGUL = range(0xAC00, 0xAC00 + 11172)
NFD, NFC = normalizers.NFD(), normalizers.NFC()


def matched(pattern):
    """Code points that the library's regex engine matches with pattern."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    return {c for c in CODE_POINTS if not split.pre_tokenize_str(chr(c))}


def ranges(points):
    """Sorted inclusive ranges, surrogates counted as never there."""
    found = []
    for c in sorted(points):
        if found and found[-1][1] == c - 1:
            found[-1][1] = c
        else:
            found.append([c, c])
    return found


def combining_classes():
    classes = {}
    for c in CODE_POINTS:
        klass = unicodedata2.combining(chr(c))
        if klass == 0 or len(unicodedata2.normalize("NFD", chr(c))) > 1:
            continue
        # Behind U+0345 (class 240, the highest) every known mark moves to the front.
        if c == 0x345 or NFD.normalize_str("a\u0345" + chr(c)) == "a" + unicodedata2.normalize("NFD", chr(c)) + "\u0345":
            classes[c] = klass
    return classes


def decompositions():
    found = {}
    for c in CODE_POINTS:
        full = unicodedata2.normalize("NFD", chr(c))
        if full != chr(c) and c not in HANGUL and NFD.normalize_str(chr(c)) == full:
            found[c] = [ord(x) for x in full]
    return found


def compositions(decomposed):
    """Pairs that NFC joins: canonical pairs whose composed form NFC keeps."""
    found = []
    for c in decomposed:
        parts = unicodedata2.decomposition(chr(c)).split()
        if len(parts) == 2 and NFC.normalize_str(chr(c)) == chr(c):
            found.append((int(parts[0], 16), int(parts[1], 16), c))
    return sorted(found)


def emit(name, kind, rows):
    print(f"const {kind} {name}[] = {{")
    line = "   "
    for row in rows:
        text = " {" + ", ".join(f"0x{v:X}" if i < 9 else str(v) for i, v in enumerate(row)) + "},"
        if len(line) + len(text) > 120:
            print(line)
            line = "   "
        line += text
    print(line)
    print("};")
    print(f"const size_t {name}Size = {len(rows)};")


def main():
    assert tokenizers.__version__ == TOKENIZERS and unicodedata2.unidata_version == UNICODE
    by_category = {k: {c for c in CODE_POINTS if unicodedata2.category(chr(c))[0] == k} for k in "LNZ"}
    letters, numbers = by_category["L"], by_category["N"]
    spaces = by_category["Z"] | set(range(9, 14)) | {0x85}
    for pattern, points in ((r"\p{L}", letters), (r"\p{N}", numbers), (r"\s", spaces)):
        assert matched(pattern) == points, pattern
    classes, decomposed = combining_classes(), decompositions()
    for c in CODE_POINTS:
        library = [ord(x) for x in NFD.normalize_str(chr(c))]
        assert c in HANGUL or decomposed.get(c, [c]) == library, hex(c)
    runs = []
    for c in sorted(classes):
        if runs and runs[-1][1] == c - 1 and runs[-1][2] == classes[c]:
            runs[-1][1] = c
        else:
            runs.append([c, c, classes[c]])
    print("// Written by scripts/generate_unicode_tables.py; do not edit.")
    print(f"// Classes: Unicode {UNICODE}. Normalisation: Unicode 9. Both as in tokenizers {TOKENIZERS}.")
    print('// clang-format off\n#include "data/unicode_tables.h"\n\nnamespace lathe::unicode {\n')
    emit("kLetters", "CodePointRange", ranges(letters))
    emit("kNumbers", "CodePointRange", ranges(numbers))
    emit("kSpaces", "CodePointRange", ranges(spaces))
    emit("kCombiningClasses", "CombiningClassRange", runs)
    emit("kDecompositions", "Decomposition",
         [[c] + (parts + [0, 0, 0])[:4] for c, parts in sorted(decomposed.items())])
    emit("kCompositions", "Composition", compositions(decomposed))
    print("\n}  // namespace lathe::unicode")


if __name__ == "__main__":
    sys.exit(main())
