#!/usr/bin/env python3
"""Kills training again and again, resumes it, and compares what it ends with to a run that was left alone.

usage: kill_sweep.py LATHE [--kills N] [--seed S] [--work FOLDER]

Each run is killed a few times, by SIGKILL at random instants or by itself at a chosen call or named point of a save
(LATHE_KILL_AT, src/base/kill_point.h), started again with resume_from_checkpoint=true each time, and in the end left to
finish. Then weights, optimizer state, trainer_state.json, trainer_log.jsonl and TensorBoard's events must be those of the
undisturbed run byte for byte, but for fields that hold times, speeds or what the process used of memory.
Ends with 1 and what differs, or with 0 and counts.
"""
import argparse
import json
import os
import pathlib
import random
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time

TOKENIZER = pathlib.Path(__file__).resolve().parents[1] / "data" / "tiny_tokenizer"
MODEL = {"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "vocab_size": 640, "hidden_size": 16,
         "intermediate_size": 24, "num_hidden_layers": 2, "num_attention_heads": 2, "num_key_value_heads": 1,
         "max_position_embeddings": 256, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": True,
         "eos_token_id": 0}
SETTINGS = {"model_name_or_path": "model", "data_path": "rows.jsonl", "output_dir": "out", "use_lora": True, "lora_r": 2,
            "lora_alpha": 4, "max_seq_length": 64, "per_device_train_batch_size": 2, "learning_rate": 0.01, "max_steps": 12,
            "warmup_steps": 2, "logging_steps": 1, "save_steps": 1, "save_total_limit": 2, "fp16": False,
            "resume_from_checkpoint": "true", "report_to": ["tensorboard"], "disable_tqdm": True}
VARIANTS = {
    "accumulation, dropout, loader threads": {"gradient_accumulation_steps": 3, "lora_dropout": 0.1,
                                              "dataloader_num_workers": 3},
    "packing, dropout, loader threads": {"packing": True, "lora_dropout": 0.1, "dataloader_num_workers": 2,
                                         "gradient_accumulation_steps": 1},
    "evaluation, the best kept": {"eval_strategy": "steps", "eval_steps": 2, "save_steps": 2, "save_total_limit": 1,
                                  "load_best_model_at_end": True, "gradient_accumulation_steps": 2, "lora_dropout": 0.0},
    "whole model, bf16 with masters": {"use_lora": False, "bf16": True, "save_steps": 3, "gradient_accumulation_steps": 1},
    "4-bit base, fp16's scaling, 8-bit moments": {"use_qlora": True, "quantization_bit": 4, "lora_r": 64, "fp16": True,
                                                  "optim": "adamw_bnb_8bit", "gradient_accumulation_steps": 2},
    "whole model, drawn rounding, plateau": {"use_lora": False, "bf16": True, "bf16_stochastic_rounding": True, "eval_strategy": "steps",
                                             "eval_steps": 2, "save_steps": 2, "lr_scheduler_type": "reduce_lr_on_plateau",
                                             "gradient_accumulation_steps": 1},
}
POINTS = ["save.begin", "save.written", "save.synced", "save.manifest_synced", "save.renamed", "save.durable", "save.pruned"]
CALLS = ["open", "write", "fsync", "rename", "mkdir", "unlink", "rmdir"]
TIMES = {"elapsed_time", "remaining_time", "throughput", "memory_bytes", "train_runtime", "train_samples_per_second",
         "train_steps_per_second", "eval_runtime", "eval_samples_per_second", "eval_steps_per_second"}
LINE_BEFORE_TRAINING = b"Running training"


def without_times(value):
    if isinstance(value, dict):
        return {key: without_times(item) for key, item in value.items() if key not in TIMES}
    return [without_times(item) for item in value] if isinstance(value, list) else value


def event_records(path: pathlib.Path) -> list[bytes]:
    """Records of a TensorBoard file without their wall time, and without scalars of speed."""
    data, records, at = path.read_bytes(), [], 0
    while at < len(data):
        (length,) = struct.unpack_from("<Q", data, at)
        record = data[at + 12:at + 12 + length]
        assert len(record) == length and record[0] == 9, f"{path}: a torn record"
        if not any(name.encode() in record for name in ("runtime", "_per_second")):
            records.append(record[9:])
        at += length + 16
    return records


def facts(out: pathlib.Path) -> dict:
    """All that has to be equal."""
    found = {}
    for path in sorted(out.rglob("*.safetensors")):
        found[path.relative_to(out).as_posix()] = path.read_bytes()
    for path in [out / "trainer_state.json", *sorted(out.glob("checkpoint-*/trainer_state.json"))]:
        found[path.relative_to(out).as_posix()] = without_times(json.loads(path.read_text()))
    found["trainer_log.jsonl"] = [without_times(json.loads(line)) for line in (out / "trainer_log.jsonl").open()]
    newest = max(out.glob("checkpoint-*"), key=lambda folder: int(folder.name.split("-")[1]))
    kept = json.loads((newest / "manifest.json").read_text())["callbacks"]["tensorboard"]["path"]
    found["tensorboard"] = event_records(out.parent / kept)
    found["names"] = sorted(path.name for path in out.iterdir() if path.is_dir() or ".tmp" in path.name or ".old" in path.name)
    return found


class Sweep:
    def __init__(self, program: str, work: pathlib.Path, seed: int):
        self.program, self.work, self.draw = program, work, random.Random(seed)
        self.kills = {"at a random instant": 0, "at a call": 0, "at a named point": 0}
        self.runs = 0
        rows = [{"instruction": f"Say number {i}{'!' * (i % 9)}", "input": "", "output": f"It is {i * 7}."} for i in range(26)]
        (work / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
        (work / "model.json").write_text(json.dumps(MODEL))
        self.call("init", "--config", "model.json", "--tokenizer", str(TOKENIZER), "-o", "model")

    def command(self, *words: str) -> list[str]:
        return [self.program, *words]

    def environment(self, **more: str) -> dict:
        return {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", **more}

    def call(self, *words: str) -> float:
        start = time.monotonic()
        done = subprocess.run(self.command(*words), cwd=self.work, env=self.environment(), capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{' '.join(words)} left with {done.returncode}:\n{done.stdout}{done.stderr}")
        return time.monotonic() - start

    def training(self, **environment: str) -> subprocess.Popen:
        return subprocess.Popen(self.command("train", "-c", "train.json"), cwd=self.work, env=self.environment(**environment),
                                stdout=subprocess.PIPE, stderr=subprocess.STDOUT)

    def undisturbed(self, settings: dict) -> tuple[dict, float, float]:
        """What it ends with; seconds of the whole and of the part in which it trains."""
        (self.work / "train.json").write_text(json.dumps({**SETTINGS, **settings}))
        process, begun, start = self.training(), None, time.monotonic()
        for line in process.stdout:
            if LINE_BEFORE_TRAINING in line:
                begun = time.monotonic()
        if process.wait() != 0:
            sys.exit(f"the undisturbed run left with {process.returncode}")
        found = facts(self.work / "out")
        shutil.rmtree(self.work / "out")
        return found, time.monotonic() - start, time.monotonic() - begun

    def kill_at_random(self, whole_s: float, training_s: float) -> None:
        process = self.training()
        trains = self.draw.random() < 0.8  # the others: anywhere, loading and cleaning up included
        delay = self.draw.uniform(0, training_s if trains else whole_s)
        timer = threading.Timer(delay, process.kill)
        if not trains:
            timer.start()
        for line in process.stdout:
            if trains and LINE_BEFORE_TRAINING in line:
                timer.start()
        self.count("at a random instant", process.wait())
        timer.cancel()

    def kill_itself(self, kind: str, at: str) -> None:
        process = self.training(LATHE_KILL_AT=at)
        process.stdout.read()
        self.count(kind, process.wait())

    def count(self, kind: str, code: int) -> None:
        if code == -signal.SIGKILL:
            self.kills[kind] += 1
        elif code != 0:
            sys.exit(f"a run that was to be killed ({kind}) left with {code}; {self.work}/out/train.log may say why")

    def disturbed(self, num_kills: int, whole_s: float, training_s: float, points: list[str]) -> dict:
        for _ in range(num_kills):
            choice = self.draw.random()
            if points and choice < 0.4:
                self.kill_itself("at a named point", f"{points.pop()}:{self.draw.randint(1, 3)}")
            elif choice < 0.6:
                self.kill_itself("at a call", f"{self.draw.choice(CALLS)}:{self.draw.randint(1, 60)}")
            else:
                self.kill_at_random(whole_s, training_s)
        self.call("train", "-c", "train.json")
        self.runs += 1
        found = facts(self.work / "out")
        shutil.rmtree(self.work / "out")
        return found

    def total(self) -> int:
        return sum(self.kills.values())


def compare(variant: str, undisturbed: dict, found: dict) -> list[str]:
    names = undisturbed.keys() | found.keys()
    def fault(name: str) -> str:
        if name == "names":
            return f"{found[name]} are there in place of {undisturbed[name]}"
        return f"{name} " + ("is missing" if name not in found else "should not be there" if name not in undisturbed else "differs")
    return [f"{variant}: {fault(name)}" for name in sorted(names) if undisturbed.get(name) != found.get(name)]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--work", help="kept afterwards; default: a temporary folder")
    words = parser.parse_args()
    work = pathlib.Path(words.work or tempfile.mkdtemp(prefix="kill_sweep_"))
    work.mkdir(parents=True, exist_ok=True)
    sweep = Sweep(str(pathlib.Path(words.program).resolve()), work, words.seed)
    expected = {variant: sweep.undisturbed(settings) for variant, settings in VARIANTS.items()}
    points, faults = [], []
    while sweep.total() < words.kills and not faults:
        for variant, settings in VARIANTS.items():
            if len(points) < 4:
                points = sweep.draw.sample(POINTS, len(POINTS)) + points
            (work / "train.json").write_text(json.dumps({**SETTINGS, **settings}))
            undisturbed, whole_s, training_s = expected[variant]
            num_kills = min(8, -(-words.kills // len(VARIANTS)), words.kills - sweep.total())
            if num_kills > 0:
                faults += compare(variant, undisturbed, sweep.disturbed(num_kills, whole_s, training_s, points))
    by_kind = ", ".join(f"{count} {kind}" for kind, count in sweep.kills.items())
    print(f"{sweep.total()} kills ({by_kind}) of {sweep.runs} runs in {len(VARIANTS)} variants: "
          f"{sweep.runs - len({fault.split(':')[0] for fault in faults})} runs ended as if never killed")
    print("\n".join(faults), end="\n" if faults else "")
    if not words.work and not faults:
        shutil.rmtree(work)
    return 1 if faults else 0


if __name__ == "__main__":
    sys.exit(main())
