"""Tiny base models with random weights, as Hugging Face folders. Oracle: transformers 5.23.0, torch 2.11.0."""
import pathlib
import shutil

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM

from cases import tokenizer_folder

CLASSES = {"qwen2": (Qwen2Config, Qwen2ForCausalLM), "qwen3": (Qwen3Config, Qwen3ForCausalLM)}


def make_base_model(case: dict, folder: pathlib.Path) -> None:
    """Writes config.json, model.safetensors and the tokenizer's files. The same seed gives the same bytes."""
    shape = dict(case["model"])
    config_class, model_class = CLASSES[shape.pop("type")]
    torch.manual_seed(shape.pop("seed"))
    rope = {"rope_type": "default", "rope_theta": shape.pop("rope_theta")}
    config = config_class(**shape, rope_parameters=rope, initializer_range=0.06, max_position_embeddings=2048,
                          rms_norm_eps=1e-6, eos_token_id=case["model"]["vocab_size"] - 1, use_cache=False)
    model = model_class(config)
    with torch.no_grad():  # biases of zero and norms of one would hide mistakes in them
        for name, parameter in model.named_parameters():
            if parameter.dim() == 1:
                parameter.add_(torch.randn_like(parameter) * 0.1)
    model.to(getattr(torch, case["dtype"])).save_pretrained(folder)
    for file in sorted(tokenizer_folder(case).iterdir()):
        shutil.copyfile(file, pathlib.Path(folder) / file.name)
