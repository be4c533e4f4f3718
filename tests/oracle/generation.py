"""What transformers' generate and its logits processors give, for tests/model/generation_test.cpp.

torch 2.11.0, transformers 5.23.0, fp32 on one CPU thread; seeds stand in the calls.
Run from the repository's root: python tests/oracle/generation.py
Writes tests/oracle/values/generation/{qwen2,qwen3}/ (tiny models) and values/generation/values.json.
"""
import json
import pathlib

import torch
from transformers import Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM
from transformers.generation.logits_process import (
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

OUT = pathlib.Path(__file__).parent / "values" / "generation"
SHAPE = dict(
    vocab_size=61, hidden_size=24, intermediate_size=40, num_hidden_layers=2, num_attention_heads=4,
    num_key_value_heads=2, max_position_embeddings=128, initializer_range=0.4, bos_token_id=None, eos_token_id=60,
    pad_token_id=None, rope_theta=10000.0,
)
SETTINGS = [
    dict(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.0),
    dict(temperature=0.0, top_k=0, top_p=1.0, repetition_penalty=1.3),
    dict(temperature=1.0, top_k=0, top_p=1.0, repetition_penalty=1.0),
    dict(temperature=0.7, top_k=0, top_p=1.0, repetition_penalty=1.0),
    dict(temperature=1.0, top_k=5, top_p=1.0, repetition_penalty=1.0),
    dict(temperature=1.0, top_k=0, top_p=0.8, repetition_penalty=1.0),
    dict(temperature=1.6, top_k=20, top_p=0.9, repetition_penalty=1.1),
    dict(temperature=1.0, top_k=0, top_p=0.0, repetition_penalty=1.0),
]


def make_model(family):
    torch.manual_seed(7)
    if family == "qwen2":
        return Qwen2ForCausalLM(Qwen2Config(**SHAPE, tie_word_embeddings=True)).eval()
    return Qwen3ForCausalLM(Qwen3Config(**SHAPE, head_dim=8, tie_word_embeddings=False)).eval()


def run(model, prompt, settings, seed, new_tokens):
    arguments = dict(max_new_tokens=new_tokens, repetition_penalty=settings["repetition_penalty"])
    if settings["temperature"] > 0:
        arguments |= dict(do_sample=True, temperature=settings["temperature"], top_k=settings["top_k"],
                          top_p=settings["top_p"])
    else:
        arguments |= dict(do_sample=False)
    torch.manual_seed(seed)
    ids = torch.tensor([prompt])
    return model.generate(ids, attention_mask=torch.ones_like(ids), **arguments)[0, len(prompt):].tolist()


def process(logits, seen, settings):
    ids, scores = torch.tensor([seen]), logits[None].clone()
    if settings["repetition_penalty"] != 1.0:
        scores = RepetitionPenaltyLogitsProcessor(settings["repetition_penalty"])(ids, scores)
    if settings["temperature"] > 0:
        scores = TemperatureLogitsWarper(settings["temperature"])(ids, scores)
        if settings["top_k"]:
            scores = TopKLogitsWarper(settings["top_k"])(ids, scores)
        if settings["top_p"] < 1:
            scores = TopPLogitsWarper(settings["top_p"])(ids, scores)
    return [None if x == float("-inf") else x for x in scores[0].tolist()]


def main():
    torch.set_num_threads(1)
    runs, processed = [], []
    for family in ("qwen2", "qwen3"):
        model = make_model(family)
        model.save_pretrained(OUT / family)
        (OUT / family / "generation_config.json").unlink(missing_ok=True)
        for number, prompt in enumerate(([3, 14, 15, 9, 26], [1], list(range(2, 40)))):
            for settings in SETTINGS:
                seed = 100 + number
                runs.append(dict(model=family, prompt=prompt, seed=seed, max_new_tokens=24, **settings,
                                 ids=run(model, prompt, settings, seed, 24)))
    torch.manual_seed(11)
    for settings in SETTINGS:
        logits = torch.randn(50) * 3
        seen = torch.randint(0, 50, (12,)).tolist()
        processed.append(dict(logits=logits.tolist(), seen=seen, **settings, scores=process(logits, seen, settings)))
    (OUT / "values.json").write_text(json.dumps(dict(runs=runs, processed=processed), separators=(",", ":")) + "\n")


if __name__ == "__main__":
    main()
