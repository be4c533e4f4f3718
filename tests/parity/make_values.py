"""Writes values/CASE for the stored cases: base model, log and adapter as transformers + peft make them.

Oracle: transformers 5.23.0, peft 0.21.2, accelerate 1.15.0, tokenizers 0.23.3, torch 2.11.0, one thread, attention sdpa.
Seeds: cases.json (base model: model.seed; run: settings.seed). Run in the environment of tests/oracle/setup.sh:
    .deps/oracle/bin/python tests/parity/make_values.py [CASE …]
"""
import json
import pathlib
import shutil
import sys
import tempfile

import accelerate
import peft
import tokenizers
import torch
import transformers

import base_models
import rival
from cases import VALUES, flat_config, load_cases
from checks import sha256
from compare import compare_adapters, compare_logs

WEIGHTS = ("config.json", "model.safetensors")
KEPT = ("loss", "grad_norm", "learning_rate", "eval_loss", "epoch", "step")


def initial_hashes(initial: dict) -> dict[str, str]:
    return {name: sha256(value.contiguous().numpy()) for name, value in initial.items()}


def write_values(case: dict, work: pathlib.Path) -> None:
    base, folder = work / "base", VALUES / case["name"]
    base_models.make_base_model(case, base)
    run = rival.train(case, flat_config(case, base, work / "sdpa"))
    other = rival.train(case, flat_config(case, base, work / "eager"), attention="eager")
    noise = compare_logs(other["log_history"], run["log_history"])
    compare_adapters(work / "eager/adapter_model.safetensors", work / "sdpa/adapter_model.safetensors", noise)

    shutil.rmtree(folder, ignore_errors=True)
    (folder / "base").mkdir(parents=True)
    for name in WEIGHTS:
        shutil.copyfile(base / name, folder / "base" / name)
    shutil.copyfile(work / "sdpa/adapter_model.safetensors", folder / "adapter_model.safetensors")
    log = [{key: entry[key] for key in KEPT if key in entry} for entry in run["log_history"] if "loss" in entry or "eval_loss" in entry]
    document = {
        "made_by": "tests/parity/make_values.py",
        "versions": {module.__name__: module.__version__ for module in (transformers, peft, accelerate, tokenizers, torch)},
        "settings": case["settings"],
        "sdpa_against_eager": noise.worst,
        "initial_sha256": initial_hashes(run["initial"]),
        "log_history": log,
    }
    (folder / "expected.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(case["name"], "sdpa against eager:", noise)


def main() -> None:
    torch.set_num_threads(1)
    cases = load_cases()
    for name in sys.argv[1:] or [name for name, case in cases.items() if case.get("stored")]:
        with tempfile.TemporaryDirectory() as work:
            write_values(cases[name], pathlib.Path(work))


if __name__ == "__main__":
    main()
