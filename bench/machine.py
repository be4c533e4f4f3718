"""This machine and its processes: what it is, and a child that is run, timed and weighed. Standard library only."""
import dataclasses
import os
import pathlib
import platform
import shutil
import signal
import subprocess
import sys
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
SHOWN_FLAGS = ("avx2", "avx512f", "avx512_bf16", "avx512_vnni", "amx_bf16")


class BenchError(Exception):
    """Something that a person has to do or know."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


@dataclasses.dataclass(frozen=True)
class Finished:
    began: float            # seconds since 1970, just before the process was started
    exit_code: int          # negative: the signal that ended it
    peak_rss: int           # bytes
    stdout: str
    stderr: str
    timed_out: bool = False
    stolen: list[tuple[float, float]] = dataclasses.field(default_factory=list)  # see StolenTime.seen

    def stolen_until(self, at: float) -> float:
        """Seconds of the cores that the machine's host gave to others from the process's start until `at` (since 1970)."""
        totals = [total for time_s, total in self.stolen if time_s <= at]
        return totals[-1] - totals[0] if totals else 0.0

    def tail(self) -> str:
        return (self.stdout + self.stderr)[-2000:].strip()


def threads() -> int:
    return int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1)


class StolenTime(threading.Thread):
    """What a virtual machine's cores were not given, by time, while a process starts: then a slow start says whose it is."""
    FOR_S, EVERY_S = 10, 0.05

    def __init__(self):
        super().__init__(daemon=True)
        self.seen: list[tuple[float, float]] = []   # seconds since 1970; seconds of all cores so far
        self.done = threading.Event()

    def look(self) -> None:
        ticks = pathlib.Path("/proc/stat").read_text(encoding="ascii").split("\n", 1)[0].split()
        self.seen.append((time.time(), int(ticks[8]) / os.sysconf("SC_CLK_TCK")))

    def run(self) -> None:
        until = time.monotonic() + self.FOR_S
        while not self.done.wait(self.EVERY_S) and time.monotonic() < until:
            self.look()


def run_child(command: list, folder: pathlib.Path, variables: dict[str, str] | None = None, limit_s: float | None = None) -> Finished:
    """Runs one process alone. Its output goes to files: a pipe that nobody empties would stop it."""
    # Tokens are kept where the next run does not find them: every run tokenises, as its rivals do.
    environment = {**os.environ, "LATHE_CACHE_DIR": str(folder / "cache"), "OMP_NUM_THREADS": str(threads()), "HF_HUB_OFFLINE": "1",
                   "TRANSFORMERS_VERBOSITY": "error", "HF_HUB_DISABLE_PROGRESS_BARS": "1", "TOKENIZERS_PARALLELISM": "false",
                   **(variables or {})}
    folder.mkdir(parents=True, exist_ok=True)
    out, err, late = folder / "stdout", folder / "stderr", threading.Event()
    stolen = StolenTime()
    with out.open("wb") as stdout, err.open("wb") as stderr:
        stolen.look()
        began = time.time()
        process = subprocess.Popen([str(word) for word in command], stdout=stdout, stderr=stderr, env=environment, start_new_session=True)
        timer = threading.Timer(limit_s or 86400, lambda: (late.set(), os.killpg(process.pid, signal.SIGKILL)))
        timer.start()
        stolen.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)  # this child's own peak; RUSAGE_CHILDREN has the largest of all so far
        except KeyboardInterrupt:
            os.killpg(process.pid, signal.SIGKILL)
            raise
        finally:
            timer.cancel()
            stolen.done.set()
        process.returncode = os.waitstatus_to_exitcode(status)
    return Finished(began, process.returncode, usage.ru_maxrss * 1024, out.read_text(encoding="utf-8", errors="replace"),
                    err.read_text(encoding="utf-8", errors="replace"), late.is_set(), stolen.seen)


def value_of(file: str, key: str) -> str:
    for line in pathlib.Path(file).read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return ""


def gpus() -> list[str]:
    if not shutil.which("nvidia-smi"):
        return []
    asked = subprocess.run(["nvidia-smi", "--query-gpu=name", "--format=csv,noheader"], capture_output=True, text=True, check=False)
    return asked.stdout.split("\n")[:-1] if asked.returncode == 0 else []


def instructions() -> list[str]:
    """Those of the processor's instruction sets that matter here."""
    flags = value_of("/proc/cpuinfo", "flags").split()
    return [flag for flag in SHOWN_FLAGS if flag in flags]


def describe_machine() -> dict:
    gib = int(value_of("/proc/meminfo", "MemTotal").split()[0]) / (1 << 20)
    return {"processor": value_of("/proc/cpuinfo", "model name") or "unknown", "cores": os.cpu_count(),
            "gpus": gpus(), "instructions": instructions(), "memory_gib": round(gib, 1), "threads": threads()}


@dataclasses.dataclass(frozen=True)
class Kind:
    """Of processor: each has a page of its own, since the same program stands elsewhere against its rivals and limits.
    figures: what the names of its quoted figures begin with (None: none is quoted). notes: endings of notes that hold for it."""
    name: str
    title: str
    page: pathlib.Path
    figures: str | None
    notes: tuple[str, ...]


AMX = Kind("amx", "with tiles of bf16 (AMX)", ROOT / "docs/benchmarks.md", "", ("/amx", ""))
AVX512 = Kind("avx512", "with bf16 products but no tiles (AVX512_BF16 without AMX)", ROOT / "docs/benchmarks_avx512.md", "avx512/", ("",))
FP32 = Kind("fp32", "without bf16 products", ROOT / "docs/benchmarks_fp32.md", None, ("/fp32",))
KINDS = (AMX, AVX512, FP32)


def kind(of: list[str] | None = None) -> Kind:
    """This processor's, or that of the one with those instructions."""
    if not multiplies_bf16(of):
        return FP32
    return AMX if "amx_bf16" in (instructions() if of is None else of) else AVX512


def multiplies_bf16(of: list[str] | None = None) -> bool:
    """Whether the processor has bf16 products: this one, or the one with those instructions. Where there are none, PyTorch's take many
    times as long as fp32's."""
    return platform.machine() != "x86_64" or "avx512_bf16" in (instructions() if of is None else of)


def busy_note() -> str | None:
    """A word of warning when something else computes here: both sides suffer, but not evenly."""
    load = os.getloadavg()[0]
    return f"note: the load average is {load:.1f} already; other work makes the figures worthless" if load > 0.7 else None
