#!/usr/bin/env python3
"""Writes values/config_keys.json: the fields of transformers' TrainingArguments, and what follows from model configs.

Run in an environment with transformers 5.23.0 and torch 2.11.0; the path of an unpacked transformers 4.51.3 wheel is the
one argument. No random numbers are drawn.
"""
import ast
import json
import pathlib
import sys

import torch
import transformers
from transformers import AutoModelForCausalLM, Qwen2Config, Qwen3Config, SchedulerType

HERE = pathlib.Path(__file__).parent


def optimizer_names(source):
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == "OptimizerNames":
            return [s.value.value for s in node.body if isinstance(s, ast.Assign)]
    raise SystemExit("OptimizerNames not found")


def field_names(source):
    for node in ast.parse(source).body:
        if isinstance(node, ast.ClassDef) and node.name == "TrainingArguments":
            return sorted(s.target.id for s in node.body if isinstance(s, ast.AnnAssign) and not s.target.id.startswith("_"))
    raise SystemExit("TrainingArguments not found")


TINY = dict(vocab_size=131, hidden_size=48, intermediate_size=80, num_hidden_layers=3, num_attention_heads=6,
            num_key_value_heads=2, max_position_embeddings=256)
YARN = {"rope_type": "yarn", "factor": 4.0, "original_max_position_embeddings": 64, "rope_theta": 1000000.0}


def configs():
    yield "qwen2_untied", Qwen2Config(**TINY)
    yield "qwen2_tied", Qwen2Config(**TINY, tie_word_embeddings=True)
    yield "qwen2_yarn", Qwen2Config(**TINY, rope_parameters=YARN)
    yield "qwen3_head_dim", Qwen3Config(**TINY, head_dim=16)
    yield "qwen3_bias_tied", Qwen3Config(**TINY, attention_bias=True, tie_word_embeddings=True)


def describe(config):
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    attention = model.model.layers[0].self_attn
    return {
        "config": json.loads(config.to_json_string(use_diff=False)),
        "num_parameters": sum(p.numel() for p in {id(p): p for p in model.parameters()}.values()),
        "head_dim": attention.head_dim,
        "rope_theta": config.rope_parameters["rope_theta"],
        "qkv_bias": attention.q_proj.bias is not None,
        "o_bias": attention.o_proj.bias is not None,
        "qk_norm": hasattr(attention, "q_norm"),
    }


def main():
    four = pathlib.Path(sys.argv[1], "transformers/training_args.py").read_text()
    five = pathlib.Path(transformers.__file__).with_name("training_args.py").read_text()
    values = {
        "transformers": transformers.__version__,
        "keys_4.51.3": field_names(four),
        "keys_5": field_names(five),
        "optimizers": sorted({*optimizer_names(four), *optimizer_names(five)}),
        "schedulers": [s.value for s in SchedulerType],
        "models": {name: describe(config) for name, config in configs()},
    }
    (HERE / "values/config_keys.json").write_text(json.dumps(values, indent=1) + "\n")


main()
