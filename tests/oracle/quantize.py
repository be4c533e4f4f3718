"""Writes values/quantize.json: what bitsandbytes 0.50.2 makes of awkward tensors on a CPU, as bytes in hexadecimal.

Run in the environment of setup.sh, with one thread (the mean of many scales depends on how a sum is split).
"""
import json
from pathlib import Path

import torch
import bitsandbytes
from bitsandbytes import functional as F

torch.set_num_threads(1)
assert bitsandbytes.__version__ == "0.50.2"


def hexed(tensor):
    return tensor.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes().hex()


def uniform(count, seed):
    """What base/mt19937 draws too."""
    torch.manual_seed(seed)
    return torch.empty(count).uniform_(-1, 1)


def middles(kind):
    """Halfway between neighbouring values, where the rule for ties decides, and the floats beside it."""
    values = F.get_4bit_type(kind, device="cpu").sort().values
    middle = (values[1:] + values[:-1]) / 2
    return torch.cat([middle, torch.nextafter(middle, torch.tensor(2.0)), torch.nextafter(middle, torch.tensor(-2.0)), torch.ones(19)])


def awkward(kind):
    x = uniform(64 * 9 + 37, 3)
    x[0:64] = 0
    x[64:128] = middles(kind)
    x[128:192] *= 1e-39        # subnormal, below the smallest divisor
    x[192:256] *= 3e38
    x[256 + 5] = float("nan")
    x[320 + 7] = float("inf")
    x[384 + 7] = -float("inf")
    x[448:512] = -0.0
    x[512:576] = middles(kind) * 7.3
    x[-3] = 1.5
    return x


out = {"bitsandbytes": bitsandbytes.__version__, "four_bit": [], "int8": [], "absmax": []}
out["map"] = hexed(F.create_dynamic_map())
for kind in ("nf4", "fp4"):
    out[kind] = hexed(F.get_4bit_type(kind, device="cpu"))
    tails = [uniform(n, 5)[:n] for n in (17, 63, 65, 127)] + [torch.zeros(70), awkward(kind)]
    for x in tails:
        codes, state = F.quantize_4bit(x, quant_type=kind)
        opened = F.dequantize_4bit(codes, state)
        out["four_bit"].append({"kind": kind, "x": hexed(x), "codes": hexed(codes), "absmax": hexed(state.absmax), "opened": hexed(opened)})

for count, seed in ((300, 11), (256, 12), (513, 13)):
    absmax = uniform(count, seed) * 0.01
    absmax[:3] = torch.tensor([0.0, 0.02, -0.02])
    if count == 513:
        absmax[256:512] = 0
    codes, state = F.quantize_blockwise(absmax, blocksize=256)
    opened = F.dequantize_blockwise(codes, state) + 0.37
    out["absmax"].append({"x": hexed(absmax), "codes": hexed(codes), "nested": hexed(state.absmax), "offset": 0.37, "opened": hexed(opened)})

# A tensor drawn by the seed alone, double quantisation throughout.
x = uniform(64 * 700, 21).view(100, 448)
for kind in ("nf4", "fp4"):
    codes, state = F.quantize_4bit(x, quant_type=kind, compress_statistics=True)
    out["double_" + kind] = {"rows": 100, "width": 448, "seed": 21, "codes": hexed(codes), "absmax": hexed(state.absmax),
                             "nested": hexed(state.state2.absmax), "offset": hexed(state.offset)}

for rows, width in ((1, 1), (3, 50), (4, 64)):
    torch.manual_seed(rows)
    x = torch.randn(rows, width).to(torch.float16)
    if rows == 4:
        x[1] = 0
        x[2] = torch.arange(64, dtype=torch.float16) / 2 + 0.25
        x[2, 0] = 127           # ties: the factor is 1
        x[3, 5] = 65504
    codes, absmax, _ = F.int8_vectorwise_quant(x.clone())
    opened = codes.to(torch.float32).mul_(absmax.unsqueeze(1).mul(1.0 / 127.0))        # MatMul8bitFp
    bf16 = codes.to(torch.bfloat16).mul_(absmax.unsqueeze(1).mul(1.0 / 127.0))
    out["int8"].append({"rows": rows, "width": width, "x": hexed(x.float()), "codes": hexed(codes), "absmax": hexed(absmax),
                        "opened": hexed(opened), "opened_bf16": hexed(bf16)})
Path(__file__).with_name("values").joinpath("quantize.json").write_text(json.dumps(out, indent=0))
