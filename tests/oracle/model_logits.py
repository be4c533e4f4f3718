#!/usr/bin/env python3
"""Tiny random Qwen2 and Qwen3 models with what transformers and peft make of them.

Made with torch 2.11.0, transformers 5.23.0, peft 0.21.2, safetensors, on a CPU, OMP_NUM_THREADS=1, seed 7.
Writes values/model/NAME/: config.json, model.safetensors (fp32) and oracle.safetensors, which holds
  ids.R, labels.R            row R (labels not shifted, -100: not trained)
  logits.R, bf16_logits.R    of the fp32 model, and of the same model rounded to bf16
  loss, grad.NAME            sum of the cross-entropy over all rows, and its gradient by every parameter
  smooth_loss                the same sum with label smoothing 0.1
  lora.NAME                  adapter weights (r 4, alpha 6, all seven projections), B not zero
  lora_loss, lora_grad.NAME  with that adapter: loss and gradients of the adapter
  lora_bf16_grad.NAME        the same over the bf16 model, under bf16 autocast
"""
import json
import os
import pathlib
import sys

os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen3Config, set_seed

SMALL = dict(hidden_size=32, intermediate_size=56, num_hidden_layers=2, vocab_size=211, max_position_embeddings=256,
             bos_token_id=1, eos_token_id=2, use_cache=False)
YARN = {"rope_type": "yarn", "rope_theta": 10000.0, "factor": 4.0, "original_max_position_embeddings": 32}
CASES = {
    "qwen2_tied": Qwen2Config(**SMALL, num_attention_heads=4, num_key_value_heads=2, tie_word_embeddings=True,
                              rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
    "qwen2_untied_yarn": Qwen2Config(**SMALL, num_attention_heads=4, num_key_value_heads=1, tie_word_embeddings=False,
                                     rope_parameters=YARN),
    "qwen3_tied": Qwen3Config(**SMALL, num_attention_heads=4, num_key_value_heads=2, head_dim=24,
                              tie_word_embeddings=True, rope_parameters={"rope_type": "default", "rope_theta": 1000000.0}),
    "qwen3_untied_bias": Qwen3Config(**SMALL, num_attention_heads=3, num_key_value_heads=3, head_dim=16,
                                     attention_bias=True, tie_word_embeddings=False,
                                     rope_parameters=dict(YARN, beta_fast=16.0, beta_slow=2.0, attention_factor=1.3)),
}
ROWS = [5, 41, 1, 18]  # tokens
TARGETS = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]


def randomise(model):
    """No weight keeps a value (one, zero) that would hide a mistake."""
    for name, parameter in model.named_parameters():
        spread = 0.3 if "norm" in name or name.endswith("bias") else 0.12
        centre = 1.0 if "norm" in name else 0.0
        parameter.data.normal_(centre, spread)


def rows_of(config):
    rows = []
    for length in ROWS:
        ids = torch.randint(3, config.vocab_size, (length,))
        labels = ids.clone()
        labels[: length // 3] = -100
        rows.append((ids, labels))
    return rows


def loss_of(model, rows, smoothing=0.0):
    total = 0.0
    for ids, labels in rows:
        logits = model(input_ids=ids[None]).logits.float()[0, :-1]
        total = total + torch.nn.functional.cross_entropy(
            logits, labels[1:], ignore_index=-100, reduction="sum", label_smoothing=smoothing)
    return total


def make(name, config, folder):
    set_seed(7)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.eval()
    randomise(model)
    folder.mkdir(parents=True, exist_ok=True)
    model.save_pretrained(folder)
    rows = rows_of(config)
    values = {}
    for i, (ids, labels) in enumerate(rows):
        values[f"ids.{i}"], values[f"labels.{i}"] = ids.int(), labels.int()
        values[f"logits.{i}"] = model(input_ids=ids[None]).logits[0]
    loss = loss_of(model, rows)
    loss.backward()
    values["loss"] = loss.double()
    values["smooth_loss"] = loss_of(model, rows, 0.1).double()
    for key, parameter in model.named_parameters():
        values["grad." + key] = parameter.grad.clone()
    model.zero_grad(set_to_none=True)

    low = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).eval()
    for i, (ids, _) in enumerate(rows):
        values[f"bf16_logits.{i}"] = low(input_ids=ids[None]).logits[0].float()

    lora = LoraConfig(r=4, lora_alpha=6, lora_dropout=0.0, target_modules=TARGETS, task_type="CAUSAL_LM")
    adapted, adapted_low = get_peft_model(model, lora).eval(), get_peft_model(low, lora).eval()
    by_name = dict(adapted_low.named_parameters())
    for key, parameter in adapted.named_parameters():
        if "lora_" not in key:
            continue
        parameter.data.normal_(0.0, 0.2)
        by_name[key].data.copy_(parameter.data)
        values["lora." + key.replace(".default", "")] = parameter.detach().clone()
    lora_loss = loss_of(adapted, rows)
    lora_loss.backward()
    values["lora_loss"] = lora_loss.double()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low_loss = loss_of(adapted_low, rows)
    low_loss.backward()
    values["lora_bf16_loss"] = low_loss.double()
    for key, parameter in adapted.named_parameters():
        if "lora_" in key:
            values["lora_grad." + key.replace(".default", "")] = parameter.grad.clone()
            values["lora_bf16_grad." + key.replace(".default", "")] = by_name[key].grad.float()
    values = {key: value.detach().clone().contiguous() for key, value in values.items()}
    save_file(values, folder / "oracle.safetensors", metadata={"format": "pt"})
    (folder / "generation_config.json").unlink(missing_ok=True)
    print(name, float(loss), float(lora_loss), sum(p.numel() for p in model.parameters()))


def main():
    root = pathlib.Path(__file__).parent / "values" / "model"
    for name, config in CASES.items():
        make(name, config, root / name)


if __name__ == "__main__":
    sys.exit(main())
