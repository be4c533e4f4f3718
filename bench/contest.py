"""One measurement: Lathe and its rivals on the same rows, one process after another, several times. Standard library only."""
import dataclasses
import json
import pathlib
import shutil
import signal

from machine import ROOT, BenchError, Finished, multiplies_bf16, run_child
from peers import Rival
from samples import Sample, read_ours, read_rival
from workloads import SHAPES, TOKENIZERS, Workload, read_shape

LIMIT_S = 900   # a rival that takes longer is stopped
ONCE_STEPS = 6  # of a rival that no target is held against


@dataclasses.dataclass(frozen=True)
class Tools:
    lathe: pathlib.Path
    environments: dict[str, pathlib.Path]   # their python, by name (peers.py)
    work: pathlib.Path                      # git-ignored folder for base models and runs
    ops_bench: pathlib.Path
    llama_finetune: pathlib.Path | None = None

    @property
    def python(self) -> pathlib.Path:
        return self.environments["oracle"]

    def missing(self, rival: Rival) -> str:
        """Why it cannot run here; empty when it can."""
        if rival.environment == "binary" and self.llama_finetune is None:
            return "not measured: no --llama-finetune"
        needed = self.environments["rivals" if rival.environment == "binary" else rival.environment]
        return "" if needed.exists() else "not measured: bench/setup.sh was not run"


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


@dataclasses.dataclass
class Contest:
    tools: Tools
    shape_name: str
    workload: Workload
    steps: int
    rivals: tuple[Rival, ...]
    extra: dict = dataclasses.field(default_factory=dict)   # put into the config of both sides

    def __post_init__(self):
        self.ours: list[Sample] = []
        self.theirs: dict[str, list[Sample]] = {rival.name: [] for rival in self.rivals}
        self.rates: list[dict] = []
        self.versions: dict = {}

    def once(self, reverse: bool) -> None:
        """Everyone once; the order turns round from one time to the next, so that a warming machine favours nobody. Rivals that are
        not judged run the first time only, after the others."""
        judged = [rival for rival in self.rivals if rival.judged]
        order = [None, *judged]  # None: Lathe
        for rival in reversed(order) if reverse else order:
            self.run(rival)
        for rival in self.rivals:
            if not rival.judged and not self.theirs[rival.name]:
                self.run(rival)
        self.check_same_work()
        if "share" in self.workload.targets:
            self.rates.append(self.measure_rates())

    def run(self, rival: Rival | None) -> None:
        samples = self.theirs[rival.name] if rival else self.ours
        if any(sample.failed for sample in samples):
            return  # what did not fit once will not fit again
        if rival and (why := self.tools.missing(rival)):
            samples.append(Sample(failed=why))
            return
        if "startup" in self.workload.targets:
            self.run_process(rival)  # not counted: a large run before it may have pushed weights and libraries out of the page cache
        samples.append(self.run_process(rival))

    def folder(self, name: str) -> pathlib.Path:
        return self.tools.work / "runs" / self.shape_name / self.workload.name / name

    def write_config(self, folder: pathlib.Path, rival: Rival | None) -> pathlib.Path:
        shutil.rmtree(folder, ignore_errors=True)  # with the tokens of the run before
        folder.mkdir(parents=True)
        steps = self.steps if rival is None or rival.judged else min(self.steps, ONCE_STEPS)
        config = self.workload.config(base_model(self.tools, self.shape_name), folder / "output", steps) | self.extra
        if rival and not multiplies_bf16():
            config["bf16"] = False  # what anybody would choose there
        if rival and rival.batch:
            config["per_device_train_batch_size"] = rival.batch
        (folder / "config.json").write_text(json.dumps(config, indent=1), encoding="utf-8")
        return folder / "config.json"

    def command(self, rival: Rival | None, config: pathlib.Path) -> list:
        if rival is None:
            return [self.tools.lathe, "train", "-c", config]
        binary = rival.environment == "binary"
        python = self.tools.environments["rivals" if binary else rival.environment]
        options = [option if multiplies_bf16() else option.replace("bfloat16", "float32") for option in rival.options]
        return [python, ROOT / "bench/rivals" / rival.script, config, *options, *([self.tools.llama_finetune] if binary else [])]

    def run_process(self, rival: Rival | None) -> Sample:
        folder = self.folder(rival.folder if rival else "lathe")
        command = self.command(rival, self.write_config(folder, rival))
        finished = run_child(command, folder, dict(rival.variables) if rival else {}, LIMIT_S)
        if finished.exit_code != 0:
            sample = self.failed(rival, command, finished)
        elif rival:
            sample, versions = read_rival(finished)
            self.versions |= versions
        else:
            sample = read_ours(finished, folder / "output")
        shutil.rmtree(folder / "output", ignore_errors=True)  # a whole model, in full training
        return sample

    def failed(self, rival: Rival | None, command: list, finished: Finished) -> Sample:
        """One that ran out of memory is a figure; any other failure of Lathe or of a judged rival ends the bench."""
        if rival and finished.exit_code == -signal.SIGKILL:
            return Sample(failed=f"stopped after {LIMIT_S} s" if finished.timed_out else "out of memory", peak_rss=finished.peak_rss)
        if rival and not rival.judged:
            return Sample(failed=f"failed: {finished.tail().splitlines()[-1][:120] if finished.tail() else finished.exit_code}")
        raise BenchError(f"`{' '.join(map(str, command))}` left with {finished.exit_code}:\n{finished.tail()}")

    def check_same_work(self) -> None:
        for rival in self.rivals:
            theirs = self.theirs[rival.name][-1]
            if rival.same_rows and not theirs.failed and theirs.tokens != self.ours[-1].tokens[:len(theirs.tokens)]:
                raise BenchError(f"{self.shape_name}, {self.workload.name}: not the same rows. Tokens of each step: "
                                 f"Lathe {self.ours[-1].tokens}, {rival.name} {theirs.tokens}")

    def counts(self) -> tuple[int, int]:
        """Tokens and supervised tokens of the steps that count; where no rival lived to count, half are taken for supervised."""
        tokens = sum(self.ours[-1].tokens[1:])
        counted = [sum(samples[-1].targets[1:]) for rival in self.rivals if rival.judged
                   for samples in [self.theirs[rival.name]] if samples and not samples[-1].failed]
        return tokens, counted[0] if counted else tokens // 2

    def measure_rates(self) -> dict:
        tokens, targets = self.counts()
        command = [self.tools.python, ROOT / "bench/machine_rates.py", SHAPES / f"{self.shape_name}.json",
                   "--rows", tokens // (self.steps - 1), "--head-rows", targets // (self.steps - 1)]
        if not self.workload.settings["use_lora"]:
            command.append("--weight-gradients")
        if not multiplies_bf16():
            command += ["--type", "float32"]
        finished = run_child(command, self.folder("rates"))
        if finished.exit_code != 0:
            raise BenchError(f"bench/machine_rates.py left with {finished.exit_code}:\n{finished.tail()}")
        return json.loads(finished.stdout.strip().splitlines()[-1])

    def result(self) -> dict:
        """Plain JSON, for the results' file and the report."""
        tokens, targets = self.counts()
        return {"shape": self.shape_name, "workload": self.workload.name, "steps": self.steps, "tokens": tokens, "targets": targets,
                "ours": [dataclasses.asdict(sample) for sample in self.ours],
                "rivals": {name: [dataclasses.asdict(sample) for sample in samples] for name, samples in self.theirs.items()},
                "rates": self.rates}
