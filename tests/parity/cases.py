"""The cases of cases.json: where their inputs lie and the flat config that both sides are given. Standard library only."""
import json
import pathlib

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data"
VALUES = HERE / "values"


def load_cases() -> dict[str, dict]:
    document = json.loads((HERE / "cases.json").read_text(encoding="utf-8"))
    return {name: {**case, "name": name, "settings": {**document["common"], **case["settings"]}}
            for name, case in document["cases"].items()}


def tokenizer_folder(case: dict) -> pathlib.Path:
    return DATA / case["tokenizer"]


def rows_file(case: dict, which: str) -> pathlib.Path:
    return HERE / "rows" / f"{case[which]}.jsonl"


def flat_config(case: dict, model: pathlib.Path, output: pathlib.Path) -> dict:
    """The one config: the toolkit's flat keys. Lathe reads it as it stands, rival.py turns it into TrainingArguments."""
    return {"model_name_or_path": str(model), "data_path": str(rows_file(case, "train")),
            "eval_data_path": str(rows_file(case, "eval")), "output_dir": str(output), **case["settings"]}
