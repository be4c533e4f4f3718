"""QLoRA against transformers + peft + bitsandbytes, both computing in fp32: the values of every quantised weight bit for bit,
then the curve, with controls. Runs inside the environment of tests/oracle/setup.sh.

usage: live_quantized.py LATHE_BINARY PARITY_QUANTIZE CASE
"""
import pathlib
import subprocess
import sys
import tempfile

import torch
from transformers.utils import logging

import base_models
import quantized_base
import rival
from cases import flat_config, load_cases
from checks import Expected, Report, check_controls, check_initial_values, check_same_curve, controls_of
from compare import Bounds
from lathe import Run
from make_values import initial_hashes

# The loss's bound is contract.md's. The other two are first guesses, to be drawn closer from what a run prints.
BOUNDS = Bounds(loss=1e-4, grad_norm=1e-3, adapter=1e-2)


def their_bytes(weight: torch.nn.Parameter) -> bytes:
    """Codes, scales, the scales' scales, the offset: what PARITY_QUANTIZE writes, in its order."""
    if hasattr(weight, "SCB"):
        parts = [weight.data, weight.SCB]
    else:
        state = weight.quant_state
        parts = [weight.data, state.absmax] + ([state.state2.absmax, state.offset] if state.nested else [])
    return b"".join(part.detach().contiguous().reshape(-1).view(torch.uint8).numpy().tobytes() for part in parts)


def check_values(tool: str, config: dict, report: Report) -> None:
    model = quantized_base.load(config, torch.float32, "sdpa")
    kind = "int8" if config["quantization_bit"] == 8 else config.get("bnb_4bit_quant_type", "nf4")
    double = "double" if config.get("bnb_4bit_use_double_quant", True) else "single"
    wrong, compared = [], 0
    for name, parameter in model.named_parameters():
        if type(parameter).__name__ not in ("Params4bit", "Int8Params"):
            continue
        ours = subprocess.run([tool, config["model_name_or_path"], name, kind, double], check=True, capture_output=True).stdout
        theirs = their_bytes(parameter)
        compared += len(theirs)
        if ours != theirs:
            wrong.append(name)
    report.check("quantised values bit for bit", not wrong and compared > 0, f"{compared} bytes, wrong: {wrong[:3]}")


def main() -> int:
    binary, tool, case = sys.argv[1], sys.argv[2], load_cases()[sys.argv[3]]
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="lathe_parity_") as folder:
        work = pathlib.Path(folder)
        base = work / "base"
        base_models.make_base_model(case, base)
        config = flat_config(case, base, work / "ours")
        check_values(tool, config, report)
        theirs = rival.train(case, {**config, "output_dir": str(work / "theirs")})
        expected = Expected(theirs["log_history"], work / "theirs/adapter_model.safetensors", initial_hashes(theirs["initial"]))
        check_same_curve(Run(binary, config, work, "ours"), expected, BOUNDS, report)
        check_initial_values(binary, config, work, expected, report)
        controls = {**controls_of(config), "a base that is not quantised": lambda settings: {"use_qlora": False}}
        if config["quantization_bit"] == 4:
            other = "nf4" if config.get("bnb_4bit_quant_type") == "fp4" else "fp4"
            controls["the other 4-bit type"] = lambda settings: {"bnb_4bit_quant_type": other}
        check_controls(binary, config, work, expected, BOUNDS, report, controls)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
