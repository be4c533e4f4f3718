"""The facts of docs/numerics.md that Lathe relies on, asked of transformers + peft themselves.

usage: facts.py     (inside the environment of tests/oracle/setup.sh; ctest goes through run_live.py)
"""
import math
import pathlib
import sys
import tempfile

import torch
from peft import LoraConfig, get_peft_model
from transformers import PrinterCallback, Trainer, TrainingArguments
from transformers.utils import logging

import base_models
import rival
from cases import flat_config, load_cases
from checks import Report, relative


class Recorder:
    """A collator that remembers which rows each batch held."""

    def __init__(self) -> None:
        self.batches: list[list[int]] = []

    def __call__(self, rows: list[dict]) -> dict[str, torch.Tensor]:
        self.batches.append([row["number"] for row in rows])
        return rival.collate(rows)


def third_draw(generator: torch.Generator, rank: int, fan_in: int, fan_out: int) -> torch.Tensor:
    """A as docs/numerics.md says it is drawn: constructor's A, constructor's B, then the initialiser's A."""
    def draw(shape: tuple[int, int]) -> torch.Tensor:
        bound = math.sqrt(3.0) * (math.sqrt(2.0 / 6.0) / math.sqrt(shape[1]))
        return torch.empty(shape).uniform_(-bound, bound, generator=generator)
    draw((rank, fan_in))
    draw((fan_out, rank))
    return draw((rank, fan_in))


def check_adapter_draws(case: dict, base: pathlib.Path, work: pathlib.Path, report: Report) -> None:
    for dtype in ("float32", "bfloat16"):
        config = {**flat_config(case, base, work), "bf16": dtype == "bfloat16"}
        rival.set_seed(config["seed"])
        model = rival.get_peft_model(rival.load_base(config, "sdpa"), rival.lora_config(config))
        generator = torch.Generator().manual_seed(config["seed"])
        equal, order = True, []
        for name, module in model.named_modules():
            if hasattr(module, "lora_A"):
                a = module.lora_A["default"].weight
                drawn = third_draw(generator, config["lora_r"], module.in_features, module.out_features)
                equal = equal and torch.equal(a, drawn.to(getattr(torch, dtype)).float())
                order.append(name.split(".")[-1])
        targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
        report.check(f"A is the third draw, {dtype}", equal and order == targets * 2, f"{len(order)} modules")


class FixedMask(torch.nn.Module):
    """A dropout whose mask is known; the factor 1 / (1 - p) is in it."""

    def __init__(self, mask: torch.Tensor) -> None:
        super().__init__()
        self.mask = mask

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * self.mask


def check_dora(report: Report) -> None:
    """The formula of src/model/dora.h, which tests/model/dora_test.cpp holds Lathe to: values and gradients."""
    torch.manual_seed(1)
    base = torch.nn.Sequential(torch.nn.Linear(12, 20))
    config = LoraConfig(r=3, lora_alpha=6, lora_dropout=0.3, use_dora=True, target_modules=["0"])
    model = get_peft_model(base, config).train()
    layer = model.base_model.model[0]
    mask = (torch.rand(7, 12) > 0.3).float() / 0.7
    layer.lora_dropout["default"] = FixedMask(mask)
    a, b, m = layer.lora_A["default"].weight, layer.lora_B["default"].weight, layer.lora_magnitude_vector["default"].weight
    weight, bias = layer.base_layer.weight, layer.base_layer.bias
    report.check("first magnitudes are the rows' norms", torch.equal(m, torch.linalg.norm(weight, dim=1)), "20 rows")
    b.data.normal_(0, 0.3)
    m.data.mul_(1.2)
    x, dy = torch.randn(7, 12, requires_grad=True), torch.randn(7, 20)
    theirs = model(x)
    expected = torch.autograd.grad(theirs, [x, a, b, m], dy)
    g = m / torch.linalg.norm(weight + 2 * b @ a, dim=1).detach()
    linear = torch.nn.functional.linear
    formula = linear(x, weight, bias) + (g - 1) * linear(x * mask, weight) + g * 2 * linear(linear(x * mask, a), b)
    gradients = torch.autograd.grad(formula, [x, a, b, m], dy)
    apart = max(((one - other).norm() / other.norm()).item() for one, other in zip([formula, *gradients], [theirs, *expected]))
    report.check("DoRA under dropout is the formula of model/dora.h", apart < 1e-6, f"{apart:.1e}")


def check_tied_copies(case: dict, base: pathlib.Path, work: pathlib.Path, report: Report) -> None:
    """What trains when one end of tied embeddings is in modules_to_save (docs/adapters.md)."""
    for ensure, named, expected in ((False, "embed_tokens", ["model.embed_tokens"]), (False, "lm_head", ["lm_head"]),
                                    (False, "embed_tokens,lm_head", ["lm_head", "model.embed_tokens"]),
                                    (True, "lm_head", ["model.embed_tokens"])):
        config = {**flat_config(case, base, work), "modules_to_save": named, "ensure_weight_tying": ensure}
        model = rival.get_peft_model(rival.load_base(config, "sdpa"), rival.lora_config(config))
        trained = sorted(name.removeprefix("base_model.model.").split(".modules_to_save")[0]
                         for name, parameter in model.named_parameters() if parameter.requires_grad and "lora_" not in name)
        tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
        report.check(f"tied, ensure_weight_tying {ensure}, {named}", trained == expected and tied == ensure, str(trained))


def check_rows_and_epochs(case: dict, base: pathlib.Path, work: pathlib.Path, report: Report) -> None:
    config = {**flat_config(case, base, work / "rows"), "max_steps": 11, "eval_strategy": "no", "data_seed": 5}
    rows = rival.encode_file(pathlib.Path(config["data_path"]), config)
    recorder = Recorder()
    model = rival.get_peft_model(rival.load_base(config, "sdpa"), rival.lora_config(config))
    trainer = Trainer(model=model, args=rival.training_arguments(config), data_collator=recorder,
                      train_dataset=[{**row, "number": i} for i, row in enumerate(rows)])
    trainer.remove_callback(PrinterCallback)
    trainer.train()
    for epoch in range(2):
        seen = sum(recorder.batches[epoch * 18:(epoch + 1) * 18], [])
        expected = torch.randperm(70, generator=torch.Generator().manual_seed(5 + epoch)).tolist()
        report.check(f"row order of epoch {epoch} is randperm of seed + epoch", seen == expected, f"{seen[:4]} …")
    log = [entry for entry in trainer.state.log_history if "loss" in entry]
    epochs = [e + min(4 * k, 18) / 18 for e in range(3) for k in range(1, 6)][:11]
    report.check("five updates an epoch, the last of two batches", [entry["epoch"] for entry in log] == epochs, str(epochs[:6]))
    report.check("the first rate logged under warm-up is 0", [entry["learning_rate"] for entry in log[:3]] == [0.0, 2e-3 * (1 / 5), 2e-3 * (2 / 5)], "")
    check_first_loss(config, base, rows, recorder.batches[:4], log[0], report)


def check_first_loss(config: dict, base: pathlib.Path, rows: list[dict], batches: list[list[int]], entry: dict, report: Report) -> None:
    """Sum of cross-entropies over all micro-batches, divided by labels less each row's first."""
    model = rival.load_base({**config, "model_name_or_path": str(base)}, "eager").eval()
    total, targets = 0.0, 0
    with torch.no_grad():
        for number in sum(batches, []):
            ids, labels = (torch.tensor(rows[number][key]) for key in ("input_ids", "labels"))
            logits = model(input_ids=ids[None]).logits[0, :-1].double()
            total += torch.nn.functional.cross_entropy(logits, labels[1:], ignore_index=-100, reduction="sum").item()
            targets += int((labels[1:] != -100).sum())
    apart = relative(entry["loss"], total / targets)
    report.check("logged loss is the mean over the update's targets", apart < 1e-6, f"{apart:.1e}")


def check_eval_loss(case: dict, base: pathlib.Path, work: pathlib.Path, report: Report) -> None:
    """Batches' means weighted by rows, not by tokens; the last batch holds 3 of 11 rows."""
    config = flat_config(case, base, work / "eval")
    rows = rival.encode_file(pathlib.Path(config["eval_data_path"]), config)
    model = rival.load_base(config, "eager").eval()
    means = []
    for start in range(0, len(rows), 4):
        batch = rival.collate(rows[start:start + 4])
        with torch.no_grad():
            means += [model(**batch).loss.item()] * len(rows[start:start + 4])
    trainer = Trainer(model=model, args=rival.training_arguments(config), data_collator=rival.collate, eval_dataset=rows)
    trainer.remove_callback(PrinterCallback)
    apart = relative(trainer.evaluate()["eval_loss"], sum(means) / len(means))
    report.check("eval_loss is weighted by rows", apart < 1e-6, f"{apart:.1e}")


def main() -> int:
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    case, report = load_cases()["qwen2_tied"], Report()
    with tempfile.TemporaryDirectory(prefix="lathe_facts_") as folder:
        work = pathlib.Path(folder)
        base = work / "base"
        base_models.make_base_model(case, base)
        check_adapter_draws(case, base, work, report)
        check_dora(report)
        check_tied_copies(case, base, work, report)
        check_rows_and_epochs(case, base, work, report)
        check_eval_loss(case, base, work, report)
        optimizer = TrainingArguments(output_dir=str(work), use_cpu=True).optim
        report.check("default optim", optimizer == "adamw_torch_fused", str(optimizer))
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
