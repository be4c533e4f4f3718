"""fp16's loss scaling against torch and transformers, run here and now: the scale after each step of given overflows beside
torch.amp.GradScaler's, and a run in which steps overflow beside transformers' with a GradScaler that sees the same ones.
Runs inside the environment of tests/oracle/setup.sh.

Accelerate gives fp16 on a GPU alone, so the scaler is put into a bf16 run's Trainer by hand: scales are powers of two, which
change no digit. Here real overflows come from scales that fp32 cannot hold (DeepSpeed's block lets them begin so high).

usage: live_scaler.py LATHE_BINARY PARITY_LOSS_SCALER CASE
"""
import random
import subprocess
import sys

import torch
from transformers import Trainer

import rival
from compare import compare_adapters, compare_logs
from lathe import Run
from live_case import LiveCase, attention_noise, bf16_bounds, live_case

STEPS = 6500  # GradScaler doubles after 2000 steps in a row
OVERFLOWING = {"fp16": {"enabled": True, "initial_scale_power": 131, "hysteresis": 1, "loss_scale_window": 7}}


def overflow_pattern() -> list[bool]:
    """A few at the start, as a scale coming down, then stretches of every length around 2000, and one more."""
    steps = [True] * 3
    for stretch in (1, 1999, 2000, 2001, random.Random(1).randrange(100)):
        steps += [False] * stretch + [True]
    return (steps + [False] * STEPS)[:STEPS]


def their_scales(overflows: list[bool]) -> list[float]:
    weight = torch.nn.Parameter(torch.zeros(2))
    optimizer, scaler, scales = torch.optim.SGD([weight], lr=1.0), torch.amp.GradScaler("cpu"), []
    for overflow in overflows:
        optimizer.zero_grad()
        scaler.scale(weight.sum() * (float("inf") if overflow else 1.0)).backward()
        scaler.step(optimizer)
        scaler.update()
        scales.append(scaler.get_scale())
    return scales


def check_scales(tool: str, live: LiveCase) -> None:
    overflows = overflow_pattern()
    def ours(of: list[bool]) -> list[float]:
        answer = subprocess.run([tool], input="".join("01"[one] for one in of), check=True, capture_output=True, text=True)
        return [float(line) for line in answer.stdout.split()]
    theirs = their_scales(overflows)
    live.report.check("GradScaler's scales", ours(overflows) == theirs, f"{len(set(theirs))} scales in {len(theirs)} steps")
    one_less = overflows[:-1].copy()
    one_less[overflows.index(False)] = True
    live.report.check("control is caught: one more overflow", ours(one_less) != theirs[:-1], "")


def with_scaler(skipped: set[int]):
    """Puts a GradScaler into a Trainer; at each of those steps (0-based) one gradient becomes infinite before it is looked at."""
    def prepare(trainer: Trainer) -> None:
        scaler = trainer.accelerator.scaler = torch.amp.GradScaler("cpu")
        def unscale() -> None:
            if trainer.state.global_step in skipped:
                next(p for p in trainer.model.parameters() if p.grad is not None).grad.view(-1)[0] = float("inf")
            scaler.unscale_(trainer.optimizer.optimizer)
        trainer.accelerator.unscale_gradients = unscale
    return prepare


def without_norms(log: list[dict], skipped: set[int]) -> list[dict]:
    """A step left out has no norm worth comparing."""
    return [{**entry, "grad_norm": 1.0} if "loss" in entry and entry["step"] - 1 in skipped else entry for entry in log]


def main() -> int:
    binary, tool, name = sys.argv[1:]
    with live_case(binary, name) as live:
        check_scales(tool, live)
        settings = {"bf16": False, "fp16": True, "use_deepspeed": True, "deepspeed": OVERFLOWING}
        ours = Run(binary, live.config, live.work, "ours", **settings).require_success()
        skipped = {entry["step"] - 1 for entry in ours.log_history if "loss" in entry and "grad_norm" not in entry}
        apart = max(skipped) - min(skipped) >= len(skipped) if skipped else False
        live.report.check("steps overflow at the start and later on", apart, str(sorted(skipped)))
        scaled = rival.train(live.case, {**live.config, "output_dir": str(live.work / "scaled")}, prepare=with_scaler(skipped))
        plain = live.train_rival()
        bounds = bf16_bounds(attention_noise(live, plain))
        difference = compare_logs(without_norms(ours.log_history, skipped), without_norms(scaled["log_history"], skipped))
        compare_adapters(ours.adapter, live.work / "scaled/adapter_model.safetensors", difference)
        wrong = difference.beyond(bounds)
        live.report.check("same overflows, same curve", not wrong, "; ".join(wrong) or str(difference))
        # A step left out counts for neither the schedule nor the weights, so both have to tell a run without any apart.
        unlike = compare_logs(without_norms(ours.log_history, skipped), without_norms(plain["log_history"], skipped))
        caught = all(unlike.beyond(bounds, (quantity,)) for quantity in ("loss", "learning_rate"))
        live.report.check("control is caught: no overflow", caught, str(unlike))
    return 1 if live.report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
