"""Qwen2.5-0.5B's full shape: `lathe init`, a few bf16 steps on GSM8K rows, and the adapter's logits in peft beside ours.

usage: full_shape.py LATHE PARITY_LOGITS     (inside the environment of tests/oracle/setup.sh; about 5 GiB of memory)
"""
import json
import pathlib
import subprocess
import sys
import tempfile

import torch
from peft import PeftModel
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

import lathe
from checks import Report

ROOT = pathlib.Path(__file__).resolve().parents[2]
IDS = [151644, 872, 198, 9707, 11, 1246, 1657, 26111, 653, 420, 3498, 30, 151645, 198, 151644, 77091, 198]
BOUND = 1e-5      # fp32 on both sides; see docs/numerics.md for what the rival differs from itself by


def our_logits(tool: str, base: pathlib.Path, adapter: pathlib.Path, out: pathlib.Path) -> torch.Tensor:
    subprocess.run([tool, str(base), str(adapter), str(out), *map(str, IDS)], check=True)
    return torch.frombuffer(bytearray(out.read_bytes()), dtype=torch.float32).view(len(IDS), -1)


def relative(a: torch.Tensor, b: torch.Tensor) -> float:
    return ((a - b).norm() / b.norm()).item()


def main() -> int:
    binary, tool = sys.argv[1:3]
    report = Report()
    with tempfile.TemporaryDirectory() as folder:
        work = pathlib.Path(folder)
        base = work / "base"
        lathe.run(binary, "init", "--config", str(ROOT / "bench/shapes/qwen2.5-0.5b.json"), "--dtype", "bfloat16",
                  "--tokenizer", str(ROOT / "tests/data/tokenizers/qwen2_5"), "-o", str(base)).check_returncode()
        config = json.loads((ROOT / "configs/train_config_lora.json").read_text(encoding="utf-8"))
        config |= {"model_name_or_path": str(base), "data_path": str(ROOT / "tests/data/gsm8k/train.jsonl"),
                   "eval_data_path": None, "eval_strategy": "no", "evaluation_strategy": "no", "load_best_model_at_end": False,
                   "save_strategy": "no", "max_steps": 2, "per_device_train_batch_size": 2,
                   "gradient_accumulation_steps": 1, "learning_rate": 2e-3, "warmup_steps": 0}
        run = lathe.Run(binary, config, work, "out").require_success()
        tensors = load_file(run.adapter)
        report.check("one A and one B a projection", len(tensors) == 2 * 7 * 24, f"{len(tensors)} tensors")

        model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
        with torch.no_grad():
            plain = model(torch.tensor([IDS])).logits[0]
            model = PeftModel.from_pretrained(model, str(run.output)).eval()
            theirs = model(torch.tensor([IDS])).logits[0]
        ours = our_logits(tool, base, run.output, work / "logits")
        moved = relative(plain, theirs)
        report.check("the adapter moves the logits", moved > 100 * BOUND, f"{moved:.1e}")
        difference = relative(ours, theirs)
        report.check("peft's logits are ours", difference <= BOUND, f"{difference:.1e}, bound {BOUND:.0e}")
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
