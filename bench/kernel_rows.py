"""The rows that build/bench/ops_bench measures: ops on all threads beside the peak, a copy and ATen's own. Standard library only."""
import dataclasses
import json
import pathlib

from contest import Tools
from machine import BenchError, run_child
from workloads import SHAPES, Target, at_least

NAME = "kernels"
REPETITIONS, MIN_TIME_S = 3, 0.1


@dataclasses.dataclass(frozen=True)
class KernelRow:
    name: str               # of the benchmark
    title: str
    limit: str              # the benchmark whose rate is the limit
    aten: str = ""          # the benchmark of ATen's own
    target: Target | None = None


def copied(name: str, title: str, target: Target | None = None) -> KernelRow:
    return KernelRow(name, title, f"copy/{name}", target=target)


KERNEL_ROWS = (
    *(KernelRow(f"attention/{length}", f"attention forward + backward, rows of {length} tokens", "peak", f"aten_attention/{length}",
                at_least(0.45, "%")) for length in (512, 1024, 2048, 4096)),
    copied("adamw", "AdamW update, 33.5 M parameters", at_least(0.9, "%")),
    KernelRow("head", "head + cross-entropy, 512 supervised tokens, forward + backward", "peak", "aten_head"),
    KernelRow("lora_linear", "LoRA-linear (up projection, r = 64), 512 tokens, forward + backward", "peak", "aten_lora_linear"),
    copied("gradient_norm", "gradient norm"), copied("rms_norm", "RMSNorm forward"), copied("rms_norm_backward", "RMSNorm backward"),
    copied("rotary", "rotary embedding"), copied("swiglu", "SwiGLU forward"), copied("swiglu_backward", "SwiGLU backward"),
    copied("dropout", "dropout"),
)


class KernelBench:
    """The same turns as a contest."""

    def __init__(self, tools: Tools, shape_name: str, quick: bool):
        self.tools, self.shape_name, self.quick = tools, shape_name, quick
        self.rounds: list[dict[str, float]] = []

    def once(self, reverse: bool) -> None:
        del reverse  # the benchmarks take turns in random order by themselves
        if not self.tools.ops_bench.exists():
            raise BenchError(f"there is no {self.tools.ops_bench}: Google Benchmark (libbenchmark-dev) was not there when Lathe was built; "
                             "install it and build again, or leave the row `kernels` out with --only")
        folder = self.tools.work / "runs" / self.shape_name / NAME
        out = folder / "ops_bench.json"
        finished = run_child([self.tools.ops_bench, SHAPES / f"{self.shape_name}.json", f"--benchmark_out={out}", "--benchmark_out_format=json",
                              f"--benchmark_repetitions={1 if self.quick else REPETITIONS}", "--benchmark_enable_random_interleaving=true",
                              f"--benchmark_min_time={0.01 if self.quick else MIN_TIME_S}"], folder)
        if finished.exit_code != 0:
            raise BenchError(f"{self.tools.ops_bench} left with {finished.exit_code}:\n{finished.tail()}")
        self.rounds.append(read_rates(out))

    def result(self) -> dict:
        return {"shape": self.shape_name, "rounds": self.rounds}


def read_rates(path: pathlib.Path) -> dict[str, float]:
    """Operations or bytes a second of each benchmark: the median of its repetitions."""
    runs: dict[str, list[float]] = {}
    for run in json.loads(path.read_text(encoding="utf-8"))["benchmarks"]:
        if run["run_type"] == "iteration":
            name = run["run_name"].removesuffix("/real_time").split("/min_time:")[0]
            runs.setdefault(name, []).append(run.get("flops") or run["bytes"])
    return {name: sorted(rates)[len(rates) // 2] for name, rates in runs.items()}
