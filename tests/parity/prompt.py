"""The toolkit's prompt text and label mask, written from its description alone, independent of Lathe. Standard library only."""
import json
import pathlib
from collections.abc import Callable

IGNORE = -100


def read_rows(path: pathlib.Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]


def encode_row(row: dict, encode: Callable[[str], list[int]], max_seq_length: int) -> dict[str, list[int]]:
    """Labels only on the answer and its closing marker; the boundary is where the prompt alone ends; cut on the right."""
    question = row["instruction"] + (f"\n\n{row['input']}" if row["input"].strip() else "")
    prompt = f"<|im_start|>user\n{question}<|im_end|>\n<|im_start|>assistant\n"
    ids = encode(prompt + row["output"] + "<|im_end|>")
    seen = len(encode(prompt))
    labels = [IGNORE] * seen + ids[seen:]
    return {"input_ids": ids[:max_seq_length], "labels": labels[:max_seq_length]}
