"""Training all weights against transformers, run here and now. In bf16 both sides have fp32 masters and read them rounded:
transformers under autocast, which rounds for products alone, is told to do it for embedding and norms too (docs/numerics.md).
Runs inside the environment of tests/oracle/setup.sh.

usage: live_full.py LATHE_BINARY CASE …
"""
import functools
import pathlib
import shutil
import sys

import torch
from safetensors.torch import load_file
from transformers import Trainer

import rival
from cases import tokenizer_folder
from checks import CONTROLS, Report, check_controls, relative
from compare import FP32, Difference, compare_logs
from lathe import Run
from live_case import LiveCase, bf16_bounds, for_each_case, last_eval, live_case

FP32_WEIGHTS = 1e-3
CONTROLS_OF_FULL = {
    **{name: change for name, change in CONTROLS.items() if "adapter" not in name},
    "no weight decay": lambda settings: {"weight_decay": 0.0},
    "an adapter alone": lambda settings: {"use_lora": True},
}


def norm_in_bf16(norm: torch.nn.Module, hidden: torch.Tensor) -> torch.Tensor:
    wide = hidden.float()
    scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + norm.variance_epsilon)
    return norm.weight.to(torch.bfloat16) * scaled.to(torch.bfloat16)


def read_in_bf16(trainer: Trainer) -> None:
    """The forward pass of a model loaded in bf16, over fp32 weights: the residual stream is bf16, norms' weights are rounded."""
    for module in trainer.model.modules():
        if type(module).__name__.endswith("RMSNorm"):
            module.forward = functools.partial(norm_in_bf16, module)
        if isinstance(module, torch.nn.Embedding):
            module.register_forward_hook(lambda _module, _inputs, rows: rows.to(torch.bfloat16))


def train_rival(live: LiveCase, folder: str, attention: str = "sdpa") -> list[dict]:
    """Its log."""
    config = {**live.config, "output_dir": str(live.work / folder)}
    prepare = {"prepare": read_in_bf16} if config["bf16"] else {}
    return rival.train(live.case, config, attention, **prepare)["log_history"]


def their_weights(folder: pathlib.Path) -> dict[str, torch.Tensor]:
    return {name: tensor.float() for name, tensor in load_file(folder / "model.safetensors").items()}


def our_masters(run: Run) -> dict[str, torch.Tensor]:
    """fp32: the model's own file. bf16: the masters, which lie in the last checkpoint beside the moments."""
    if not run.config["bf16"]:
        return their_weights(run.output)
    state = load_file(run.output / f"checkpoint-{run.config['max_steps']}/optimizer.safetensors")
    return {name.removesuffix(".master"): tensor for name, tensor in state.items() if name.endswith(".master")}


def apart_by_tensor(ours: dict, theirs: dict, start: dict) -> dict[str, float]:
    """Of each tensor ‖ours − theirs‖ / ‖theirs − what it began as‖: beside how far it moved, not how long it is."""
    if ours.keys() != theirs.keys():
        raise AssertionError(f"other names: {sorted(ours.keys() ^ theirs.keys())[:3]}")
    return {name: ((ours[name] - weight).norm() / (weight - start[name]).norm()).item() for name, weight in theirs.items()}


def noise_of(live: LiveCase, theirs: list[dict]) -> tuple[Difference, dict[str, float]]:
    """What their log and each of their weights differ by when their attention is eager."""
    eager = train_rival(live, "eager", attention="eager")
    weights = apart_by_tensor(*(their_weights(live.work / name) for name in ("eager", "theirs", "base")))
    return compare_logs(eager, theirs), weights


def check_weights(ours: Run, live: LiveCase, noise: dict[str, float] | None) -> None:
    """fp32: one bound for all. bf16: each tensor within three times the rival's own difference; the biases of keys, whose
    gradients all but cancel, are half noise there."""
    theirs, start = their_weights(live.work / "theirs"), their_weights(live.base)
    apart = apart_by_tensor(our_masters(ours), theirs, start)
    bounds = {name: 3 * noise[name] if noise else FP32_WEIGHTS for name in apart}
    worst = max(apart, key=lambda name: apart[name] / bounds[name])
    detail = f"{len(apart)} tensors, nearest to its bound {worst}: {apart[worst]:.1e} of {bounds[worst]:.1e}"
    live.report.check("weights at the end", all(apart[name] <= bounds[name] for name in apart), detail)
    # A bound that the whole of training fits into would prove nothing.
    telling = sum(bound < 0.25 for bound in bounds.values())
    live.report.check("the bounds tell weights apart", telling >= 0.9 * len(bounds), f"{telling} of {len(bounds)} below a quarter")


def check_exchange(live: LiveCase, ours: Run, theirs: list[dict], bound: float) -> None:
    """Our model gives in transformers the loss that we logged, and theirs here the loss that they logged."""
    there = rival.eval_loss(live.case, {**live.config, "output_dir": str(live.work / "exchange")}, ours.output)
    apart = relative(last_eval(ours.log_history), there)
    live.report.check("our model loaded in transformers: eval_loss", apart <= bound, f"{apart:.1e}")
    for file in tokenizer_folder(live.case).iterdir():
        shutil.copyfile(file, live.work / "theirs" / file.name)
    back = Run(live.binary, live.config, live.work, "their_model_here", model_name_or_path=str(live.work / "theirs"),
               eval_on_start=True, learning_rate=1e-30, warmup_steps=0, max_steps=1, lr_scheduler_type="constant")
    here = [entry["eval_loss"] for entry in back.require_success().log_history if "eval_loss" in entry][0]
    apart = relative(here, last_eval(theirs))
    live.report.check("transformers' model loaded here: eval_loss", apart <= bound, f"{apart:.1e}")


def compare(binary: str, name: str) -> Report:
    with live_case(binary, name) as live:
        config, report = live.config, live.report
        theirs = train_rival(live, "theirs")
        bounds, noise = FP32, None
        if config["bf16"]:
            difference, noise = noise_of(live, theirs)
            bounds = bf16_bounds(difference)
        ours = Run(binary, config, live.work, "ours", save_strategy="steps", save_steps=config["max_steps"])
        difference = compare_logs(ours.require_success().log_history, theirs)
        wrong = difference.beyond(bounds)
        report.check("same config, same curve", not wrong, "; ".join(wrong) or str(difference))
        check_weights(ours, live, noise)
        check_controls(binary, config, live.work, theirs, bounds, report, CONTROLS_OF_FULL)
        check_exchange(live, ours, theirs, bounds.loss)
    return report


def main() -> int:
    binary, *names = sys.argv[1:]
    return for_each_case(names, lambda name: compare(binary, name))


if __name__ == "__main__":
    sys.exit(main())
