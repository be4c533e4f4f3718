"""Writes values/kernels.json: what torch computes for the operations of src/kernels, in fp32, bf16 and fp16.

Made with torch 2.11.0 and the seeds below; narrow values are stored as the numbers they are.
"""
import json
from pathlib import Path

import torch
import torch.nn.functional as F

torch.manual_seed(17)
torch.set_num_threads(1)
out = {"torch": torch.__version__}


def flat(tensor):
    return tensor.detach().float().flatten().tolist()


def draw(*shape, dtype, scale=1.0):
    return (torch.randn(*shape) * scale).to(dtype).requires_grad_()


def operations(name, dtype):
    # transformers' Qwen2RMSNorm.forward, operation by operation
    x, weight = draw(3, 37, dtype=dtype), draw(37, dtype=dtype)
    wide = x.float()
    scaled = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + 1e-6)
    y = weight * scaled.to(dtype)
    dy = torch.randn(3, 37).to(dtype)
    y.backward(dy)
    out["rms_norm_" + name] = {"x": flat(x), "weight": flat(weight), "y": flat(y), "dy": flat(dy), "dx": flat(x.grad), "dweight": flat(weight.grad)}

    # transformers' apply_rotary_pos_emb on [T,N,D]
    q = draw(3, 2, 22, dtype=dtype)
    angle = torch.randn(3, 11)
    cos, sin = angle.cos().to(dtype), angle.sin().to(dtype)
    cos2, sin2 = (torch.cat([t, t], -1).unsqueeze(1) for t in (cos, sin))
    y = q * cos2 + torch.cat([-q[..., 11:], q[..., :11]], -1) * sin2
    dy = torch.randn(3, 2, 22).to(dtype)
    y.backward(dy)
    out["rotary_" + name] = {"x": flat(q), "cos": flat(cos), "sin": flat(sin), "y": flat(y), "dy": flat(dy), "dx": flat(q.grad)}

    gate, up = draw(67, dtype=dtype, scale=4.0), draw(67, dtype=dtype)
    y = F.silu(gate) * up
    dy = torch.randn(67).to(dtype)
    y.backward(dy)
    out["swiglu_" + name] = {"gate": flat(gate), "up": flat(up), "y": flat(y), "dy": flat(dy), "dgate": flat(gate.grad), "dup": flat(up.grad)}

    for smoothing in (0.0, 0.1):
        logits = draw(4, 53, dtype=dtype, scale=5.0)
        target = torch.tensor([3, 52, -100, 0])
        loss = F.cross_entropy(logits.float(), target, reduction="none", label_smoothing=smoothing)
        (loss.sum() * 0.25).backward()
        out[f"cross_entropy_{name}_{smoothing}"] = {"smoothing": smoothing, "scale": 0.25, "logits": flat(logits), "target": target.tolist(), "loss": flat(loss), "gradient": flat(logits.grad)}


operations("f32", torch.float32)
operations("bf16", torch.bfloat16)
parameter = torch.randn(41).requires_grad_()
optimizer = torch.optim.AdamW([parameter], lr=3e-3, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1)
steps = {"start": flat(parameter), "steps": []}
for _ in range(4):
    gradient = torch.randn(41)
    parameter.grad = gradient * 0.5
    optimizer.step()
    state = optimizer.state[parameter]
    steps["steps"].append({"gradient": flat(gradient), "parameter": flat(parameter), "exp_avg": flat(state["exp_avg"]), "exp_avg_sq": flat(state["exp_avg_sq"])})
out["adamw"] = steps
torch.manual_seed(19)
operations("f16", torch.float16)
Path(__file__).with_name("values").joinpath("kernels.json").write_text(json.dumps(out))
