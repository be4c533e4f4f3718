"""Learning-rate curves of transformers and of DeepSpeed's schedules, for tests/engine/schedule_test.cpp.

Made with transformers 5.23.0, torch 2.11.0; DeepSpeed's with deepspeed 0.19.8's deepspeed/runtime/lr_schedules.py
(the file's path is the first argument when the package itself is not installed). No random numbers are drawn.
Run: python tests/oracle/schedule.py [lr_schedules.py] > tests/oracle/values/schedule.json
"""
import importlib.util
import json
import sys
import types

import torch
from transformers import get_scheduler

CASES = [
    ("linear", 1e-3, 5, 40, {}),
    ("linear", 2e-5, 0, 7, {}),
    ("linear", 1e-4, 100, 27, {}),
    ("cosine", 2e-3, 10, 50, {}),
    ("cosine", 1e-4, 0, 13, {"num_cycles": 1.5}),
    ("cosine_with_restarts", 1e-3, 4, 41, {"num_cycles": 3}),
    ("cosine_with_restarts", 1e-3, 0, 10, {}),
    ("polynomial", 1e-3, 5, 30, {"lr_end": 1e-5, "power": 2.0}),
    ("polynomial", 1e-3, 3, 20, {}),
    ("constant", 3e-4, 5, 20, {}),
    ("constant_with_warmup", 3e-4, 6, 20, {}),
    ("inverse_sqrt", 1e-3, 5, 40, {}),
    ("inverse_sqrt", 1e-3, 0, 15, {}),
    ("inverse_sqrt", 1e-3, 5, 40, {"timescale": 12}),
    ("warmup_stable_decay", 1e-3, 5, 40, {"num_decay_steps": 10}),
    ("warmup_stable_decay", 1e-3, 6, 40, {"num_decay_steps": 12, "num_stable_steps": 9, "min_lr_ratio": 0.1,
                                          "warmup_type": "cosine", "decay_type": "1-sqrt"}),
    ("warmup_stable_decay", 1e-3, 6, 30, {"num_decay_steps": 12, "warmup_type": "1-sqrt", "decay_type": "linear"}),
    ("cosine_with_min_lr", 1e-3, 5, 40, {"min_lr": 1e-4}),
    ("cosine_with_min_lr", 1e-3, 5, 40, {"min_lr_rate": 0.2, "num_cycles": 0.75}),
    ("cosine_warmup_with_min_lr", 1e-3, 5, 40, {"min_lr": 1e-4}),
    ("cosine_warmup_with_min_lr", 1e-3, 5, 40, {"min_lr_rate": 0.2, "warmup_lr_rate": 0.05}),
]
WARMUP_LR = [
    (1e-4, 10, 25, {}),
    (1e-4, 10, 25, {"warmup_min_lr": 1e-6, "warmup_max_lr": 5e-4, "warmup_type": "linear"}),
    (1e-4, 100, 27, {"warmup_min_lr": 0.0, "warmup_max_lr": 1e-4}),
    (1e-4, 1, 6, {}),
]
DEEPSPEED = [
    ("WarmupDecayLR", 1e-4, 10, 40, {"warmup_max_lr": 1e-4}),
    ("WarmupDecayLR", 1e-4, 5, 20, {"warmup_min_lr": 1e-6, "warmup_max_lr": 5e-4, "warmup_type": "linear"}),
    ("WarmupDecayLR", 1e-4, 30, 20, {"warmup_max_lr": 1e-4}),
    ("WarmupCosineLR", 2e-4, 10, 40, {}),
    ("WarmupCosineLR", 2e-4, 5, 30, {"warmup_min_ratio": 0.1, "cos_min_ratio": 0.05, "warmup_type": "linear"}),
    ("OneCycle", 1e-4, 0, 60, {"cycle_min_lr": 1e-5, "cycle_max_lr": 1e-3, "cycle_first_step_size": 10}),
    ("OneCycle", 1e-4, 0, 60, {"cycle_min_lr": 1e-5, "cycle_max_lr": 1e-3, "cycle_first_step_size": 10,
                               "cycle_second_step_size": 15, "decay_lr_rate": 0.5, "decay_step_size": 3}),
    ("OneCycle", 1e-4, 0, 40, {"cycle_min_lr": 1e-5, "cycle_max_lr": 1e-3, "cycle_first_step_size": 12,
                               "cycle_first_stair_count": 4, "cycle_second_stair_count": 3}),
    ("LRRangeTest", 1e-4, 0, 30, {"lr_range_test_min_lr": 1e-5, "lr_range_test_step_size": 5}),
    ("LRRangeTest", 1e-4, 0, 30, {"lr_range_test_min_lr": 1e-5, "lr_range_test_step_size": 4,
                                  "lr_range_test_step_rate": 2.5, "lr_range_test_staircase": True}),
]


def sgd(learning_rate):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate)


def curve(optimizer, scheduler, updates):
    values = []
    for _ in range(updates):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def deepspeed_schedules():
    if len(sys.argv) < 2:
        from deepspeed.runtime import lr_schedules
        return lr_schedules
    log = types.ModuleType("deepspeed.utils")
    log.logger = types.SimpleNamespace(warning=lambda *_: None, info=lambda *_: None)
    sys.modules["deepspeed"] = types.ModuleType("deepspeed")
    sys.modules["deepspeed.utils"] = log
    spec = importlib.util.spec_from_file_location("lr_schedules", sys.argv[1])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def deepspeed_case(schedules, name, lr, warmup, total, kwargs):
    optimizer = sgd(lr)
    known = dict(kwargs)
    if name.startswith("Warmup"):
        known["warmup_num_steps"] = warmup
    if name in ("WarmupDecayLR", "WarmupCosineLR"):
        known["total_num_steps"] = total
    if name == "OneCycle":
        known["cycle_momentum"] = False
    scheduler = getattr(schedules, name)(optimizer, **known)
    return {"type": name, "learning_rate": lr, "warmup_steps": warmup, "total_steps": total, "kwargs": kwargs,
            "values": curve(optimizer, scheduler, total)}


def main():
    out = []
    for name, lr, warmup, total, kwargs in CASES:
        optimizer = sgd(lr)
        scheduler = get_scheduler(name, optimizer, warmup, total, scheduler_specific_kwargs=kwargs)
        out.append({"type": name, "learning_rate": lr, "warmup_steps": warmup, "total_steps": total, "kwargs": kwargs,
                    "values": curve(optimizer, scheduler, total + 3)})
    schedules = deepspeed_schedules()
    out += [deepspeed_case(schedules, "WarmupLR", *case) for case in WARMUP_LR]
    out += [deepspeed_case(schedules, *case) for case in DEEPSPEED]
    json.dump(out, sys.stdout, indent=1)
    print()


main()
