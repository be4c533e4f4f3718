"""Runs build/lathe on a flat config and reads what it leaves. Standard library only."""
import json
import os
import pathlib
import subprocess
import tempfile

CACHE = tempfile.TemporaryDirectory(prefix="lathe_tokens_")  # of this process alone


class Run:
    """One finished `lathe train`: its exit code, screen, log_history and output folder."""

    def __init__(self, binary: str, config: dict, work: pathlib.Path, name: str, **overrides):
        self.output = work / name
        self.config = {**config, **overrides, "output_dir": str(self.output)}
        file = work / f"{name}.json"
        file.write_text(json.dumps(self.config, indent=1), encoding="utf-8")
        self.process = run(binary, "train", "-c", str(file))

    @property
    def log_history(self) -> list[dict]:
        state = self.output / "trainer_state.json"
        if not state.exists():
            raise AssertionError(f"no {state} (exit code {self.process.returncode})\n{tail(self.process)}")
        return json.loads(state.read_text(encoding="utf-8"))["log_history"]

    @property
    def adapter(self) -> pathlib.Path:
        return self.output / "adapter_model.safetensors"

    def require_success(self) -> "Run":
        if self.process.returncode != 0:
            raise AssertionError(f"lathe train left with {self.process.returncode}\n{tail(self.process)}")
        return self


def run(binary: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "LATHE_CACHE_DIR": CACHE.name, "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1")}
    return subprocess.run([binary, *arguments], env=environment, capture_output=True, text=True, encoding="utf-8",
                          errors="replace", timeout=900, check=False)


def tail(process: subprocess.CompletedProcess) -> str:
    return (process.stdout + process.stderr)[-3000:]
