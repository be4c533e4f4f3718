"""Lathe against transformers + peft, run here and now. Runs inside the environment of tests/oracle/setup.sh.

usage: live.py LATHE_BINARY CASE …      (ctest goes through run_live.py, which finds the environment)
"""
import json
import pathlib
import sys

from tokenizers import Tokenizer

import rival
from cases import rows_file
from checks import Report, check_controls, check_initial_values, check_same_curve, controls_of, relative
from compare import FP32, Bounds
from lathe import Run, run, tail
from live_case import attention_noise, bf16_bounds, for_each_case, fp16_bounds, last_eval, live_case, noise_bounds


def check_tokens(binary: str, case: dict, config: dict, report: Report) -> None:
    """Every row's ids, prompt text included, before anything is trained."""
    rows = rows_file(case, "train")
    theirs = [row["input_ids"] for row in rival.encode_file(rows, {**config, "max_seq_length": 1 << 30})]
    answer = run(binary, "tokenize", "-m", config["model_name_or_path"], str(rows))
    ours = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("[")]
    report.check("ids of the rows", ours == theirs, f"{len(theirs)} rows" if ours == theirs else tail(answer)[-300:])


def check_adapter_exchange(binary: str, case: dict, ours: Run, theirs: dict, work: pathlib.Path, bounds: Bounds, report: Report) -> None:
    """Our adapter gives in peft the loss that we logged; peft's gives here the loss that it logged."""
    there = rival.eval_loss(case, {**ours.config, "output_dir": str(work / "exchange")}, ours.output)
    apart = relative(last_eval(ours.log_history), there)
    report.check("our adapter loaded in peft: eval_loss", apart <= bounds.loss, f"{apart:.1e}")

    back = Run(binary, ours.config, work, "their_adapter_here", adapter_name_or_path=str(work / "theirs"), eval_on_start=True,
               learning_rate=1e-30, warmup_steps=0, max_steps=1, lr_scheduler_type="constant").require_success()
    here = [entry["eval_loss"] for entry in back.log_history if "eval_loss" in entry][0]
    apart = relative(here, last_eval(theirs["log_history"]))
    report.check("peft's adapter loaded here: eval_loss", apart <= bounds.loss, f"{apart:.1e}")


def check_generation(binary: str, config: dict, ours: Run, report: Report) -> None:
    """Our adapter, asked greedily here and in peft: the same text (bytes that are no whole character left out on both sides)."""
    prompt = "Weng earns $12 an hour for babysitting. How much does she earn in 3 hours?"
    tokenizer = Tokenizer.from_file(config["model_name_or_path"] + "/tokenizer.json")
    ids = tokenizer.encode(f"<|im_start|>user\n{prompt}<|im_end|>\n<|im_start|>assistant\n", add_special_tokens=False).ids
    theirs = tokenizer.decode(rival.generate(config, ours.output, ids, 24), skip_special_tokens=True)
    answer = run(binary, "generate", "-m", config["model_name_or_path"], "--adapter", str(ours.output), "--prompt", prompt,
                 "--max-new-tokens", "24", "--temperature", "0")
    same = answer.returncode == 0 and answer.stdout.replace("\ufffd", "").strip() == theirs.replace("\ufffd", "").strip()
    report.check("our adapter generates the same text in peft", same, repr(theirs) if same else f"{tail(answer)!r} against {theirs!r}")


def compare(binary: str, name: str) -> Report:
    with live_case(binary, name) as live:
        config, work, report = live.config, live.work, live.report
        check_tokens(binary, live.case, config, report)
        theirs = live.train_rival()
        expected = live.expected(theirs)
        bounds = FP32
        if config["bf16"]:
            bounds = bf16_bounds(attention_noise(live, theirs))
        if config["fp16"]:
            bounds = fp16_bounds(attention_noise(live, theirs))
        if "8bit" in config["optim"]:  # a last bit may tip a code
            bounds = noise_bounds(attention_noise(live, theirs), FP32)
        ours = Run(binary, config, work, "ours")
        check_same_curve(ours, expected, bounds, report)
        check_initial_values(binary, config, work, expected, report)
        check_controls(binary, config, work, expected.log_history, bounds, report, controls_of(config))
        check_adapter_exchange(binary, live.case, ours, theirs, work, bounds, report)
        if not config["bf16"] and not config["fp16"]:  # few bits have ties that rounding decides
            check_generation(binary, config, ours, report)
    return report


def main() -> int:
    binary, *names = sys.argv[1:]
    return for_each_case(names, lambda name: compare(binary, name))


if __name__ == "__main__":
    sys.exit(main())
