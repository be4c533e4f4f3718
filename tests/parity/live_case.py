"""What every live comparison begins with: a folder, a base model, the flat config, and the rival's own run of it."""
import contextlib
import dataclasses
import pathlib
import tempfile
from collections.abc import Callable, Iterator

from transformers.utils import logging

import base_models
import rival
from cases import flat_config, load_cases
from checks import Expected, Report
from compare import Bounds, Difference, compare_adapters, compare_logs
from make_values import initial_hashes


@dataclasses.dataclass
class LiveCase:
    binary: str
    case: dict
    work: pathlib.Path
    base: pathlib.Path
    config: dict
    report: Report

    def train_rival(self, folder: str = "theirs", attention: str = "sdpa") -> dict:
        """rival.train into work/folder."""
        return rival.train(self.case, {**self.config, "output_dir": str(self.work / folder)}, attention)

    def expected(self, theirs: dict) -> Expected:
        return Expected(theirs["log_history"], self.work / "theirs/adapter_model.safetensors", initial_hashes(theirs["initial"]))


@contextlib.contextmanager
def live_case(binary: str, name: str) -> Iterator[LiveCase]:
    """Everything lies in a folder that is gone afterwards."""
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    case = load_cases()[name]
    with tempfile.TemporaryDirectory(prefix="lathe_parity_") as folder:
        work = pathlib.Path(folder)
        base_models.make_base_model(case, work / "base")
        yield LiveCase(binary, case, work, work / "base", flat_config(case, work / "base", work / "ours"), Report())


def for_each_case(names: list[str], compare: Callable[[str], Report]) -> int:
    """Several in one process: to import both libraries takes as long as a small run. Returns the exit status."""
    failures = []
    for name in names:
        print(f"---- {name}", flush=True)
        failures += compare(name).failures
    return 1 if failures else 0


def attention_noise(live: LiveCase, theirs: dict) -> Difference:
    """What the rival differs by from itself when its attention is eager instead of sdpa."""
    other = live.train_rival("eager", attention="eager")
    noise = compare_logs(other["log_history"], theirs["log_history"])
    compare_adapters(live.work / "eager/adapter_model.safetensors", live.work / "theirs/adapter_model.safetensors", noise)
    return noise


def noise_bounds(noise: Difference, floor: Bounds) -> Bounds:
    """Three times what the rival's two attention implementations differ by here; never narrower than the floor."""
    print("     rival against itself, sdpa and eager:", noise)
    return Bounds(loss=max(floor.loss, 3 * noise.worst["loss"]), grad_norm=max(floor.grad_norm, 3 * noise.worst["grad_norm"]),
                  adapter=max(floor.adapter, 3 * noise.worst.get("adapter", 0.0)))


def bf16_bounds(noise: Difference) -> Bounds:
    return noise_bounds(noise, Bounds(loss=3e-4, grad_norm=1e-2, adapter=0))


def fp16_bounds(noise: Difference) -> Bounds:
    """Three more bits than bf16 has."""
    return noise_bounds(noise, Bounds(loss=3e-4 / 8, grad_norm=1e-2 / 8, adapter=0))


def last_eval(log: list[dict]) -> float:
    return [entry["eval_loss"] for entry in log if "eval_loss" in entry][-1]
