"""One optimizer against the one that transformers' Trainer (or peft, for LoRA+) makes of the same settings: the curve, with
controls. Runs inside the environment of tests/oracle/setup.sh.

usage: live_optimizer.py LATHE_BINARY CASE …
"""
import sys

from checks import Report, check_controls, check_same_curve
from compare import FP32
from lathe import Run
from live_case import for_each_case, live_case


def controls_of(config: dict) -> dict:
    other = "sgd" if "adamw" in config["optim"] else "adamw_torch"
    controls = {"another optimizer": lambda settings: {"optim": other, "optim_args": None},
                "half the learning rate": lambda settings: {"learning_rate": settings["learning_rate"] / 2},
                "no weight decay": lambda settings: {key: 0.0 for key in settings if key.endswith("weight_decay")}}
    if config.get("optim_args"):
        controls["no optim_args"] = lambda settings: {"optim_args": None}
    if config.get("loraplus_lr_ratio"):
        controls["no LoRA+"] = lambda settings: {"loraplus_lr_ratio": 0}
    return controls


def compare(binary: str, name: str) -> Report:
    with live_case(binary, name) as live:
        config, work, report = live.config, live.work, live.report
        theirs = live.train_rival()
        losses = [entry["loss"] for entry in theirs["log_history"] if "loss" in entry]
        report.check("the rival learns", losses[-1] < 0.97 * losses[0], f"loss {losses[0]:.3f} to {losses[-1]:.3f}")
        check_same_curve(Run(binary, config, work, "ours"), live.expected(theirs), FP32, report)
        check_controls(binary, config, work, theirs["log_history"], FP32, report, controls_of(config))
    return report


def main() -> int:
    binary, *names = sys.argv[1:]
    return for_each_case(names, lambda name: compare(binary, name))


if __name__ == "__main__":
    sys.exit(main())
