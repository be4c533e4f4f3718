#!/usr/bin/env python3
"""Every src/ROOM/name.cpp has tests/ROOM/name_test.cpp, or a reason why not.

usage: check_pairs.py ROOT      leaves with 1 and one line a fault; an exception that is no longer needed is a fault too
"""
import pathlib
import sys

# File → what tests it instead: the first word is a test that exists, in tests/ROOM/ or from tests/ on.
EXCEPTIONS: dict[str, str] = {
    "app/commands/commands.cpp": "wrong_input_test.cpp: every command goes through its table",
    "app/commands/download.cpp": "hub_test.cpp fetches from a server of its own",
    "app/commands/generate.cpp": "parity/live.py compares its text with peft's",
    "app/commands/tokenize.cpp": "parity/live.py compares its ids with the tokenizers library's",
    "app/commands/train.cpp": "parity/stored.py runs it, six times a case",
    "app/commands/train_tokenizer.cpp": "data/tokenizer_trainer_test.cpp learns and writes; the command only names files",
    "app/http.cpp": "hub_test.cpp: ranges, dropped connections, refusals",
    "app/hub_file.cpp": "hub_test.cpp: resumed files, wrong bytes",
    "app/main.cpp": "parity/stored.py starts it",
    "base/console.cpp": "progress_test.cpp draws through it",
    "base/error.cpp": "json_test.cpp and every test of a refusal compare its text",
    "base/json_dump.cpp": "json_test.cpp holds both directions",
    "base/write_calls.cpp": "file_test.cpp puts its own functions into the table",
    "config/deepspeed_files.cpp": "deepspeed_test.cpp: the generated file, and every auto filled in",
    "config/deepspeed_keys.cpp": "deepspeed_test.cpp: known, harmless and unknown keys",
    "config/deepspeed_optimizers.cpp": "deepspeed_test.cpp: blocks that are taken, and those that are not equal",
    "data/bpe.cpp": "tokenizer_test.cpp: ids equal to the tokenizers library's",
    "data/bpe_trainer.cpp": "tokenizer_trainer_test.cpp: merges equal to the library's",
    "data/bpe_trainer_files.cpp": "tokenizer_trainer_test.cpp loads what it writes",
    "data/encode_segments.cpp": "chat_template_test.cpp calls it",
    "data/tokenizer_added.cpp": "tokenizer_test.cpp: special and added tokens",
    "data/tokenizer_encode.cpp": "tokenizer_test.cpp is mostly about it",
    "data/tokenizer_file.cpp": "tokenizer_errors_test.cpp: broken and foreign files",
    "data/tokenizer_json.cpp": "tokenizer_errors_test.cpp: broken and foreign files",
    "data/tokenizer_load.cpp": "tokenizer_errors_test.cpp: missing folders",
    "data/tokenizer_split.cpp": "tokenizer_test.cpp: every code point, random texts",
    "data/tokenizer_vocab.cpp": "tokenizer_test.cpp: ids both ways",
    "data/unicode.cpp": "tokenizer_test.cpp: every code point",
    "data/unicode_nfc.cpp": "tokenizer_test.cpp: every code point, random combining marks",
    "data/unicode_tables.cpp": "tokenizer_test.cpp: every code point",
    "engine/schedule_deepspeed.cpp": "schedule_test.cpp: DeepSpeed's own curves, value for value",
    "engine/adafactor.cpp": "make_optimizer_test.cpp: transformers' values, step for step",
    "engine/adagrad.cpp": "make_optimizer_test.cpp: torch's values, step for step",
    "engine/ademamix.cpp": "make_optimizer_test.cpp: bitsandbytes' values, step for step",
    "engine/adam.cpp": "make_optimizer_test.cpp: torch's values, step for step",
    "engine/lion.cpp": "make_optimizer_test.cpp: bitsandbytes' values, step for step",
    "engine/rmsprop.cpp": "make_optimizer_test.cpp: torch's and bitsandbytes' values, step for step",
    "engine/sgd.cpp": "make_optimizer_test.cpp: torch's values, step for step",
    "engine/moments_8bit.cpp": "adamw_8bit_test.cpp: which moments are in 8 bits, and what a run goes on from",
    "engine/state_tensor.cpp": "train/checkpoint_test.cpp: killed and resumed runs end with the same bytes",
    "kernels/cpu/attention_bf16_backward.cpp": "kernels/cpu/attention_test.cpp: every instruction set",
    "kernels/cpu/attention_bf16_forward.cpp": "kernels/cpu/attention_test.cpp: every instruction set",
    "kernels/cpu/bf16_support.cpp": "kernels/cpu/attention_test.cpp asks it what the processor has",
    "kernels/dynamic_map_tables.cpp": "cpu/dynamic_map_test.cpp: equal to bitsandbytes' maps, point for point of the grid",
    "kernels/quantize_tables.cpp": "cpu/quantize_test.cpp: equal to bitsandbytes' tables",
    "model/projection_dora.cpp": "dora_test.cpp: values and gradients equal to peft's",
    "ops/adafactor.cpp": "engine/make_optimizer_test.cpp: transformers' values, transposed steps, threads",
    "train/callback_console.cpp": "results_test.cpp runs it; its numbers are format_logs'",
    "train/callback_log_file.cpp": "results_test.cpp and checkpoint_test.cpp read its file",
    "train/callback_tensorboard.cpp": "tensorboard_test.cpp tests the bytes, results_test.cpp the folder",
    "train/model_saver.cpp": "checkpoint_test.cpp and training_run_test.cpp read what it saves",
    "train/train_call.cpp": "training_run_test.cpp calls it",
}


def tester(root: pathlib.Path, name: str, reason: str) -> bool:
    test = reason.split()[0].rstrip(":,")
    return any((root / "tests" / folder / test).exists() for folder in (pathlib.Path(name).parts[0], ""))


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    sources = sorted(path.relative_to(root / "src") for path in (root / "src").rglob("*.cpp"))
    def test_of(name: pathlib.Path) -> pathlib.Path:
        return root / "tests" / name.parent / f"{name.stem}_test.cpp"
    untested = {name.as_posix() for name in sources if not test_of(name).exists()}
    found = [f"src/{name} has no {test_of(pathlib.Path(name)).relative_to(root)}" for name in sorted(untested - EXCEPTIONS.keys())]
    found += [f"{name}: no test {reason.split()[0].rstrip(':,')}" for name, reason in EXCEPTIONS.items() if not tester(root, name, reason)]
    found += [f"{name} is excepted in check_pairs.py but is gone or has a test" for name in sorted(EXCEPTIONS.keys() - untested)]
    print("\n".join(found) or f"{len(sources)} sources have their tests ({len(EXCEPTIONS)} by exception)")
    return 1 if found or not sources else 0


if __name__ == "__main__":
    sys.exit(main())
