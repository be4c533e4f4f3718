#!/usr/bin/env python3
"""Ids of the Python `tokenizers` library, kept as hashes and a few hundred plain cases.

    python3 tests/oracle/tokenizer.py        # tokenizers 0.23.3; writes tests/oracle/values/tokenizer.json

A hash is the first 16 digits of the SHA-256 of, for each text, the number of ids and the ids (little-endian int32).
The random texts come from a generator that tests/data/tokenizer_texts.h has too, so that none need be stored.
"""
import array
import functools
import hashlib
import json
import pathlib

import tokenizers
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data"
NUM_RANDOM, BLOCK = 120_000, 5_000
CODE_POINTS = [c for c in range(0x110000) if not 0xD800 <= c < 0xE000]

# First and last code point of each pool, and the pools of whole words: the same in tests/data/tokenizer_texts.h.
RANGES = [(0x20, 0x7E), (0x61, 0x7A), (0x09, 0x0D), (0x20, 0x20), (0xA0, 0x24F), (0x300, 0x36F), (0x370, 0x52F),
          (0x591, 0x6FF), (0x900, 0x9FF), (0xD00, 0xE7F), (0xF71, 0xF84), (0x1100, 0x11FF), (0x1AB0, 0x1B4F),
          (0x1DC0, 0x1FFF), (0x2000, 0x212F), (0x2460, 0x2BFF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xA720, 0xABFF),
          (0xAC00, 0xD7FF), (0xE000, 0xFFFF), (0x10000, 0x10FFF), (0x11000, 0x11FFF), (0x1D100, 0x1D7FF),
          (0x1F300, 0x1FAFF), (0x1FE00, 0x2FFFF), (0x30000, 0x10FFFF)]
WORDS = ["<|im_start|>", "<|im_end|>", "<|endoftext|>", "<|im_", "end|>", "<|", "|>", "<think>", "</think>", "<tool_call>",
         "'s", "'S", "'\u017f", "'re", "'RE", "'lL", "'ve", "'M", "'d", "  ", "\n\n", " \n ", "\r\n", "\u200d", "\ufe0f",
         "e\u0301", "a\u0323\u0302", "\u1112\u1161\u11ab", "\u0345", "\u212b", "\u2126", "the", " and", "123", "\u3000"]


class Lcg:
    """Knuth's MMIX generator; the upper 31 bits are used."""

    def __init__(self, seed):
        self.state = seed

    def below(self, bound):
        self.state = (self.state * 6364136223846793005 + 1442695040888963407) % 2**64
        return (self.state >> 33) % bound


@functools.lru_cache(maxsize=None)
def random_text(index):
    """1 to 3 pools, then up to 24 draws from them (every 64th text: up to 400)."""
    lcg = Lcg(index)
    lcg.below(2)
    pools = [lcg.below(len(RANGES) + 2) for _ in range(1 + lcg.below(3))]
    out = []
    for _ in range(lcg.below(400 if index % 64 == 0 else 24)):
        pool = pools[lcg.below(len(pools))]
        if pool >= len(RANGES):
            out.append(WORDS[lcg.below(len(WORDS))])
            continue
        first, last = RANGES[pool]
        c = first + lcg.below(last - first + 1)
        out.append(chr(c))
    return "".join(out)


def digest(parts):
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]


def packed(ids):
    return array.array("i", [len(ids), *ids]).tobytes()


def encode_all(tokenizer, texts):
    return [e.ids for e in tokenizer.encode_batch(texts, add_special_tokens=False)]


def hash_of(tokenizer, texts):
    return digest(packed(ids) for ids in encode_all(tokenizer, texts))


def decode_hash(tokenizer, texts):
    """What each text's ids decode to, a zero byte behind each."""
    ids = encode_all(tokenizer, texts)
    return digest(t.encode() + b"\0" for t in tokenizer.decode_batch(ids, skip_special_tokens=False))


def code_point_texts(plane_block, form):
    texts = []
    for c in plane_block:
        x = chr(c)
        texts.append({"alone": x, "letters": "a" + x + "b", "space": " " + x, "apostrophe": "'" + x}[form])
    return texts


def gsm8k_texts(part):
    rows = [json.loads(line) for line in open(DATA / f"gsm8k/{part}.jsonl", encoding="utf-8")]
    return [row[key] for row in rows for key in ("instruction", "output")]


EXPLICIT = ["", " ", "  ", "\n", "Hello, world!", "Hello<|im_end|>", "<|im_start|>user\nHi<|im_end|>\n", "I'm, you'RE, it'\u017f o'clock",
            "don't DON'T we'll WE'LL '", "3.14159 + 2\u00b2 = \u2167", "line\r\nline\r\n\r\n  x", "tab\tand  spaces   ", "caf\u00e9 cafe\u0301",
            "\u4f60\u597d\uff0c\u4e16\u754c\u3002", "\ud55c\uad6d\uc5b4 \u1112\u1161\u11ab", "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308", "a\u0300\u0301\u0302" * 9, "\u0345\u0301\u0323",
            "<|endoftext|><|endoftext|>", "<|im_start|", "< |im_end|>", "<think>\nx\n</think>\n\n", "<tool_call></tool_call>", "\u212b\u2126\u212a",
            "\u0009\u000b\u000c\u0085\u00a0\u1680\u2028x", "\ufeffbom", "\x00\x01\x7f", "a" * 300, " " * 300 + "x", "\n" * 40, "ab" * 500, "\u0e01\u0e33", "\u0958\u09dc"]


def decode_cases(tokenizer):
    """Random ids, so that characters begin and end anywhere."""
    cases = []
    for index in range(60):
        lcg = Lcg(1_000_000 + index)
        ids = [lcg.below(tokenizer.get_vocab_size() if index % 2 else 256) for _ in range(8)]
        if index % 3 == 0:
            ids.insert(lcg.below(8), tokenizer.get_vocab_size() - 1 - lcg.below(3))
        cases.append({"ids": ids, "text": tokenizer.decode(ids, skip_special_tokens=False),
                      "without_special": tokenizer.decode(ids, skip_special_tokens=True)})
    return cases


def values(tokenizer, num_random, forms):
    texts = EXPLICIT + [random_text(i) for i in range(1, 200)]
    out = {"explicit": [{"text": t, "ids": ids} for t, ids in zip(texts, encode_all(tokenizer, texts))],
           "decode": decode_cases(tokenizer),
           "gsm8k": {part: hash_of(tokenizer, gsm8k_texts(part)) for part in ("train", "test")},
           "document": hash_of(tokenizer, [(DATA / "tokenizers/document.md").read_text(encoding="utf-8")]),
           "random": [], "random_decoded": []}
    for begin in range(0, num_random, BLOCK):
        block = [random_text(i) for i in range(begin, begin + BLOCK)]
        out["random"].append(hash_of(tokenizer, block))
        out["random_decoded"].append(decode_hash(tokenizer, block))
    if forms:
        out["code_points"] = {form: [] for form in forms}
        out["code_points_decoded"] = []
        for plane in range(17):
            block = [c for c in CODE_POINTS if c >> 16 == plane]
            for form, hashes in out["code_points"].items():
                hashes.append(hash_of(tokenizer, code_point_texts(block, form)))
            out["code_points_decoded"].append(decode_hash(tokenizer, code_point_texts(block, "alone")))
    return out


def make_small():
    """A tokenizer with GPT-2's pattern, no normalizer and an added token that is looked for after normalising."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(vocab_size=700, show_progress=False, special_tokens=["<|endoftext|>"],
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    tokenizer.train_from_iterator(gsm8k_texts("train"), trainer)
    tokenizer.add_tokens([tokenizers.AddedToken("caf\u00e9", normalized=True), tokenizers.AddedToken("<x>", normalized=False),
                          tokenizers.AddedToken("<xy>", normalized=False)])
    folder = DATA / "tokenizers/small_gpt2"
    folder.mkdir(exist_ok=True)
    tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
    nfc = Tokenizer.from_str(tokenizer.to_str())
    nfc.normalizer = normalizers.NFC()
    folder = DATA / "tokenizers/small_nfc"
    folder.mkdir(exist_ok=True)
    nfc.save(str(folder / "tokenizer.json"), pretty=False)


def main():
    assert tokenizers.__version__ == "0.23.3"
    make_small()
    out = {"made_with": f"tokenizers {tokenizers.__version__}", "block": BLOCK}
    # Qwen3 has Qwen2.5's vocabulary and rules, and more added tokens: its code points are Qwen2.5's.
    for name, num_random, forms in (("qwen2_5", NUM_RANDOM, ("alone", "letters", "space", "apostrophe")),
                                    ("qwen3", NUM_RANDOM, ()), ("small_gpt2", 2 * BLOCK, ("alone", "letters")),
                                    ("small_nfc", 2 * BLOCK, ())):
        tokenizer = Tokenizer.from_file(str(DATA / "tokenizers" / name / "tokenizer.json"))
        out[name] = values(tokenizer, num_random, forms)
        print(name, flush=True)
    path = ROOT / "tests/oracle/values/tokenizer.json"
    path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
