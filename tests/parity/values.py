"""Reads values/CASE: what transformers + peft gave for a stored case. Standard library only."""
import json
import pathlib
import shutil

from cases import VALUES, tokenizer_folder
from checks import Expected


def stored_model(case: dict, work: pathlib.Path) -> pathlib.Path:
    """A base model folder: the stored weights and config, with the case's tokenizer beside them."""
    folder = work / "base"
    folder.mkdir()
    for file in [*(VALUES / case["name"] / "base").iterdir(), *tokenizer_folder(case).iterdir()]:
        shutil.copyfile(file, folder / file.name)
    return folder


def read_expected(case: dict) -> Expected:
    folder = VALUES / case["name"]
    document = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return Expected(document["log_history"], folder / "adapter_model.safetensors", document["initial_sha256"])
