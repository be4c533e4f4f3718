"""Holds one run's logs and adapter against another's. Standard library only.

Used both for "must be equal within bounds" and for the controls, which must not be.
"""
import array
import json
import math
import pathlib
import sys
from dataclasses import dataclass, field


@dataclass
class Bounds:
    """Largest relative difference allowed; adapter: ‖ours − theirs‖ / ‖theirs‖ of each tensor."""
    loss: float
    grad_norm: float
    adapter: float
    learning_rate: float = 1e-12


FP32 = Bounds(loss=1e-5, grad_norm=1e-4, adapter=1e-3)


@dataclass
class Difference:
    """Largest relative differences found, and what is wrong in kind: entries that miss, names, shapes."""
    worst: dict[str, float] = field(default_factory=dict)
    faults: list[str] = field(default_factory=list)

    def note(self, quantity: str, ours: float, theirs: float) -> None:
        if not math.isfinite(ours) or not math.isfinite(theirs):
            self.faults.append(f"{quantity}: {ours} against {theirs}")
            return
        relative = abs(ours - theirs) / abs(theirs) if theirs else abs(ours)
        self.worst[quantity] = max(self.worst.get(quantity, 0.0), relative)

    def beyond(self, bounds: Bounds, quantities: tuple[str, ...] = ("loss", "grad_norm", "learning_rate", "eval_loss", "adapter")) -> list[str]:
        """What lies outside the bounds, in words; empty: equal."""
        limits = {"loss": bounds.loss, "eval_loss": bounds.loss, "grad_norm": bounds.grad_norm,
                  "learning_rate": bounds.learning_rate, "adapter": bounds.adapter}
        return self.faults + [f"{name} differs by {self.worst[name]:.2e}, bound {limits[name]:.2e}"
                              for name in quantities if self.worst.get(name, 0.0) > limits[name]]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value:.1e}" for name, value in self.worst.items()) or "nothing compared"


def compare_logs(ours: list[dict], theirs: list[dict]) -> Difference:
    """Entry by entry: the same steps and epochs, in the same order; loss, grad_norm, learning_rate, eval_loss."""
    result = Difference()
    for kind, quantities in (("loss", ("loss", "grad_norm", "learning_rate")), ("eval_loss", ("eval_loss",))):
        left, right = ([entry for entry in log if kind in entry] for log in (ours, theirs))
        if len(left) != len(right) or not right:
            result.faults.append(f"{len(left)} entries with {kind}, they have {len(right)}")
        for a, b in zip(left, right):
            if a["step"] != b["step"] or abs(a["epoch"] - b["epoch"]) > 1e-9:
                result.faults.append(f"{kind}: step {a['step']} epoch {a['epoch']} against step {b['step']} epoch {b['epoch']}")
                continue
            for quantity in quantities:
                if quantity in a:
                    result.note(quantity, a[quantity], b[quantity])
                else:
                    result.faults.append(f"step {a['step']} has no {quantity}")
    return result


def read_safetensors(path: pathlib.Path) -> dict[str, tuple[list[int], array.array]]:
    """Shapes and values of a file of fp32 tensors."""
    data = pathlib.Path(path).read_bytes()
    size = int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:8 + size]).items():
        if name == "__metadata__":
            continue
        if entry["dtype"] != "F32":
            raise ValueError(f"{path}: {name} is {entry['dtype']}, adapters are saved as F32")
        begin, end = entry["data_offsets"]
        values = array.array("f", data[8 + size + begin:8 + size + end])
        if sys.byteorder == "big":
            values.byteswap()
        tensors[name] = (entry["shape"], values)
    return tensors


def compare_adapters(ours: pathlib.Path, theirs: pathlib.Path, result: Difference) -> None:
    """Names, shapes and values of two adapter_model.safetensors."""
    left, right = read_safetensors(ours), read_safetensors(theirs)
    if left.keys() != right.keys():
        result.faults.append(f"adapter names differ: only here {sorted(left.keys() - right.keys())[:3]}, "
                             f"only theirs {sorted(right.keys() - left.keys())[:3]}")
        return
    for name, (shape, values) in right.items():
        if left[name][0] != shape:
            result.faults.append(f"{name}: shape {left[name][0]}, theirs {shape}")
            continue
        apart = math.dist(left[name][1], values)
        result.note("adapter", apart + math.hypot(*values), math.hypot(*values))
