"""Writes values/optimizer_8bit.json: bitsandbytes 0.50.2's AdamW with 8-bit moments on a CPU, alone and under
transformers 5.23's Trainer; tensors as bytes in hexadecimal.

Run in the environment of setup.sh, with one thread. Everything drawn comes from a seed, in the way of base/mt19937.
"""
import json
import tempfile
from pathlib import Path

import peft
import torch
import bitsandbytes
from bitsandbytes import functional as F
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM, Trainer, TrainingArguments

torch.set_num_threads(1)
assert bitsandbytes.__version__ == "0.50.2"

GRID = 65536
MAPS = {"signed": F.create_dynamic_map(signed=True), "unsigned": F.create_dynamic_map(signed=False)}


def hexed(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes().hex()


def uniform(count, seed):
    """What base/mt19937 draws too."""
    torch.manual_seed(seed)
    return torch.empty(count).uniform_(-1, 1)


def codes_of(values, values_of_codes):
    """Each value's code in a block whose scale is 1."""
    blocks = torch.ones(len(values) // 255 + 1, 256)  # the first of each block is its scale
    flat = torch.cat([values, torch.zeros(blocks.shape[0] * 255 - len(values))])
    blocks[:, 1:] = flat.view(-1, 255)
    codes, absmax = torch.ops.bitsandbytes.quantize_blockwise(blocks.reshape(-1).contiguous(), values_of_codes, 256)
    assert bool((absmax == 1).all())
    return codes.view(-1, 256)[:, 1:].reshape(-1)[: len(values)]


def grid_starts(values_of_codes):
    """The first point of the grid with each code or a larger one."""
    points = -1 + (2.0 * torch.arange(GRID, dtype=torch.float32)) / (GRID - 1)
    codes = codes_of(points, values_of_codes)
    assert bool((codes[1:].int() >= codes[:-1].int()).all())
    return torch.searchsorted(codes.int(), torch.arange(256, dtype=torch.int32)).tolist()


def beside_bounds(starts):
    """Floats around the places where the grid goes over to the next code, four to each side."""
    out = []
    for start in starts:
        x = torch.tensor(-1 + (2.0 * start - 1) / (GRID - 1), dtype=torch.float32)
        for _ in range(4):
            x = torch.nextafter(x, torch.tensor(-2.0))
        for _ in range(9):
            out.append(float(x))
            x = torch.nextafter(x, torch.tensor(2.0))
    return torch.tensor(out, dtype=torch.float32).clamp(-1, 1)


def update_case(count, weight_decay, beta1, beta2, epsilon, gradient_scale, awkward):
    """Five updates of one flat parameter; gradients are uniform(count, 100 + step) times 8^-step."""
    p = uniform(count, 50).clone()
    m, v = torch.zeros(count, dtype=torch.uint8), torch.zeros(count, dtype=torch.uint8)
    blocks = (count + 255) // 256
    m_absmax, v_absmax = torch.zeros(blocks), torch.zeros(blocks)
    out = {"count": count, "weight_decay": weight_decay, "beta1": beta1, "beta2": beta2, "epsilon": epsilon,
           "gradient_scale": gradient_scale, "awkward": awkward, "steps": []}
    for step in range(1, 6):
        g = uniform(count, 100 + step) * 0.125 ** step
        if awkward:
            g[0:256] = 0
            g[300] = 1e3
            g[256 * 2 + 5] = float("nan")
            g[256 * 3 + 7] = float("inf") if step == 3 else 1e-30
            g[256 * 4:256 * 5] = 1e-42
        torch.ops.bitsandbytes.optimizer_update_8bit_blockwise(
            "adam", g, p, m, v, beta1, beta2, 0.0, 0.0, epsilon, step, 2e-3, MAPS["signed"], MAPS["unsigned"],
            m_absmax, v_absmax, weight_decay, gradient_scale, False)
        out["steps"].append({"parameter": hexed(p), "exp_avg": hexed(m), "exp_avg_sq": hexed(v),
                             "exp_avg_absmax": hexed(m_absmax), "exp_avg_sq_absmax": hexed(v_absmax)})
    return out


class Model(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding = torch.nn.Embedding(70, 64)             # fp32 moments whatever its size
        self.matrix = torch.nn.Parameter(torch.empty(96, 50))
        self.norm = torch.nn.Parameter(torch.empty(1000))       # too small


OPTIMIZERS = {
    "adamw": (1e-2, lambda groups: bitsandbytes.optim.AdamW(groups, lr=1e-3, betas=(0.9, 0.99), eps=1e-8, optim_bits=8)),
    "lion": (1e-3, lambda groups: bitsandbytes.optim.Lion(groups, lr=1e-3, betas=(0.9, 0.99), optim_bits=8)),
}


def train(name, nudge):
    """50 updates with clipping through an optimizer, embeddings kept in fp32 as transformers' Trainer has it.

    nudge: the weights start by so much, relatively, from where they start otherwise.
    Returns the optimizer, the parameters, and (step, norm, parameters) of two updates.
    """
    model = Model()
    parameters = [model.embedding.weight, model.matrix, model.norm]
    with torch.no_grad():
        for i, p in enumerate(parameters):
            p.copy_(uniform(p.numel(), 10 + i).view(p.shape) * (1 + nudge * uniform(p.numel(), 20 + i).view(p.shape)))
    rate, make = OPTIMIZERS[name]
    optimizer = make([{"params": parameters[:2], "weight_decay": 0.1}, {"params": parameters[2:], "weight_decay": 0.0}])
    bitsandbytes.optim.GlobalOptimManager.get_instance().register_module_override(
        model.embedding, "weight", {"optim_bits": 32})
    steps = []
    for step in range(1, 51):
        for group in optimizer.param_groups:
            group["lr"] = rate * (1 - step / 100)
        for i, p in enumerate(parameters):
            # Pulled to zero, with noise.
            p.grad = p.detach() * 0.05 + uniform(p.numel(), 1000 * i + step).view(p.shape) * 0.1
        norm = torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        if step in (1, 50):
            steps.append((step, float(norm), [p.detach().clone() for p in parameters]))
    return optimizer, parameters, steps


STATE = {"state1": "exp_avg", "absmax1": "exp_avg_absmax", "state2": "exp_avg_sq", "absmax2": "exp_avg_sq_absmax"}


def run(name):
    optimizer, parameters, steps = train(name, 0)
    nudged = [train(name, 2.0 ** -bits)[2][-1][2] for bits in (22, 21, 20)]
    state = optimizer.state[parameters[1]]
    return {
        "rate": OPTIMIZERS[name][0], "weight_decay": 0.1, "beta1": 0.9, "beta2": 0.99, "epsilon": 1e-8, "max_norm": 1.0,
        "steps": [{"step": step, "norm": norm, "parameters": [hexed(p) for p in kept]} for step, norm, kept in steps],
        # How far some last bits at the start lead in the end, where a code goes over: what a comparison can ask for.
        "noise": [max(float((other[i] - p).norm() / p.norm()) for other in nudged) for i, p in enumerate(steps[-1][2])],
        "state": {ours: hexed(state[theirs]) for theirs, ours in STATE.items() if theirs in state},
        "bits": [8 * optimizer.state[p]["state1"].element_size() for p in parameters],
    }


SHAPE = {"vocab_size": 1500, "hidden_size": 96, "intermediate_size": 256, "num_hidden_layers": 3, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 24}


def state_bytes(kind, tied, lora_r):
    """Bytes of the state that bitsandbytes keeps after an update under transformers' Trainer."""
    config_class, model_class = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}[kind]
    model = model_class(config_class(**SHAPE, tie_word_embeddings=tied))
    if lora_r:
        model = peft.get_peft_model(model, peft.LoraConfig(r=lora_r, target_modules="all-linear", task_type="CAUSAL_LM"))
    with tempfile.TemporaryDirectory() as folder:
        args = TrainingArguments(output_dir=folder, optim="adamw_bnb_8bit", use_cpu=True, report_to=[])
        optimizer = Trainer(model=model, args=args).create_optimizer()
    for p in model.parameters():
        p.grad = torch.ones_like(p) if p.requires_grad else None
    optimizer.step()
    names = ("state1", "state2", "absmax1", "absmax2")
    total = sum(state[name].nbytes for state in optimizer.state.values() for name in names if name in state)
    return {"kind": kind, "tied": tied, "lora_r": lora_r, "bytes": total}


out = {"bitsandbytes": bitsandbytes.__version__}
for name, values in MAPS.items():
    starts = grid_starts(values)
    near = beside_bounds(starts)
    out[name] = {"map": hexed(values), "starts": starts, "near": hexed(near), "near_codes": hexed(codes_of(near, values))}
out["updates"] = [
    update_case(256, 0.0, 0.9, 0.999, 1e-8, 1.0, False),
    update_case(256 * 6 + 37, 0.1, 0.8, 0.95, 1e-6, 0.37, True),
    update_case(19, 0.01, 0.9, 0.999, 1e-8, 1.0, False),
]
out["adamw"] = run("adamw")
out["lion"] = run("lion")
out["trainer"] = {"shape": SHAPE, "cases": [state_bytes("qwen2", True, 0), state_bytes("qwen3", False, 0),
                                           state_bytes("qwen2", True, 8), state_bytes("qwen3", True, 32)]}
Path(__file__).with_name("values").joinpath("optimizer_8bit.json").write_text(json.dumps(out, indent=0))
