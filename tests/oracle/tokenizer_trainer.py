#!/usr/bin/env python3
"""Merges that the trainer of `tokenizers` 0.23.3 learns from tests/data/gsm8k/train.jsonl and the document.

    python3 tests/oracle/tokenizer_trainer.py   # writes tests/oracle/values/tokenizer_trainer.json
"""
import json
import pathlib

import tokenizers
from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, trainers

ROOT = pathlib.Path(__file__).resolve().parents[2]
VOCAB_SIZE = 1200


def main():
    assert tokenizers.__version__ == "0.23.3"
    published = json.loads((ROOT / "tests/data/tokenizers/qwen2_5/tokenizer.json").read_text(encoding="utf-8"))
    pattern = published["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(pattern), "isolated"),
                                                       pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])
    trainer = trainers.BpeTrainer(vocab_size=VOCAB_SIZE, min_frequency=2, show_progress=False,
                                  initial_alphabet=pre_tokenizers.ByteLevel.alphabet())
    files = [ROOT / "tests/data/gsm8k/train.jsonl", ROOT / "tests/data/tokenizers/document.md"]
    tokenizer.train_from_iterator([f.read_bytes().decode("utf-8") for f in files], trainer)
    model = json.loads(tokenizer.to_str())["model"]
    out = {"made_with": f"tokenizers {tokenizers.__version__}", "vocab_size": VOCAB_SIZE, "merges": model["merges"]}
    path = ROOT / "tests/oracle/values/tokenizer_trainer.json"
    path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
