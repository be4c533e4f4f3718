"""QLoRA against transformers + peft + bitsandbytes, both computing in fp32: the values of every quantised weight bit for bit,
then the curve, with controls and the bounds of other fp32 runs. Runs inside the environment of tests/oracle/setup.sh.

usage: live_quantized.py LATHE_BINARY PARITY_QUANTIZE CASE …
"""
import subprocess
import sys

import torch

import quantized_base
from checks import Report, check_controls, check_initial_values, check_same_curve, controls_of
from compare import FP32
from lathe import Run
from live_case import for_each_case, live_case


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


def compare(binary: str, tool: str, name: str) -> Report:
    with live_case(binary, name) as live:
        config, work, report = live.config, live.work, live.report
        check_values(tool, config, report)
        expected = live.expected(live.train_rival())
        check_same_curve(Run(binary, config, work, "ours"), expected, FP32, report)
        check_initial_values(binary, config, work, expected, report)
        controls = {**controls_of(config), "a base that is not quantised": lambda settings: {"use_qlora": False}}
        if config["quantization_bit"] == 4:
            other = "nf4" if config.get("bnb_4bit_quant_type") == "fp4" else "fp4"
            controls["the other 4-bit type"] = lambda settings: {"bnb_4bit_quant_type": other}
        check_controls(binary, config, work, expected.log_history, FP32, report, controls)
    return report


def main() -> int:
    binary, tool, *names = sys.argv[1:]
    return for_each_case(names, lambda name: compare(binary, tool, name))


if __name__ == "__main__":
    sys.exit(main())
