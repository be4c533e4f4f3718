"""Every learning-rate schedule of transformers, run here and now on both sides: the rate of each update, the loss, the
evaluations. Each must also be told apart from every other. Runs inside the environment of tests/oracle/setup.sh.

usage: live_schedules.py LATHE_BINARY CASE
"""
import sys

import rival
from compare import FP32, compare_logs
from lathe import Run
from live_case import LiveCase, live_case

# Arguments that keep any two of them apart: with its default of one cycle cosine_with_restarts is cosine itself.
SCHEDULES = {
    "linear": {},
    "cosine": {},
    "cosine_with_restarts": {"num_cycles": 2},
    "polynomial": {"power": 2.0, "lr_end": 1e-4},
    "constant": {},
    "constant_with_warmup": {},
    "inverse_sqrt": {"timescale": 6},
    "cosine_with_min_lr": {"min_lr_rate": 0.2},
    "cosine_warmup_with_min_lr": {"min_lr": 5e-4, "warmup_lr_rate": 0.1},
    "warmup_stable_decay": {"num_decay_steps": 9, "min_lr_ratio": 0.1, "decay_type": "1-sqrt"},
    "reduce_lr_on_plateau": {"factor": 0.5, "patience": 1, "threshold": 0.01},
}


def settings_of(name: str) -> dict:
    return {"lr_scheduler_type": name, "lr_scheduler_kwargs": SCHEDULES[name]}


def train_both(live: LiveCase, name: str) -> tuple[list[dict], list[dict]]:
    """Our log and theirs."""
    config = {**live.config, **settings_of(name)}
    ours = Run(live.binary, config, live.work, f"ours_{name}").require_success().log_history
    return ours, rival.train(live.case, {**config, "output_dir": str(live.work / f"theirs_{name}")})["log_history"]


def rates(log: list[dict]) -> list[float]:
    return [entry["learning_rate"] for entry in log if "loss" in entry]


def main() -> int:
    binary, name = sys.argv[1:]
    with live_case(binary, name) as live:
        logs = {schedule: train_both(live, schedule) for schedule in SCHEDULES}
        for schedule, (ours, theirs) in logs.items():
            difference = compare_logs(ours, theirs)
            wrong = difference.beyond(FP32, ("loss", "grad_norm", "learning_rate", "eval_loss"))
            live.report.check(schedule, not wrong, "; ".join(wrong) or str(difference))
            changes = len(set(rates(theirs)))
            live.report.check(f"{schedule} is a course of its own", (changes > 2) != (schedule == "constant"), f"{changes} rates")
            others = [compare_logs(ours, log).beyond(FP32, (quantity,))
                      for other, (_, log) in logs.items() if other != schedule for quantity in ("loss", "learning_rate")]
            live.report.check(f"control is caught: {schedule} against each other one", all(others), f"{len(others)} comparisons")
    return 1 if live.report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
