"""The other side: transformers' Trainer over a peft model, given the flat config and the base weights and nothing else.

Oracle: transformers 5.23.0, peft 0.21.2, accelerate 1.15.0, tokenizers 0.23.3, torch 2.11.0.
"""
import inspect
import pathlib
from collections.abc import Callable

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from peft.optimizers import create_loraplus_optimizer
from tokenizers import Tokenizer
from transformers import AutoModelForCausalLM, PrinterCallback, Trainer, TrainingArguments, set_seed

from cases import rows_file
from prompt import IGNORE, encode_row, read_rows

NOT_TRANSFORMERS = {"model_name_or_path", "data_path", "eval_data_path", "use_lora", "lora_r", "lora_alpha", "lora_dropout",
                    "lora_target_modules", "use_rslora", "max_seq_length", "use_qlora", "quantization_bit", "bnb_4bit_quant_type",
                    "bnb_4bit_use_double_quant", "bnb_4bit_compute_dtype", "modules_to_save", "ensure_weight_tying", "use_dora",
                    "loraplus_lr_ratio", "loraplus_weight_decay", "strict_precision"}


def load_base(config: dict, attention: str) -> torch.nn.Module:
    """A base under adapters is loaded in the type computed with; all of it trained, its weights are fp32 (autocast rounds them)."""
    narrow = torch.bfloat16 if config["bf16"] else torch.float16 if config["fp16"] else torch.float32
    dtype = narrow if config["use_lora"] else torch.float32
    if config.get("use_qlora"):
        import quantized_base
        return quantized_base.load(config, dtype, attention)
    return AutoModelForCausalLM.from_pretrained(config["model_name_or_path"], dtype=dtype, attn_implementation=attention)


def lora_config(config: dict) -> LoraConfig:
    targets = config["lora_target_modules"]
    saved = config.get("modules_to_save")
    return LoraConfig(modules_to_save=saved.split(",") if saved else None, ensure_weight_tying=config.get("ensure_weight_tying", False),
                      r=config["lora_r"], lora_alpha=config["lora_alpha"], lora_dropout=config["lora_dropout"],
                      use_rslora=config.get("use_rslora", False), use_dora=config.get("use_dora", False), bias="none", task_type="CAUSAL_LM",
                      target_modules=targets if targets == "all-linear" else targets.split(","))


def training_arguments(config: dict) -> TrainingArguments:
    keys = {key: value for key, value in config.items() if key not in NOT_TRANSFORMERS}
    known = inspect.signature(TrainingArguments).parameters
    unknown = sorted(set(keys) - set(known))
    if unknown:
        raise SystemExit(f"rival.py: transformers has no {unknown}")
    return TrainingArguments(**{**keys, "fp16": False}, use_cpu=True, disable_tqdm=True, remove_unused_columns=False, dataloader_num_workers=0,
                             dataloader_pin_memory=False, label_names=["labels"])


def collate(rows: list[dict]) -> dict[str, torch.Tensor]:
    """Padded on the right to a multiple of 8, as the toolkit does."""
    length = -8 * (-max(len(row["input_ids"]) for row in rows) // 8)
    def padded(key: str, fill: int) -> torch.Tensor:
        return torch.tensor([row[key] + [fill] * (length - len(row[key])) for row in rows])
    seen = [len(row["input_ids"]) for row in rows]
    mask = torch.tensor([[1] * n + [0] * (length - n) for n in seen])
    return {"input_ids": padded("input_ids", 0), "labels": padded("labels", IGNORE), "attention_mask": mask}


def encode_file(path: pathlib.Path, config: dict) -> list[dict]:
    tokenizer = Tokenizer.from_file(config["model_name_or_path"] + "/tokenizer.json")
    def encode(text: str) -> list[int]:
        return tokenizer.encode(text, add_special_tokens=False).ids
    return [encode_row(row, encode, config["max_seq_length"]) for row in read_rows(path)]


def loraplus_optimizer(config: dict, arguments: TrainingArguments, model: torch.nn.Module) -> torch.optim.Optimizer | None:
    """peft's optimizer of optim's class and arguments; None: the Trainer makes its own."""
    if not config.get("loraplus_lr_ratio"):
        return None
    optimizer, settings = Trainer.get_optimizer_cls_and_kwargs(arguments)
    return create_loraplus_optimizer(model, optimizer, loraplus_lr_ratio=config["loraplus_lr_ratio"],
                                     loraplus_weight_decay=config["loraplus_weight_decay"], **settings)


def compute_in_fp16(trainer: Trainer) -> None:
    """Accelerate gives fp16 on a GPU alone: here its own autocast and scaling are switched on by hand."""
    trainer.accelerator.state._mixed_precision = "fp16"
    trainer.accelerator.native_amp = True
    trainer.accelerator.scaler = torch.amp.GradScaler("cpu")


def make_trainer(case: dict, config: dict, model: torch.nn.Module) -> Trainer:
    arguments = training_arguments(config)
    trainer = Trainer(model=model, args=arguments, data_collator=collate,
                      optimizers=(loraplus_optimizer(config, arguments, model), None),
                      train_dataset=encode_file(rows_file(case, "train"), config),
                      eval_dataset=encode_file(rows_file(case, "eval"), config))
    trainer.remove_callback(PrinterCallback)
    if config["fp16"]:
        compute_in_fp16(trainer)
    return trainer


def train(case: dict, config: dict, attention: str = "sdpa", prepare: Callable[[Trainer], None] = lambda trainer: None) -> dict:
    """Trains and saves the adapter, or the whole model, into output_dir. Returns {"log_history", "initial"}; initial: A, and DoRA's
    magnitudes, of each module before step 1. `prepare` is given the trainer before it trains."""
    set_seed(config["seed"])
    model = load_base(config, attention)
    if config["use_lora"]:
        model = get_peft_model(model, lora_config(config))
    initial = {name.replace(".default", "").replace("magnitude_vector.weight", "magnitude_vector"): parameter.detach().clone()
               for name, parameter in model.named_parameters() if "lora_A" in name or "lora_magnitude" in name}
    trainer = make_trainer(case, config, model)
    prepare(trainer)
    trainer.train()
    trainer.save_model(config["output_dir"])
    return {"log_history": trainer.state.log_history, "initial": initial}


def eval_loss(case: dict, config: dict, trained: pathlib.Path) -> float:
    """eval_loss of what a run left in a folder: the base model with that adapter, loaded by peft, or a whole model."""
    if config["use_lora"]:
        model = PeftModel.from_pretrained(load_base(config, "sdpa"), str(trained))
    else:
        model = load_base({**config, "model_name_or_path": str(trained)}, "sdpa")
    return make_trainer(case, config, model).evaluate()["eval_loss"]


def generate(config: dict, adapter: pathlib.Path, prompt_ids: list[int], new_tokens: int) -> list[int]:
    """Greedy continuation, with peft's view of an adapter folder."""
    model = PeftModel.from_pretrained(load_base(config, "sdpa"), str(adapter)).eval()
    ids = torch.tensor([prompt_ids])
    out = model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), max_new_tokens=new_tokens, do_sample=False)
    return out[0, len(prompt_ids):].tolist()
