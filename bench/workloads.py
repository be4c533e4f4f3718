"""What is measured: the rows of the table, their settings, targets and work in floating-point operations. Standard library only."""
import dataclasses
import json
import pathlib

from machine import ROOT
from peers import (ACCELERATE, ACCELERATE_MASTERS, DEEPSPEED, LLAMA, MASTERS, NO_MASTERS, PEFT, PEFT_BATCHES, PEFT_EAGER, TRL,
                   TRL_PACKED, Rival)

SHAPES = ROOT / "bench/shapes"
ROWS = ROOT / "tests/data/gsm8k/train.jsonl"
TOKENIZERS = {"qwen2": ROOT / "tests/data/tokenizers/qwen2_5", "qwen3": ROOT / "tests/data/tokenizers/qwen3"}
LORA_R = 64

LORA = {"use_lora": True, "lora_r": LORA_R, "lora_alpha": 16, "lora_dropout": 0.0,
        "lora_target_modules": "q_proj,k_proj,v_proj,o_proj,gate_proj,up_proj,down_proj", "learning_rate": 1e-4}
FULL = {"use_lora": False, "learning_rate": 1e-5}
COMMON = {"bf16": True, "fp16": False, "max_seq_length": 2048, "gradient_accumulation_steps": 1, "seed": 42, "max_grad_norm": 1.0,
          "optim": "adamw_torch_fused", "weight_decay": 0.0, "lr_scheduler_type": "constant", "warmup_steps": 0,
          "gradient_checkpointing": False, "logging_steps": 1, "eval_strategy": "no", "save_strategy": "no",
          "load_best_model_at_end": False}


@dataclasses.dataclass(frozen=True)
class Target:
    bound: float
    at_least: bool
    unit: str               # "×": of the rival's figure; "%": of the limit; " s": as it stands

    def reached(self, value: float) -> bool:
        return value >= self.bound if self.at_least else value <= self.bound

    def __str__(self) -> str:
        bound = self.bound * 100 if self.unit == "%" else self.bound
        return f"{'≥' if self.at_least else '≤'} {bound:g}{' %' if self.unit == '%' else self.unit}"


@dataclasses.dataclass(frozen=True)
class Workload:
    name: str
    title: str
    settings: dict
    batch: int
    steps: int
    quick_steps: int
    rivals: tuple[Rival, ...]
    targets: dict[str, Target | None]   # the lines that the table gets (figures.LINES), some without a target
    seconds: tuple[float, float]        # a step of Lathe and of a rival on two cores, for the estimate alone

    def config(self, model: pathlib.Path, output: pathlib.Path, steps: int) -> dict:
        """The flat config, the same for both sides."""
        return {"model_name_or_path": str(model), "data_path": str(ROWS), "output_dir": str(output), "logging_dir": str(output / "events"),
                "per_device_train_batch_size": self.batch, "max_steps": steps, **COMMON, **self.settings}


def at_least(bound: float, unit: str = "×") -> Target:
    return Target(bound, True, unit)


def at_most(bound: float, unit: str = "×") -> Target:
    return Target(bound, False, unit)


WORKLOADS = {workload.name: workload for workload in (
    Workload("lora_2rows", "LoRA, 2 rows", LORA, 2, 11, 4, (PEFT, PEFT_EAGER, *PEFT_BATCHES, TRL, TRL_PACKED, ACCELERATE, DEEPSPEED),
             {"speed": at_least(2.2), "speed_any_batch": at_least(2.2), "memory": at_most(0.45), "share": at_least(0.75, "%")}, (1.3, 3.3)),
    Workload("lora_8rows", "LoRA, 8 rows", LORA, 8, 5, 3, (PEFT, PEFT_EAGER, TRL),
             {"speed": at_least(5), "memory": at_most(0.2), "share": at_least(0.75, "%")}, (5.2, 20)),
    Workload("full_2rows", "all weights, 2 rows", FULL, 2, 7, 3, (MASTERS, NO_MASTERS, ACCELERATE_MASTERS, DEEPSPEED, LLAMA),
             {"speed": at_least(2), "memory": at_most(0.5), "share": None}, (2.1, 5)),
    Workload("startup", "LoRA, 2 rows", LORA, 2, 2, 2, (PEFT,), {"startup": at_most(1.5, " s")}, (2.6, 6.6)),
)}


def shape_names() -> list[str]:
    return sorted(path.stem for path in SHAPES.glob("*.json"))


def read_shape(name: str) -> dict:
    return json.loads((SHAPES / f"{name}.json").read_text(encoding="utf-8"))


def work(shape: dict, workload: Workload, tokens: int, targets: int) -> int:
    """Floating-point operations of the matrix products for so many tokens, `targets` of them supervised. Attention is left out."""
    hidden, inner, layers = shape["hidden_size"], shape["intermediate_size"], shape["num_hidden_layers"]
    head_dim = shape.get("head_dim") or hidden // shape["num_attention_heads"]
    q, kv = head_dim * shape["num_attention_heads"], head_dim * shape["num_key_value_heads"]
    projections = [(hidden, q), (hidden, kv), (hidden, kv), (q, hidden), (hidden, inner), (hidden, inner), (inner, hidden)]
    body = layers * sum(a * b for a, b in projections)
    head = shape["vocab_size"] * hidden
    if not workload.settings["use_lora"]:
        return 6 * body * tokens + 6 * head * targets
    adapters = layers * sum(LORA_R * (a + b) for a, b in projections)
    return (4 * body + 6 * adapters) * tokens + 4 * head * targets
