"""Loss scales of DeepSpeed's DynamicLossScaler and torch's GradScaler on given patterns of overflows, for
tests/engine/loss_scaler_test.cpp.

Made with deepspeed 0.19.8 and torch 2.11.0. The class is the installed package's own; only its ask for the rank of this
process is answered beforehand. torch's rule is its kernel _amp_update_scale_, on the CPU.
Run: python tests/oracle/loss_scaler.py tests/oracle/values/loss_scaler.json (deepspeed itself prints to the screen)
"""
import json
import random
import sys

import torch
from deepspeed.runtime.fp16 import loss_scaler

loss_scaler.dist.get_rank = lambda: 0
loss_scaler.logger.disabled = True

DEEPSPEED = [
    # initial_scale_power, loss_scale_window, hysteresis, consecutive_hysteresis, min_loss_scale, overflow probability
    (16, 1000, 2, False, 1, 0.02),
    (16, 10, 2, False, 1, 0.1),
    (16, 10, 2, True, 1, 0.3),
    (12, 5, 1, False, 0.25, 0.1),
    (32, 7, 4, False, 1, 0.5),
    (32, 7, 4, True, 1, 0.5),
    (4, 3, 3, False, 8, 0.1),
]
STEPS = 240


def pattern(seed, probability):
    generator = random.Random(seed)
    return [generator.random() < probability for _ in range(STEPS)]


def deepspeed_case(seed, power, window, hysteresis, consecutive, low, probability):
    scaler = loss_scaler.DynamicLossScaler(init_scale=2.0**power, scale_window=window, min_scale=low,
                                           delayed_shift=hysteresis, consecutive_hysteresis=consecutive)
    overflows, scales, stopped = pattern(seed, probability), [], None
    for step, overflow in enumerate(overflows):
        try:
            scaler.update_scale(overflow)
        except Exception:
            stopped = step
            break
        scales.append(scaler.loss_scale)
    return {"kind": "deepspeed", "initial_scale_power": power, "loss_scale_window": window, "hysteresis": hysteresis,
            "consecutive_hysteresis": consecutive, "min_loss_scale": low, "overflows": overflows, "scales": scales,
            "stopped": stopped}


def torch_case(seed, initial, interval, probability):
    scale, tracker = torch.tensor(initial), torch.tensor(0, dtype=torch.int32)
    overflows, scales = pattern(seed, probability), []
    for overflow in overflows:
        torch._amp_update_scale_(scale, tracker, torch.tensor(float(overflow)), 2.0, 0.5, interval)
        scales.append(scale.item())
    return {"kind": "torch", "initial_scale": initial, "growth_interval": interval, "overflows": overflows,
            "scales": scales}


def main():
    cases = [deepspeed_case(seed, *case) for seed, case in enumerate(DEEPSPEED)]
    cases += [deepspeed_case(100, 3, 1000, 1, False, 1, 0.9)]
    cases += [torch_case(200, 65536.0, 2000, 0.05), torch_case(201, 65536.0, 8, 0.1), torch_case(202, 2.0**125, 3, 0.0)]
    with open(sys.argv[1], "w") as file:
        file.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in cases) + "\n]\n")


main()
