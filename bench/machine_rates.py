"""What the machine does at best here and now: matrix products (bf16, or fp32 where it has no bf16 ones) at a model's shapes, and a copy in memory.

usage: machine_rates.py CONFIG.json --rows N --head-rows N [--weight-gradients] [--type float32]     (inside the environment of tests/oracle/setup.sh)

Prints one JSON object. --rows: tokens a step, in the products of the decoder layers; --head-rows: supervised tokens, in the head's.
Every product writes into a buffer that is there already, and the products take turns, so that a slow second hits all of them.
"""
import argparse
import json
import pathlib
import statistics
import time

import torch

CUBE = 2048
COPY_BYTES = 512 << 20


def matrices(config: dict) -> list[tuple[int, int, int]]:
    """(out, in, how many) of each projection of the decoder layers."""
    hidden, inner, layers = config["hidden_size"], config["intermediate_size"], config["num_hidden_layers"]
    head = config.get("head_dim") or hidden // config["num_attention_heads"]
    q, kv = head * config["num_attention_heads"], head * config["num_key_value_heads"]
    return [(q, hidden, layers), (kv, hidden, 2 * layers), (hidden, q, layers), (inner, hidden, 2 * layers), (hidden, inner, layers)]


def products(rows: int, outputs: int, inputs: int, weight_gradients: bool, dtype: torch.dtype) -> list:
    """The products that one matrix takes part in, as functions: forward, gradient of its input, gradient of itself."""
    x, dy = torch.randn(rows, inputs).to(dtype), torch.randn(rows, outputs).to(dtype)
    w, dw = torch.randn(outputs, inputs).to(dtype), torch.empty(outputs, inputs, dtype=dtype)
    y, dx = torch.empty_like(dy), torch.empty_like(x)
    made = [lambda: torch.mm(x, w.t(), out=y), lambda: torch.mm(dy, w, out=dx)]
    return made + [lambda: torch.mm(dy.t(), x, out=dw)] if weight_gradients else made


def median_seconds(operations: list, rounds: int) -> list[float]:
    for operation in operations:  # first touch, oneDNN's choice of kernel
        operation()
    seconds = [[] for _ in operations]
    for _ in range(rounds):
        for times, operation in zip(seconds, operations):
            start = time.perf_counter()
            operation()
            times.append(time.perf_counter() - start)
    return [statistics.median(times) for times in seconds]


def model_rate(config: dict, arguments: argparse.Namespace) -> float:
    """FLOP/s over all matrix products of one step, each counted as often as it occurs."""
    shapes = [(arguments.rows, *shape) for shape in matrices(config)]
    shapes.append((arguments.head_rows, config["vocab_size"], config["hidden_size"], 1))
    operations, flops, counts = [], [], []
    for rows, outputs, inputs, count in shapes:
        made = products(rows, outputs, inputs, arguments.weight_gradients, getattr(torch, arguments.type))
        operations += made
        flops += [2 * rows * outputs * inputs] * len(made)
        counts += [count] * len(made)
    seconds = median_seconds(operations, arguments.rounds)
    return sum(map(lambda f, c: f * c, flops, counts)) / sum(map(lambda s, c: s * c, seconds, counts))


def cube_rate(rounds: int, dtype: torch.dtype) -> float:
    a, b, c = (torch.randn(CUBE, CUBE).to(dtype) for _ in range(3))
    return 2 * CUBE**3 / median_seconds([lambda: torch.mm(a, b, out=c)], rounds)[0]


def copy_rate(rounds: int) -> float:
    """Bytes read and bytes written, together, a second."""
    source, target = (torch.ones(COPY_BYTES // 4) for _ in range(2))
    return 2 * COPY_BYTES / median_seconds([lambda: target.copy_(source)], rounds)[0]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config")
    parser.add_argument("--rows", type=int, required=True)
    parser.add_argument("--head-rows", type=int, required=True)
    parser.add_argument("--weight-gradients", action="store_true")
    parser.add_argument("--type", choices=("bfloat16", "float32"), default="bfloat16")
    parser.add_argument("--rounds", type=int, default=9)
    arguments = parser.parse_args()
    torch.manual_seed(0)
    config = json.loads(pathlib.Path(arguments.config).read_text(encoding="utf-8"))
    with torch.no_grad():
        print(json.dumps({"cube_flops": cube_rate(arguments.rounds, getattr(torch, arguments.type)), "model_flops": model_rate(config, arguments),
                          "copy_bytes": copy_rate(arguments.rounds), "rows": arguments.rows}))


if __name__ == "__main__":
    main()
