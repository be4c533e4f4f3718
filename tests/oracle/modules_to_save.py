#!/usr/bin/env python3
"""Adapters with modules_to_save as peft saves them.

Made with torch 2.11.0, transformers 5.23.0, peft 0.21.2, on a CPU, OMP_NUM_THREADS=1. Seed 5.
Reads the models of model_logits.py; writes for each case values/lora/saved_CASE/:
  adapter_config.json, adapter_model.safetensors   every trained weight moved away from its first value
  logits.safetensors                               ids, and the logits of the model with that adapter
"""
import os
import pathlib

os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM, set_seed

HERE = pathlib.Path(__file__).parent / "values"
CASES = {
    # The embedding trains, the head that it was tied to stays as it was.
    "parted": ("qwen3_tied", dict(modules_to_save=["embed_tokens", "norm"])),
    # The one matrix trains, and is saved twice.
    "tied": ("qwen3_tied", dict(modules_to_save=["lm_head", "input_layernorm"], ensure_weight_tying=True)),
    # gate_proj lies in a module that trains whole: it gets no adapter.
    "mlp": ("qwen2_untied_yarn", dict(modules_to_save=["lm_head", "mlp"])),
}


def main():
    for case, (name, settings) in CASES.items():
        model = AutoModelForCausalLM.from_pretrained(HERE / "model" / name, dtype=torch.float32)
        set_seed(5)
        adapted = get_peft_model(model, LoraConfig(r=3, lora_alpha=6, target_modules=["q_proj", "gate_proj"],
                                                   task_type="CAUSAL_LM", **settings)).eval()
        for parameter in adapted.parameters():
            if parameter.requires_grad:
                parameter.data.add_(torch.randn_like(parameter) * 0.1)
        adapted.peft_config["default"].base_model_name_or_path = name
        folder = HERE / "lora" / f"saved_{case}"
        adapted.save_pretrained(folder)
        (folder / "README.md").unlink(missing_ok=True)
        ids = torch.randint(3, 211, (17,))
        with torch.no_grad():
            logits = adapted(input_ids=ids[None]).logits[0]
        save_file({"ids": ids.int(), "logits": logits}, folder / "logits.safetensors")


if __name__ == "__main__":
    main()
