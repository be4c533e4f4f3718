"""The rival: transformers' Trainer, with peft where the config asks for LoRA. Padding to the longest row of each batch, sdpa attention.

usage: transformers_peft.py CONFIG.json [--weights bfloat16|float32]     (inside the environment of tests/oracle/setup.sh)

CONFIG is the flat config that Lathe is given too. The last line printed is one JSON object: when the first step began (seconds since
1970), when each step ended, and each step's real tokens, supervised tokens, tokens with padding, and loss.
--weights: the dtype that the base weights are loaded in. Full training with float32 keeps fp32 masters, as Lathe does; with bfloat16
weights and optimizer state are bf16 alone.
"""
import argparse
import importlib.metadata
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "tests/parity"))

import torch  # noqa: E402  (below the path of the parity modules, like those that follow)
from peft import get_peft_model  # noqa: E402
from transformers import AutoModelForCausalLM, PrinterCallback, Trainer, TrainerCallback, set_seed  # noqa: E402

from prompt import IGNORE  # noqa: E402
from rival import encode_file, lora_config, training_arguments  # noqa: E402


class Collator:
    """Pads on the right to the longest row, and counts. With no worker processes batches are made in the order of the steps."""

    def __init__(self):
        self.tokens, self.targets, self.padded = [], [], []

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        lengths = [len(row["input_ids"]) for row in rows]
        longest = max(lengths)
        self.tokens.append(sum(lengths))
        self.padded.append(longest * len(rows))
        self.targets.append(sum(label != IGNORE for row in rows for label in row["labels"][1:]))
        def padded(key: str, fill: int) -> torch.Tensor:
            return torch.tensor([row[key] + [fill] * (longest - len(row[key])) for row in rows])
        mask = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths])
        return {"input_ids": padded("input_ids", 0), "labels": padded("labels", IGNORE), "attention_mask": mask}


class Clock(TrainerCallback):
    """The time at which the first step begins and each step ends."""

    def __init__(self):
        self.began, self.ends = None, []

    def on_step_begin(self, args, state, control, **kwargs):
        self.began = self.began or time.time()

    def on_step_end(self, args, state, control, **kwargs):
        self.ends.append(time.time())


def load_model(config: dict, weights: str) -> torch.nn.Module:
    set_seed(config["seed"])
    model = AutoModelForCausalLM.from_pretrained(config["model_name_or_path"], dtype=getattr(torch, weights), attn_implementation="sdpa")
    model.config.use_cache = False
    return get_peft_model(model, lora_config(config)) if config["use_lora"] else model


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--weights", default="bfloat16", choices=("bfloat16", "float32"))
    arguments = parser.parse_args()
    config = json.loads(pathlib.Path(arguments.config).read_text(encoding="utf-8"))
    # Nothing that Lathe's run writes is asked of the rival: its time is training alone.
    config |= {"report_to": "none"}
    config.pop("logging_dir", None)

    collator, clock = Collator(), Clock()
    trainer = Trainer(model=load_model(config, arguments.weights), args=training_arguments(config), data_collator=collator,
                      train_dataset=encode_file(pathlib.Path(config["data_path"]), config), callbacks=[clock])
    trainer.remove_callback(PrinterCallback)
    trainer.train()

    steps = len(clock.ends)
    print(json.dumps({
        "began": clock.began, "ends": clock.ends, "tokens": collator.tokens[:steps], "targets": collator.targets[:steps],
        "padded": collator.padded[:steps], "losses": [entry["loss"] for entry in trainer.state.log_history if "loss" in entry],
        "threads": torch.get_num_threads(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers", "peft", "accelerate")}}))


if __name__ == "__main__":
    main()
