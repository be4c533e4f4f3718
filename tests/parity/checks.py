"""What a parity test asks of Lathe, whoever supplies the other side's values. Standard library only."""
import dataclasses
import math
import pathlib

from compare import Bounds, Difference, compare_adapters, compare_logs, read_safetensors
from lathe import Run

# A change that must not pass for the same run; each leaves everything else as it is.
CONTROLS = {
    "learning rate 0": lambda settings: {"learning_rate": 0.0},
    "half the learning rate": lambda settings: {"learning_rate": settings["learning_rate"] / 2},
    "another adapter seed": lambda settings: {"seed": settings["seed"] + 1, "data_seed": settings["seed"]},
    "another row order": lambda settings: {"data_seed": settings["seed"] + 1},
}

IN_32_BITS = {"adamw_bnb_8bit": "adamw_torch", "lion_8bit": "lion_32bit"}


def controls_of(config: dict) -> dict:
    """CONTROLS, and what must not pass for a run with these settings."""
    controls = dict(CONTROLS)
    if config.get("modules_to_save"):
        controls["modules_to_save left out"] = lambda settings: {"modules_to_save": None}
    if config.get("use_dora"):
        controls["plain LoRA"] = lambda settings: {"use_dora": False}
    if config.get("ensure_weight_tying"):
        controls["embeddings that part"] = lambda settings: {"ensure_weight_tying": False}
    if config.get("label_smoothing_factor"):
        controls["no smoothing"] = lambda settings: {"label_smoothing_factor": 0.0}
        controls["half the smoothing"] = lambda settings: {"label_smoothing_factor": settings["label_smoothing_factor"] / 2}
    if config["fp16"]:
        controls["bf16 in its place"] = lambda settings: {"strict_precision": False}
    if "8bit" in config["optim"]:
        controls["moments in fp32"] = lambda settings: {"optim": IN_32_BITS[settings["optim"]]}
    return controls


@dataclasses.dataclass
class Expected:
    """The other side: its log, its trained adapter, and A of each module before the first update."""
    log_history: list[dict]
    adapter: pathlib.Path
    initial_sha256: dict[str, str]


class Report:
    """Collects failures and prints each line as it comes."""

    def __init__(self) -> None:
        self.failures: list[str] = []

    def check(self, what: str, passed: bool, detail: str) -> None:
        print(f"{'ok  ' if passed else 'FAIL'} {what}: {detail}", flush=True)
        if not passed:
            self.failures.append(what)


def check_same_curve(ours: Run, expected: Expected, bounds: Bounds, report: Report) -> None:
    difference = compare_logs(ours.require_success().log_history, expected.log_history)
    compare_adapters(ours.adapter, expected.adapter, difference)
    wrong = difference.beyond(bounds)
    report.check("same config, same curve", not wrong, "; ".join(wrong) or str(difference))


def check_controls(binary: str, config: dict, work: pathlib.Path, theirs: list[dict], bounds: Bounds, report: Report,
                   controls: dict = CONTROLS) -> None:
    """Each control must run to its last step and then be told apart from their log by its loss alone."""
    for name, change in controls.items():
        run = Run(binary, config, work, "control_" + name.replace(" ", "_"), **change(config))
        difference: Difference = compare_logs(run.log_history, theirs)
        caught = not difference.faults and difference.worst["loss"] > bounds.loss
        report.check(f"control is caught: {name}", caught, "; ".join(difference.faults) or str(difference))


def check_initial_values(binary: str, config: dict, work: pathlib.Path, expected: Expected, report: Report) -> None:
    """One update at a rate so small that A keeps its bits and B leaves zero: what is saved is what training starts from."""
    run = Run(binary, config, work, "initial", learning_rate=1e-30, max_steps=1, warmup_steps=0, lr_scheduler_type="constant",
              eval_strategy="no").require_success()
    ours = {name: sha256(values) for name, (_, values) in read_safetensors(run.adapter).items() if "lora_A" in name or "lora_magnitude" in name}
    wrong = sorted(name for name in expected.initial_sha256 if ours.get(name) != expected.initial_sha256[name])
    missing = ours.keys() ^ expected.initial_sha256.keys()
    report.check("first values bit for bit", not wrong and not missing and bool(ours),
                 f"{len(wrong)} of {len(expected.initial_sha256)} differ, e.g. {wrong[:2]}" if wrong else f"{len(ours)} tensors")


def sha256(values) -> str:
    import hashlib
    return hashlib.sha256(values.tobytes()).hexdigest()


def relative(a: float, b: float) -> float:
    return abs(a - b) / abs(b) if math.isfinite(a) and math.isfinite(b) else math.inf
