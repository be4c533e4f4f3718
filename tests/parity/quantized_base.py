"""A base model as transformers + peft + bitsandbytes quantise it, for the same flat config.

Oracle: bitsandbytes 0.50.2 on a CPU. Two of its short cuts for evaluation are switched off, for they compute something else
than what is trained: packed bf16 products with 4-bit weights, and int8 products (activations rounded too) with 8-bit ones.
"""
import bitsandbytes
import torch
from peft import prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, BitsAndBytesConfig


def quantization(config: dict) -> BitsAndBytesConfig:
    if config["quantization_bit"] == 8:
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type=config.get("bnb_4bit_quant_type", "nf4"),
                              bnb_4bit_use_double_quant=config.get("bnb_4bit_use_double_quant", True),
                              bnb_4bit_compute_dtype=torch.bfloat16 if config["bf16"] else torch.float32)


def evaluate_what_is_trained(module: torch.nn.Module) -> None:
    if isinstance(module, bitsandbytes.nn.Linear4bit):
        module.support_avx512bf16_for_cpu = False
    if isinstance(module, bitsandbytes.nn.Linear8bitLt):
        module.train = lambda mode=True: module     # stays in training mode, where weights are opened


def load(config: dict, dtype: torch.dtype, attention: str) -> torch.nn.Module:
    model = AutoModelForCausalLM.from_pretrained(config["model_name_or_path"], dtype=dtype, attn_implementation=attention,
                                                 quantization_config=quantization(config))
    model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=config.get("gradient_checkpointing", True))
    model.train()
    model.apply(evaluate_what_is_trained)
    return model
