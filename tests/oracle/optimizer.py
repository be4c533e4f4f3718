"""torch.optim.AdamW with clip_grad_norm_, for tests/engine/optimizer_test.cpp.

Made with torch 2.11.0, seed 7. Two parameters, one in a group without decay; gradients are given, not computed.
Run: python tests/oracle/optimizer.py > tests/oracle/values/optimizer.json
"""
import json
import sys

import torch

torch.manual_seed(7)
torch.set_num_threads(1)

CASES = [
    {"weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "max_norm": 1.0},
    {"weight_decay": 0.1, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "max_norm": 0.25},
    {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "max_norm": 0.0},
]
RATES = [0.0, 1e-3, 2e-3, 5e-3, 1e-2]


def flat(tensor):
    return [float(x) for x in tensor.flatten()]


def run(case):
    decayed = torch.nn.Parameter(torch.randn(3, 4))
    plain = torch.nn.Parameter(torch.randn(5))
    optimizer = torch.optim.AdamW(
        [{"params": [decayed], "weight_decay": case["weight_decay"]}, {"params": [plain], "weight_decay": 0.0}],
        lr=1e-3, betas=(case["beta1"], case["beta2"]), eps=case["epsilon"])
    out = dict(case, start=[flat(decayed), flat(plain)], steps=[])
    for rate in RATES:
        for group in optimizer.param_groups:
            group["lr"] = rate
        decayed.grad, plain.grad = torch.randn(3, 4), torch.randn(5) * 0.1
        step = {"rate": rate, "gradients": [flat(decayed.grad), flat(plain.grad)]}
        limit = case["max_norm"] if case["max_norm"] > 0 else float("inf")
        step["norm"] = float(torch.nn.utils.clip_grad_norm_([decayed, plain], limit))
        optimizer.step()
        step["parameters"] = [flat(decayed), flat(plain)]
        out["steps"].append(step)
    out["exp_avg"] = [flat(optimizer.state[p]["exp_avg"]) for p in (decayed, plain)]
    out["exp_avg_sq"] = [flat(optimizer.state[p]["exp_avg_sq"]) for p in (decayed, plain)]
    return out


json.dump([run(case) for case in CASES], sys.stdout, indent=1)
print()
