"""What one run leaves: when its steps ended, their tokens and losses, its memory. Standard library only."""
import dataclasses
import json
import pathlib
import struct

from machine import BenchError, Finished


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
    start_parts: dict = dataclasses.field(default_factory=dict)     # Lathe only: seconds by part; what is left is the program and its libraries
    start_stolen: float = 0.0       # Lathe only: seconds of the cores that the machine's host gave to others meanwhile
    planned: dict = dataclasses.field(default_factory=dict)         # Lathe only: bytes by class, as planned before the first step
    counted: dict = dataclasses.field(default_factory=dict)         # Lathe only: bytes by class at their peak, as its allocator counted
    checkpoint_bytes: int = 0       # Lathe only: of the last one
    input_wait: float = 0.0         # Lathe only: seconds that training waited for its rows
    failed: str = ""

    def tokens_per_second(self, steps: int | None = None) -> float:
        """Over the first `steps` steps, all if None. The first one is left out: it touches memory anew and chooses kernels."""
        count = min(steps or len(self.ends), len(self.ends))
        return sum(self.tokens[1:count]) / (self.ends[count - 1] - self.ends[0])


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


def by_class(value: dict) -> dict[str, int]:
    """Bytes by class, whether they lie flat or under the device's name."""
    inner = next((part for part in value.values() if isinstance(part, dict)), value)
    return {name: size for name, size in inner.items() if isinstance(size, int)}


def newest_checkpoint_bytes(output: pathlib.Path) -> int:
    folders = sorted(output.glob("checkpoint-*[0-9]"), key=lambda folder: int(folder.name.split("-")[1]))
    return sum(file.stat().st_size for file in folders[-1].iterdir()) if folders else 0


def read_ours(finished: Finished, output: pathlib.Path) -> Sample:
    """trainer_log.jsonl has tokens so far and tokens a second so far with two digits: their quotient is the time, to 1 in 10,000."""
    lines = [json.loads(line) for line in (output / "trainer_log.jsonl").read_text(encoding="utf-8").splitlines()]
    results = json.loads((output / "train_results.json").read_text(encoding="utf-8"))
    steps = [line for line in lines if "loss" in line]
    elapsed = [line["total_tokens"] / line["throughput"] for line in steps]
    startup = first_logged_at(output / "events") - elapsed[0] - finished.began
    totals = [0] + [line["total_tokens"] for line in steps]
    return Sample(startup=startup, ends=[startup + seconds for seconds in elapsed],
                  tokens=[after - before for before, after in zip(totals, totals[1:])],
                  losses=[line["loss"] for line in steps], peak_rss=finished.peak_rss,
                  planned=by_class(results["planned_memory_bytes"]), counted=by_class(results["peak_memory_bytes"]),
                  input_wait=results["train_input_wait_seconds"], start_parts=results["startup_parts_seconds"],
                  start_stolen=finished.stolen_until(finished.began + startup), checkpoint_bytes=newest_checkpoint_bytes(output))


def read_rival(finished: Finished) -> tuple[Sample, dict]:
    """Its last line, and the versions that it names."""
    line = json.loads(finished.stdout.strip().splitlines()[-1])
    return Sample(startup=line["began"] - finished.began, ends=[end - finished.began for end in line["ends"]], tokens=line["tokens"],
                  losses=line["losses"], targets=line["targets"], padded=line["padded"], peak_rss=finished.peak_rss), line["versions"]
