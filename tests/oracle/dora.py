#!/usr/bin/env python3
"""DoRA as peft works it out: first values, files, losses and gradients.

Made with torch 2.11.0, transformers 5.23.0, peft 0.21.2, on a CPU, OMP_NUM_THREADS=1. Seed 5.
Reads the models of model_logits.py; writes
  values/lora/dora/                  an adapter as peft saves it (r 4, qwen3_tied), with ids and logits beside it
  values/lora/dora_MODEL.safetensors
    first.NAME, bf16_first.NAME      magnitudes right after get_peft_model, over the fp32 and the bf16 model
    lora.NAME                        A, B and magnitudes (r 4, alpha 6, all seven projections), all moved
    loss, grad.NAME                  of the model's rows: of the adapter, and of the base model's norms
    bf16_loss, bf16_grad.NAME        the same over the bf16 model, under bf16 autocast
"""
import os
import pathlib

os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import load_file, save_file
from transformers import AutoModelForCausalLM, set_seed

from model_logits import TARGETS, loss_of

HERE = pathlib.Path(__file__).parent / "values"
MODELS = ("qwen2_tied", "qwen3_untied_bias")


def adapted(name, dtype, **settings):
    model = AutoModelForCausalLM.from_pretrained(HERE / "model" / name, dtype=dtype)
    set_seed(5)
    return get_peft_model(model, LoraConfig(r=4, lora_alpha=6, use_dora=True, task_type="CAUSAL_LM", **settings)).eval()


def stored_name(name):
    return name.replace(".default", "").replace("lora_magnitude_vector.weight", "lora_magnitude_vector")


def move(model):
    for name, parameter in model.named_parameters():
        if "lora_magnitude" in name:
            parameter.data.mul_(1 + 0.3 * torch.randn_like(parameter))
        elif "lora_" in name:
            parameter.data.normal_(0.0, 0.2)


def rows_of(name):
    values = load_file(HERE / "model" / name / "oracle.safetensors")
    count = sum(key.startswith("ids.") for key in values)
    return [(values[f"ids.{i}"].long(), values[f"labels.{i}"].long()) for i in range(count)]


def gradients(name):
    exact, low = adapted(name, torch.float32, target_modules=TARGETS), adapted(name, torch.bfloat16, target_modules=TARGETS)
    values = {}
    for prefix, model in (("first.", exact), ("bf16_first.", low)):
        for key, parameter in model.named_parameters():
            if "lora_magnitude" in key:
                values[prefix + stored_name(key)] = parameter.detach().clone()
    move(exact)
    other = dict(low.named_parameters())
    for key, parameter in exact.named_parameters():
        if "lora_" in key:
            other[key].data.copy_(parameter.data)
            values["lora." + stored_name(key)] = parameter.detach().clone()
        elif "norm" in key:
            parameter.requires_grad_(True)
    loss = loss_of(exact, rows_of(name))
    loss.backward()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low_loss = loss_of(low, rows_of(name))
    low_loss.backward()
    values["loss"], values["bf16_loss"] = loss.detach().double(), low_loss.detach().double()
    for key, parameter in exact.named_parameters():
        if parameter.grad is not None:
            values["grad." + stored_name(key)] = parameter.grad
        if "lora_" in key:
            values["bf16_grad." + stored_name(key)] = other[key].grad.float()
    save_file({key: value.contiguous() for key, value in values.items()}, HERE / "lora" / f"dora_{name}.safetensors",
              metadata={"format": "pt"})
    print(name, float(loss), float(low_loss))


def files():
    model = adapted("qwen3_tied", torch.float32, target_modules=["q_proj", "down_proj"])
    move(model)
    model.peft_config["default"].base_model_name_or_path = "qwen3_tied"
    folder = HERE / "lora" / "dora"
    model.save_pretrained(folder)
    (folder / "README.md").unlink(missing_ok=True)
    ids = torch.randint(3, 211, (17,))
    with torch.no_grad():
        logits = model(input_ids=ids[None]).logits[0]
    save_file({"ids": ids.int(), "logits": logits}, folder / "logits.safetensors")


if __name__ == "__main__":
    files()
    for model_name in MODELS:
        gradients(model_name)
