"""One measurement: Lathe and its rivals on the same rows, one process after another, several times. Standard library only."""
import dataclasses
import json
import pathlib
import shutil
import signal
import struct

from machine import ROOT, BenchError, Finished, run_child
from workloads import SHAPES, TOKENIZERS, Rival, Workload, read_shape


@dataclasses.dataclass(frozen=True)
class Tools:
    lathe: pathlib.Path
    python: pathlib.Path    # of the oracle environment
    work: pathlib.Path      # git-ignored folder for base models and runs


@dataclasses.dataclass
class Sample:
    """One run: when its first step began and when each step ended, counted from the start of the process."""
    startup: float = 0.0
    ends: list[float] = dataclasses.field(default_factory=list)
    tokens: list[int] = dataclasses.field(default_factory=list)
    losses: list[float] = dataclasses.field(default_factory=list)
    targets: list[int] = dataclasses.field(default_factory=list)    # rival only: it sees the same rows
    padded: list[int] = dataclasses.field(default_factory=list)     # rival only
    peak_rss: int = 0
    failed: str = ""

    def steady_tokens_per_second(self) -> float:
        """The first step is left out: it touches memory for the first time and chooses kernels."""
        return sum(self.tokens[1:]) / (self.ends[-1] - self.ends[0])


def check_tools(tools: Tools) -> None:
    if not tools.lathe.exists():
        raise BenchError(f"there is no {tools.lathe}: run scripts/bootstrap and scripts/build first (./run_train.sh does both)")
    if not tools.python.exists():
        raise BenchError(f"there is no {tools.python}: the rivals run in the environment that tests/oracle/setup.sh makes; run that first")


def base_model(tools: Tools, shape_name: str) -> pathlib.Path:
    """A folder with random weights of that shape, made once; a changed shape file makes it anew."""
    folder, stamp = tools.work / "models" / shape_name, tools.work / "models" / f"{shape_name}.made_from.json"
    shape_file = SHAPES / f"{shape_name}.json"
    if folder.exists() and stamp.exists() and stamp.read_bytes() == shape_file.read_bytes():
        return folder
    stamp.unlink(missing_ok=True)
    shutil.rmtree(folder, ignore_errors=True)
    tokenizer = TOKENIZERS[read_shape(shape_name)["model_type"]]
    made = run_child([tools.lathe, "init", "--config", shape_file, "--dtype", "bfloat16", "--tokenizer", tokenizer, "-o", folder],
                     tools.work / "runs" / "init")
    if made.exit_code != 0:
        raise BenchError(f"`lathe init` left with {made.exit_code}:\n{made.tail()}")
    shutil.copyfile(shape_file, stamp)
    return folder


def first_logged_at(events: pathlib.Path) -> float:
    """Wall time of the first scalar in a TensorBoard file: records of length, CRC, event, CRC; an event is time (field 1), step (2), …"""
    data = next(events.glob("events*")).read_bytes()
    at = 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        event = data[at + 12:at + 12 + length]
        if event[0] == 0x09 and event[9] == 0x10 and event[10] != 0:
            return struct.unpack_from("<d", event, 1)[0]
        at += length + 16
    raise BenchError(f"no step was logged in {events}")


def read_ours(finished: Finished, output: pathlib.Path) -> Sample:
    """trainer_log.jsonl has tokens so far and tokens a second so far with two digits: their quotient is the time, to 1 in 10,000."""
    lines = [json.loads(line) for line in (output / "trainer_log.jsonl").read_text(encoding="utf-8").splitlines()]
    steps = [line for line in lines if "loss" in line]
    elapsed = [line["total_tokens"] / line["throughput"] for line in steps]
    startup = first_logged_at(output / "events") - elapsed[0] - finished.began
    totals = [0] + [line["total_tokens"] for line in steps]
    return Sample(startup=startup, ends=[startup + seconds for seconds in elapsed],
                  tokens=[after - before for before, after in zip(totals, totals[1:])],
                  losses=[line["loss"] for line in steps], peak_rss=finished.peak_rss)


def read_rival(finished: Finished) -> tuple[Sample, dict]:
    """Its last line, and the versions that it names."""
    line = json.loads(finished.stdout.strip().splitlines()[-1])
    return Sample(startup=line["began"] - finished.began, ends=[end - finished.began for end in line["ends"]], tokens=line["tokens"],
                  losses=line["losses"], targets=line["targets"], padded=line["padded"], peak_rss=finished.peak_rss), line["versions"]


@dataclasses.dataclass
class Contest:
    tools: Tools
    shape_name: str
    workload: Workload
    steps: int

    def __post_init__(self):
        self.ours: list[Sample] = []
        self.rivals: dict[str, list[Sample]] = {rival.name: [] for rival in self.workload.rivals}
        self.rates: list[dict] = []
        self.versions: dict = {}

    def once(self, reverse: bool) -> None:
        """Everyone once; the order turns round from one time to the next, so that a warming machine favours nobody."""
        order = [None, *self.workload.rivals]  # None: Lathe
        for rival in reversed(order) if reverse else order:
            self.run(rival)
        self.check_same_work()
        if "share" in self.workload.targets:
            self.rates.append(self.measure_rates())

    def run(self, rival: Rival | None) -> None:
        samples = self.rivals[rival.name] if rival else self.ours
        if any(sample.failed for sample in samples):
            return  # what did not fit once will not fit again
        if "startup" in self.workload.targets:
            self.run_process(rival)  # not counted: a large run before it may have pushed weights and libraries out of the page cache
        samples.append(self.run_process(rival))

    def folder(self, name: str) -> pathlib.Path:
        return self.tools.work / "runs" / self.shape_name / self.workload.name / name

    def write_config(self, folder: pathlib.Path) -> pathlib.Path:
        shutil.rmtree(folder, ignore_errors=True)  # with the tokens of the run before
        folder.mkdir(parents=True)
        config = self.workload.config(base_model(self.tools, self.shape_name), folder / "output", self.steps)
        (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        return folder / "config.json"

    def run_process(self, rival: Rival | None) -> Sample:
        folder = self.folder(rival.weights if rival else "lathe")
        config = self.write_config(folder)
        command = [self.tools.lathe, "train", "-c", config] if rival is None else \
            [self.tools.python, ROOT / "bench/rivals/transformers_peft.py", config, "--weights", rival.weights]
        finished = run_child(command, folder)
        if finished.exit_code == -signal.SIGKILL and rival:
            sample = Sample(failed="out of memory", peak_rss=finished.peak_rss)
        elif finished.exit_code != 0:
            raise BenchError(f"`{' '.join(map(str, command))}` left with {finished.exit_code}:\n{finished.tail()}")
        elif rival:
            sample, self.versions = read_rival(finished)
        else:
            sample = read_ours(finished, folder / "output")
        shutil.rmtree(folder / "output", ignore_errors=True)  # a whole model, in full training
        return sample

    def check_same_work(self) -> None:
        for name, samples in self.rivals.items():
            theirs = samples[-1]
            if not theirs.failed and theirs.tokens != self.ours[-1].tokens:
                raise BenchError(f"{self.shape_name}, {self.workload.name}: not the same rows. Tokens of each step: "
                                 f"Lathe {self.ours[-1].tokens}, {name} {theirs.tokens}")

    def counts(self) -> tuple[int, int]:
        """Tokens and supervised tokens of the steps that count; where no rival lived to count, half are taken for supervised."""
        tokens = sum(self.ours[-1].tokens[1:])
        counted = [sum(samples[-1].targets[1:]) for samples in self.rivals.values() if samples and not samples[-1].failed]
        return tokens, counted[0] if counted else tokens // 2

    def measure_rates(self) -> dict:
        tokens, targets = self.counts()
        command = [self.tools.python, ROOT / "bench/machine_rates.py", SHAPES / f"{self.shape_name}.json",
                   "--rows", tokens // (self.steps - 1), "--head-rows", targets // (self.steps - 1)]
        if not self.workload.settings["use_lora"]:
            command.append("--weight-gradients")
        finished = run_child(command, self.folder("rates"))
        if finished.exit_code != 0:
            raise BenchError(f"bench/machine_rates.py left with {finished.exit_code}:\n{finished.tail()}")
        return json.loads(finished.stdout.strip().splitlines()[-1])

    def result(self) -> dict:
        """Plain JSON, for results.json and the report."""
        tokens, targets = self.counts()
        return {"shape": self.shape_name, "workload": self.workload.name, "steps": self.steps, "tokens": tokens, "targets": targets,
                "ours": [dataclasses.asdict(sample) for sample in self.ours],
                "rivals": {name: [dataclasses.asdict(sample) for sample in samples] for name, samples in self.rivals.items()},
                "rates": self.rates}
