"""transformers' optimizers with clip_grad_norm_, for tests/engine/adamw_test.cpp and tests/engine/make_optimizer_test.cpp.

Each is made by the Trainer's own get_optimizer_cls_and_kwargs from optim and optim_args, in the Trainer's two groups; "adam"
alone, which the Trainer has no name for, is torch.optim.Adam with decay in the gradient.
Made with torch 2.11.0, transformers 5.23.0, bitsandbytes 0.50.2 on a CPU, seed 7. Two parameters, one in a group without
decay; gradients are given, not computed.
Run: python tests/oracle/optimizer.py > tests/oracle/values/optimizer.json
"""
import json
import tempfile

import torch
from transformers import Trainer, TrainingArguments

torch.manual_seed(7)
torch.set_num_threads(1)

ADAMW = [
    {"weight_decay": 0.0, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "max_norm": 1.0},
    {"weight_decay": 0.1, "beta1": 0.8, "beta2": 0.95, "epsilon": 1e-6, "max_norm": 0.25},
    {"weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-8, "max_norm": 0.0},
]
OTHERS = [
    ("sgd", None), ("sgd", "momentum=0.9, dampening=0.1"), ("sgd", "momentum = 0.8,nesterov=Yes"),
    ("adagrad", None), ("adagrad", "lr_decay=0.1, eps=1e-6"),
    ("rmsprop", None), ("rmsprop", "alpha=0.9, eps=1e-6, momentum=0.5"), ("rmsprop", "centered=true"),
    ("rmsprop", "centered=true, momentum=0.9"),
    ("rmsprop_bnb", None), ("rmsprop_bnb_32bit", None),
    ("adafactor", None), ("lion_32bit", None), ("paged_lion_32bit", None), ("paged_adamw_32bit", None), ("adam", None),
    ("ademamix", None), ("ademamix", "beta1=0.8, beta2=0.95, beta3=0.99, alpha=2, eps=1e-6, t_alpha=3, t_beta3=4"),
    ("paged_ademamix_32bit", None),
]
RATES = [0.0, 1e-3, 2e-3, 5e-3, 1e-2]
# bitsandbytes' names for what torch and transformers call otherwise.
STATES = {"lion": {"state1": "exp_avg"}, "adam": {"state1": "exp_avg", "state2": "exp_avg_sq"}, "rmsprop": {"state1": "square_avg"}}


def flat(tensor):
    return [float(x) for x in tensor.flatten()]


def adam_options(case):
    return {"betas": (case["beta1"], case["beta2"]), "eps": case["epsilon"]}


def make(case, groups):
    if case["optim"] == "adam":
        return torch.optim.Adam(groups, lr=1e-3, **adam_options(case))
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(output_dir=folder, optim=case["optim"], optim_args=case["optim_args"], learning_rate=1e-3,
                                 adam_beta1=case["beta1"], adam_beta2=case["beta2"], adam_epsilon=case["epsilon"], use_cpu=True)
    optimizer, arguments = Trainer.get_optimizer_cls_and_kwargs(args)
    return optimizer(groups, **arguments)


def state_of(optimizer, parameter):
    if getattr(optimizer, "optimizer_name", None) == "ademamix":  # two means in one tensor
        means, square = optimizer.state[parameter]["state1"], optimizer.state[parameter]["state2"]
        return {"exp_avg": flat(means[0]), "exp_avg_slow": flat(means[1]), "exp_avg_sq": flat(square)}
    known = STATES.get(getattr(optimizer, "optimizer_name", None), {})
    return {known.get(key, key): flat(value) for key, value in optimizer.state[parameter].items()
            if isinstance(value, torch.Tensor) and value.dim() > 0}


def run(case):
    decayed = torch.nn.Parameter(torch.randn(3, 4))
    plain = torch.nn.Parameter(torch.randn(5))
    optimizer = make(case, [{"params": [decayed], "weight_decay": case["weight_decay"]}, {"params": [plain], "weight_decay": 0.0}])
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
    out["state"] = [state_of(optimizer, p) for p in (decayed, plain)]
    return out


cases = [run({**case, "optim": "adamw_torch", "optim_args": None}) for case in ADAMW]
for i, (optim, optim_args) in enumerate(OTHERS):
    numbers = ADAMW[1] if i % 2 else {**ADAMW[0], "weight_decay": 0.0}
    for decay in (0.0, 0.1):
        cases.append(run({**numbers, "weight_decay": decay, "optim": optim, "optim_args": optim_args}))
print("[" + ",\n".join(json.dumps(case) for case in cases) + "]")
