#!/usr/bin/env python3
"""Encoding speed on one thread against `tokenizers` and, where installed, `bpe-qwen`.

    pip install tokenizers==0.23.3 bpe-qwen
    python3 bench/tokenizer_bench.py --bench build/bench/tokenizer_bench [--tokenizer DIR] [FILE ...]

Each line of a FILE is encoded apart; the best of --repeats runs counts; starting the process and reading files do not.
Every program's ids are counted, and more ids or fewer than those of `tokenizers` are said.
"""
import argparse
import importlib.metadata
import os
import pathlib
import subprocess
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
os.environ["RAYON_NUM_THREADS"] = "1"

from tokenizers import Tokenizer  # noqa: E402  (after the thread count is set)

ROOT = pathlib.Path(__file__).resolve().parents[1]


def best_of(repeats, encode):
    seconds, ids = [], 0
    for _ in range(repeats):
        start = time.perf_counter()
        ids = encode()
        seconds.append(time.perf_counter() - start)
    return ids, min(seconds)


def bpe_qwen(folder, lines, repeats):
    """Reads vocab.json and merges.txt, which are written beside each other from tokenizer.json."""
    import json

    import bpe_qwen as package

    model = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))["model"]
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "vocab.json").write_text(json.dumps(model["vocab"], ensure_ascii=False), encoding="utf-8")
        merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
        (scratch / "merges.txt").write_text("\n".join(merges) + "\n", encoding="utf-8")
        tokenizer = package.QwenTokenizer(str(scratch))
    return best_of(repeats, lambda: sum(len(tokenizer.encode(line)) for line in lines))


def measure(bench, folder, file, repeats):
    raw = file.read_bytes()
    lines = [line.decode("utf-8") for line in raw.split(b"\n")]
    lines = lines[:-1] if lines[-1] == "" else lines
    ids, size, seconds, load_s = map(float, subprocess.run([bench, folder, file, str(repeats)], check=True, capture_output=True,
                                                           text=True).stdout.split())
    results = {"lathe": (int(ids), seconds)}
    library = Tokenizer.from_file(str(folder / "tokenizer.json"))
    results["tokenizers " + importlib.metadata.version("tokenizers")] = best_of(
        repeats, lambda: sum(len(library.encode(line, add_special_tokens=False).ids) for line in lines))
    results["tokenizers, one batch"] = best_of(
        repeats, lambda: sum(len(e.ids) for e in library.encode_batch_fast(lines, add_special_tokens=False)))
    try:
        results["bpe-qwen " + importlib.metadata.version("bpe-qwen")] = bpe_qwen(folder, lines, repeats)
    except importlib.metadata.PackageNotFoundError:
        print("bpe-qwen is not installed")
    print(f"{file.name}: {size / 1e6:.2f} MB, {len(lines)} lines; lathe loads the tokenizer in {load_s:.3f} s")
    wanted = results["tokenizers " + importlib.metadata.version("tokenizers")][0]
    for name, (count, s) in results.items():
        other = "" if count == wanted else f"  ({count} ids, tokenizers has {wanted})"
        print(f"  {name:24} {size / s / 1e6:8.2f} MB/s   lathe is {s / seconds:6.2f}x{other}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bench", default=str(ROOT / "build/bench/tokenizer_bench"))
    parser.add_argument("--tokenizer", default=str(ROOT / "tests/data/tokenizers/qwen2_5"))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("files", nargs="*", metavar="FILE")
    arguments = parser.parse_args()
    files = arguments.files or [ROOT / "tests/data/gsm8k/train.jsonl", ROOT / "tests/data/tokenizers/document.md"]
    for file in files:
        measure(arguments.bench, pathlib.Path(arguments.tokenizer), pathlib.Path(file), arguments.repeats)


if __name__ == "__main__":
    main()
