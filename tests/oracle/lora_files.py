#!/usr/bin/env python3
"""First values and files of peft adapters.

Made with torch 2.11.0, transformers 5.23.0, peft 0.21.2, on a CPU, OMP_NUM_THREADS=1.
Reads the models of model_logits.py; writes values/lora/:
  init.safetensors     CASE/NAME: adapter weights A right after set_seed(SEED) and get_peft_model
  adapter/             an adapter as peft saves it: r 4, alpha 6.5, rslora, q_proj and down_proj of qwen3_tied, B not zero
  adapter_logits.safetensors   ids and logits of qwen3_tied with that adapter
  model_init.safetensors       CASE/NAME: weights of from_config after set_seed(SEED), small pieces of each
"""
import os
import pathlib

os.environ.setdefault("OMP_NUM_THREADS", "1")
import torch
from peft import LoraConfig, get_peft_model
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM, set_seed

HERE = pathlib.Path(__file__).parent / "values"
INIT = {
    "qwen2_fp32_seed42": ("qwen2_tied", torch.float32, 42, dict(r=8, target_modules=["q_proj", "v_proj"])),
    "qwen3_bf16_seed7": ("qwen3_tied", torch.bfloat16, 7, dict(r=5, target_modules="all-linear")),
    "qwen2_regex_seed1": ("qwen2_untied_yarn", torch.float32, 1,
                          dict(r=3, target_modules=r".*layers\.1\.(self_attn\.o_proj|mlp\..*_proj)")),
}


def model_of(name, dtype=torch.float32):
    return AutoModelForCausalLM.from_pretrained(HERE / "model" / name, dtype=dtype)


def init_values():
    values = {}
    for case, (name, dtype, seed, settings) in INIT.items():
        model = model_of(name, dtype)
        set_seed(seed)
        adapted = get_peft_model(model, LoraConfig(lora_alpha=16, task_type="CAUSAL_LM", **settings))
        for key, parameter in adapted.named_parameters():
            if "lora_A" in key:
                values[f"{case}/{key.replace('.default', '')}"] = parameter.detach().clone()
    save_file(values, HERE / "lora" / "init.safetensors", metadata={"format": "pt"})


def adapter_files():
    model = model_of("qwen3_tied")
    set_seed(3)
    config = LoraConfig(r=4, lora_alpha=6.5, lora_dropout=0.05, use_rslora=True, target_modules=["q_proj", "down_proj"],
                        task_type="CAUSAL_LM", base_model_name_or_path="qwen3_tied")
    adapted = get_peft_model(model, config).eval()
    for key, parameter in adapted.named_parameters():
        if "lora_B" in key:
            parameter.data.normal_(0, 0.2)
    adapted.peft_config["default"].base_model_name_or_path = "qwen3_tied"
    adapted.save_pretrained(HERE / "lora" / "adapter")
    (HERE / "lora" / "adapter" / "README.md").unlink(missing_ok=True)
    ids = torch.randint(3, 211, (17,))
    with torch.no_grad():
        logits = adapted(input_ids=ids[None]).logits[0]
    save_file({"ids": ids.int(), "logits": logits}, HERE / "lora" / "adapter_logits.safetensors")


def model_init():
    values = {}
    for name in ("qwen2_tied", "qwen3_untied_bias"):
        for dtype in (torch.float32, torch.bfloat16):
            set_seed(11)
            model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(HERE / "model" / name), dtype=dtype)
            for key, parameter in model.named_parameters():
                case = f"{name}_{str(dtype).split('.')[1]}"
                values[f"{case}/{key}"] = parameter.detach().flatten()[-40:].float().clone()
    save_file(values, HERE / "lora" / "model_init.safetensors", metadata={"format": "pt"})


if __name__ == "__main__":
    (HERE / "lora").mkdir(parents=True, exist_ok=True)
    init_values()
    adapter_files()
    model_init()
