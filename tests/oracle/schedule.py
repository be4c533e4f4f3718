"""Learning-rate curves of transformers and of DeepSpeed's WarmupLR, for tests/engine/schedule_test.cpp.

Made with transformers 5.23.0, torch 2.11.0; WarmupLR with deepspeed 0.19.6's deepspeed/runtime/lr_schedules.py
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


def sgd(learning_rate):
    return torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=learning_rate)


def curve(optimizer, scheduler, updates):
    values = []
    for _ in range(updates):
        values.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return values


def warmup_lr_class():
    if len(sys.argv) < 2:
        from deepspeed.runtime.lr_schedules import WarmupLR
        return WarmupLR
    log = types.ModuleType("deepspeed.utils")
    log.logger = types.SimpleNamespace(warning=lambda *_: None, info=lambda *_: None)
    sys.modules["deepspeed"] = types.ModuleType("deepspeed")
    sys.modules["deepspeed.utils"] = log
    spec = importlib.util.spec_from_file_location("lr_schedules", sys.argv[1])
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.WarmupLR


def main():
    out = []
    for name, lr, warmup, total, kwargs in CASES:
        optimizer = sgd(lr)
        scheduler = get_scheduler(name, optimizer, warmup, total, scheduler_specific_kwargs=kwargs)
        out.append({"type": name, "learning_rate": lr, "warmup_steps": warmup, "total_steps": total, "kwargs": kwargs,
                    "values": curve(optimizer, scheduler, total + 3)})
    warmup_lr = warmup_lr_class()
    for lr, warmup, total, kwargs in WARMUP_LR:
        optimizer = sgd(lr)
        scheduler = warmup_lr(optimizer, warmup_num_steps=warmup, **kwargs)
        out.append({"type": "WarmupLR", "learning_rate": lr, "warmup_steps": warmup, "total_steps": total,
                    "kwargs": kwargs, "values": curve(optimizer, scheduler, total)})
    json.dump(out, sys.stdout, indent=1)
    print()


main()
