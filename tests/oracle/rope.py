#!/usr/bin/env python3
"""Inverse frequencies and attention factors of transformers' rotary embeddings, plain and YaRN.

Made with torch 2.11.0, transformers 5.23.0, on a CPU. Writes values/rope.json: a list of
{"config": config.json of a Qwen2 model, "inv_freq": [...], "attention_factor": x}.
"""
import json
import pathlib

from transformers import Qwen2Config
from transformers.models.qwen2.modeling_qwen2 import Qwen2RotaryEmbedding

YARN = {"rope_type": "yarn", "rope_theta": 1000000.0, "factor": 4.0, "original_max_position_embeddings": 32768}
CASES = [
    (128, {"rope_type": "default", "rope_theta": 1000000.0}),
    (64, {"rope_type": "default", "rope_theta": 10000.0}),
    (128, YARN),
    (64, dict(YARN, factor=2.5, beta_fast=16.0, beta_slow=2.0)),
    (64, dict(YARN, attention_factor=0.7)),
    (64, dict(YARN, truncate=False)),
    (64, dict(YARN, mscale=0.7, mscale_all_dim=1.3)),
    (32, dict(YARN, factor=1.0, original_max_position_embeddings=64, rope_theta=10000.0)),
]


def main():
    out = []
    for head_dim, rope in CASES:
        config = Qwen2Config(vocab_size=100, hidden_size=4 * head_dim, intermediate_size=8, num_hidden_layers=1,
                             num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=131072,
                             rope_parameters=dict(rope))
        embedding = Qwen2RotaryEmbedding(config)
        out.append({"config": config.to_dict(), "inv_freq": [float(x) for x in embedding.inv_freq],
                    "attention_factor": float(embedding.attention_scaling)})
    path = pathlib.Path(__file__).parent / "values" / "rope.json"
    path.write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
