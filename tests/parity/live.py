"""Lathe against transformers + peft, run here and now. Runs inside the environment of tests/oracle/setup.sh.

usage: live.py LATHE_BINARY CASE      (ctest goes through run_live.py, which finds the environment)
"""
import json
import pathlib
import sys
import tempfile

from tokenizers import Tokenizer
from transformers.utils import logging

import base_models
import rival
from cases import flat_config, load_cases, rows_file
from checks import Expected, Report, check_controls, check_initial_values, check_same_curve, controls_of, relative
from compare import FP32, Bounds, compare_adapters, compare_logs
from lathe import Run, run, tail
from make_values import initial_hashes


def own_noise(case: dict, base: pathlib.Path, work: pathlib.Path, theirs: dict, floor: Bounds) -> Bounds:
    """Three times what the rival's two attention implementations differ by here; never narrower than the floor."""
    other = rival.train(case, flat_config(case, base, work / "eager"), attention="eager")
    noise = compare_logs(other["log_history"], theirs["log_history"])
    compare_adapters(work / "eager/adapter_model.safetensors", work / "theirs/adapter_model.safetensors", noise)
    print("     rival against itself, sdpa and eager:", noise)
    return Bounds(loss=max(floor.loss, 3 * noise.worst["loss"]), grad_norm=max(floor.grad_norm, 3 * noise.worst["grad_norm"]),
                  adapter=max(floor.adapter, 3 * noise.worst["adapter"]))


def check_tokens(binary: str, case: dict, config: dict, report: Report) -> None:
    """Every row's ids, prompt text included, before anything is trained."""
    rows = rows_file(case, "train")
    theirs = [row["input_ids"] for row in rival.encode_file(rows, {**config, "max_seq_length": 1 << 30})]
    answer = run(binary, "tokenize", "-m", config["model_name_or_path"], str(rows))
    ours = [json.loads(line) for line in answer.stdout.splitlines() if line.startswith("[")]
    report.check("ids of the rows", ours == theirs, f"{len(theirs)} rows" if ours == theirs else tail(answer)[-300:])


def check_adapter_exchange(binary: str, case: dict, ours: Run, theirs: dict, work: pathlib.Path, bounds: Bounds, report: Report) -> None:
    """Our adapter gives in peft the loss that we logged; peft's gives here the loss that it logged."""
    def last_eval(log: list[dict]) -> float:
        return [entry["eval_loss"] for entry in log if "eval_loss" in entry][-1]
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


def main() -> int:
    binary, case = sys.argv[1], load_cases()[sys.argv[2]]
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    report = Report()
    with tempfile.TemporaryDirectory(prefix="lathe_parity_") as folder:
        work = pathlib.Path(folder)
        base = work / "base"
        base_models.make_base_model(case, base)
        config = flat_config(case, base, work / "ours")
        check_tokens(binary, case, config, report)
        theirs = rival.train(case, {**config, "output_dir": str(work / "theirs")})
        expected = Expected(theirs["log_history"], work / "theirs/adapter_model.safetensors", initial_hashes(theirs["initial"]))
        bounds = FP32
        if config["bf16"]:
            bounds = own_noise(case, base, work, theirs, Bounds(loss=3e-4, grad_norm=1e-2, adapter=0))
        if "8bit" in config["optim"]:  # a last bit may tip a code
            bounds = own_noise(case, base, work, theirs, FP32)

        ours = Run(binary, config, work, "ours")
        check_same_curve(ours, expected, bounds, report)
        check_initial_values(binary, config, work, expected, report)
        check_controls(binary, config, work, expected, bounds, report, controls_of(config))
        check_adapter_exchange(binary, case, ours, theirs, work, bounds, report)
        if not config["bf16"]:  # bf16 has ties that rounding decides
            check_generation(binary, config, ours, report)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
