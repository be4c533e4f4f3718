"""Makes what both sides of the parity tests are given: rows and a small tokenizer.

Oracle: tokenizers 0.23.3, Python 3.11. No randomness. Run by hand; its output is committed:
    python tests/parity/make_inputs.py GSM8K_TRAIN_JSONL PUBLISHED_QWEN2_5_TOKENIZER_JSON
rows/train.jsonl  the 70 first rows of GSM8K's training set (MIT, rows/LICENSE), in the fields instruction, input, output;
                  every seventh row has part of its question in `input`, so that both branches of the prompt are met
rows/eval.jsonl   the 11 rows after them
rows/short.jsonl  the 40 shortest of the first 1,000 rows, for the models with a vocabulary of 151,936
../data/tiny_tokenizer  byte-level BPE of 640 ids trained on the 600 first rows, with Qwen2.5's normaliser and splitting pattern
"""
import json
import pathlib
import sys

import tokenizers
from tokenizers import Tokenizer, models, trainers

HERE = pathlib.Path(__file__).resolve().parent
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
VOCABULARY = 640


def split_question(row: dict) -> dict:
    head, _, tail = row["instruction"].partition(". ")
    return {**row, "instruction": tail, "input": head + "."} if tail else row


def write_rows(path: pathlib.Path, rows: list[dict]) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def train_tokenizer(published: dict, texts: list[str]) -> dict:
    base = Tokenizer(models.BPE())
    skeleton = json.loads(base.to_str())
    for part in ("normalizer", "pre_tokenizer", "post_processor", "decoder"):
        skeleton[part] = published[part]
    tokenizer = Tokenizer.from_str(json.dumps(skeleton))
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(SPECIAL), initial_alphabet=sorted(byte_alphabet()), show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.add_special_tokens(SPECIAL)
    return json.loads(tokenizer.to_str())


def byte_alphabet() -> list[str]:
    """The 256 characters that stand for bytes in byte-level BPE (GPT-2's table)."""
    from tokenizers.pre_tokenizers import ByteLevel
    return ByteLevel.alphabet()


def main() -> None:
    rows = [json.loads(line) for line in open(sys.argv[1], encoding="utf-8")]
    published = json.load(open(sys.argv[2], encoding="utf-8"))
    mixed = [split_question(row) if i % 7 == 3 else row for i, row in enumerate(rows[:81])]
    write_rows(HERE / "rows/train.jsonl", mixed[:70])
    write_rows(HERE / "rows/eval.jsonl", mixed[70:])
    write_rows(HERE / "rows/short.jsonl", sorted(rows[:1000], key=lambda row: len(row["instruction"] + row["output"]))[:40])

    texts = [row["instruction"] + "\n" + row["output"] for row in rows[:600]]
    folder = HERE.parent / "data/tiny_tokenizer"
    text = json.dumps(train_tokenizer(published, texts), ensure_ascii=False, indent=1)
    (folder / "tokenizer.json").write_text(text + "\n", encoding="utf-8")
    config = {"tokenizer_class": "Qwen2Tokenizer", "eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "unk_token": None,
              "bos_token": None, "add_bos_token": False, "add_prefix_space": False, "model_max_length": 32768}
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf-8")
    print("tokenizers", tokenizers.__version__)


if __name__ == "__main__":
    main()
