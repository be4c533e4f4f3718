"""What the rivals share: rows in the Trainer's order, batches padded to their longest row and counted, a clock, the last line."""
import argparse
import importlib.metadata
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/parity"))

import torch  # noqa: E402  (below the path of the parity modules, like those that follow)
from peft import get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, TrainerCallback, set_seed  # noqa: E402

from prompt import IGNORE  # noqa: E402
from rival import encode_file, load_base, lora_config  # noqa: E402


def parse_arguments(description: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", help="the flat config that Lathe is given too")
    parser.add_argument("--weights", default="bfloat16", choices=("bfloat16", "float32"),
                        help="dtype that the base weights are loaded in; full training with float32 keeps fp32 masters, as Lathe does")
    parser.add_argument("--attention", default="sdpa", choices=("sdpa", "eager"))
    parser.add_argument("--pack", type=int, default=0, help="trl only: rows packed to so many tokens, so a step's rows are others")
    return parser.parse_args()


def read_config(arguments: argparse.Namespace) -> dict:
    """Nothing that Lathe's run writes is asked of the rival: its time is training alone."""
    config = json.loads(pathlib.Path(arguments.config).read_text(encoding="utf-8")) | {"report_to": "none"}
    config.pop("logging_dir", None)
    return config


def read_rows(config: dict) -> list[dict]:
    return encode_file(pathlib.Path(config["data_path"]), config)


def load_model(config: dict, arguments: argparse.Namespace) -> torch.nn.Module:
    set_seed(config["seed"])
    if config.get("use_qlora"):
        model = load_base(config, arguments.attention)
    else:
        model = AutoModelForCausalLM.from_pretrained(config["model_name_or_path"], dtype=getattr(torch, arguments.weights),
                                                     attn_implementation=arguments.attention)
    model.config.use_cache = False
    return get_peft_model(model, lora_config(config)) if config["use_lora"] else model


class Counts:
    """Of each batch, in the order in which batches are made: with no worker processes, that of the steps."""

    def __init__(self):
        self.tokens, self.targets, self.padded = [], [], []

    def add(self, rows: list[dict], computed: int) -> None:
        self.tokens.append(sum(len(row["input_ids"]) for row in rows))
        self.padded.append(computed)
        self.targets.append(sum(label != IGNORE for row in rows for label in row["labels"][1:]))


class Collator(Counts):
    """Pads on the right to the longest row."""

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        lengths = [len(row["input_ids"]) for row in rows]
        longest = max(lengths)
        self.add(rows, longest * len(rows))
        def padded(key: str, fill: int) -> torch.Tensor:
            return torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows])
        mask = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths])
        return {"input_ids": padded("input_ids", 0), "labels": padded("labels", IGNORE), "attention_mask": mask}


class Clock:
    """The time at which the first step begins and each step ends."""

    def __init__(self):
        self.began, self.ends = None, []

    def begin(self) -> None:
        self.began = self.began or time.time()

    def end(self) -> None:
        self.ends.append(time.time())


class ClockCallback(Clock, TrainerCallback):
    def on_step_begin(self, args, state, control, **kwargs):
        self.begin()

    def on_step_end(self, args, state, control, **kwargs):
        self.end()


def report(clock: Clock, counts: Counts, losses: list[float], packages: tuple[str, ...]) -> None:
    """The last line printed is one JSON object: when the first step began (seconds since 1970), when each step ended, and each
    step's real tokens, supervised tokens, tokens computed with padding, and loss."""
    steps = len(clock.ends)
    print(json.dumps({
        "began": clock.began, "ends": clock.ends, "tokens": counts.tokens[:steps], "targets": counts.targets[:steps],
        "padded": counts.padded[:steps], "losses": losses, "threads": torch.get_num_threads(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", *packages)}}), flush=True)
