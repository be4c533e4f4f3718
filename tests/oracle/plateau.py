"""Learning rates of torch's ReduceLROnPlateau on random evaluations, for tests/engine/plateau_test.cpp.

Made with torch 2.11.0; the evaluations are drawn from Python's generator, seeded with the case's number.
Run: python tests/oracle/plateau.py > tests/oracle/values/plateau.json
"""
import json
import random
import sys

import torch

CASES = [
    {},
    {"factor": 0.5, "patience": 2},
    {"factor": 0.3, "patience": 1, "cooldown": 3, "min_lr": 1e-5},
    {"mode": "max", "patience": 0, "factor": 0.7},
    {"patience": 1, "threshold": 0.05, "threshold_mode": "abs", "factor": 0.5},
    {"mode": "max", "patience": 1, "threshold": 0.1, "threshold_mode": "rel", "factor": 0.5, "eps": 1e-5},
]


def main():
    out = []
    for seed, kwargs in enumerate(CASES):
        generator = random.Random(seed)
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1e-3)
        scheduler = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, **kwargs)
        metrics, rates = [], []
        for step in range(60):
            metrics.append(2.0 / (1 + 0.1 * step) + generator.uniform(-0.2, 0.2))
            scheduler.step(metrics[-1])
            rates.append(optimizer.param_groups[0]["lr"])
        out.append({"kwargs": kwargs, "learning_rate": 1e-3, "metrics": metrics, "rates": rates})
    json.dump(out, sys.stdout)
    print()


main()
