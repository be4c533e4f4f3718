"""The rival: llama.cpp's llama-finetune, all weights in fp32, on the text of the same rows laid end to end, without a mask.

usage: llama_finetune.py CONFIG.json LLAMA_FINETUNE     (in the environment of bench/setup.sh; the binary is yours)

It knows neither LoRA training nor bf16 nor prompts that are not learned. A step is one window of 512 tokens.
"""
import json
import pathlib
import re
import subprocess
import sys
import time

import gguf
import torch
from safetensors import safe_open

WINDOW = 512
# On disk -> in a GGUF file; {} is the layer.
NAMES = {"self_attn.q_proj": "attn_q", "self_attn.k_proj": "attn_k", "self_attn.v_proj": "attn_v", "self_attn.o_proj": "attn_output",
         "self_attn.q_norm": "attn_q_norm", "self_attn.k_norm": "attn_k_norm", "mlp.gate_proj": "ffn_gate", "mlp.up_proj": "ffn_up",
         "mlp.down_proj": "ffn_down", "input_layernorm": "attn_norm", "post_attention_layernorm": "ffn_norm"}
TOP = {"model.embed_tokens.weight": "token_embd.weight", "model.norm.weight": "output_norm.weight", "lm_head.weight": "output.weight"}
PROGRESS = re.compile(rb"data=(\d+)/\d+ loss=([0-9.]+|nan|inf)")


def gguf_name(name: str) -> str:
    if name in TOP:
        return TOP[name]
    layer, rest = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", name).groups()
    stem, part = rest.rsplit(".", 1)
    return f"blk.{layer}.{NAMES[stem]}.{part}"


def add_tokenizer(writer: gguf.GGUFWriter, folder: pathlib.Path, size: int) -> None:
    tokenizer = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    words = {index: word for word, index in tokenizer["model"]["vocab"].items()}
    added = {entry["id"]: entry["content"] for entry in tokenizer["added_tokens"]}
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list([added.get(i) or words.get(i) or f"[PAD{i}]" for i in range(size)])
    writer.add_token_types([gguf.TokenType.CONTROL if i in added else gguf.TokenType.NORMAL if i in words else gguf.TokenType.UNUSED
                            for i in range(size)])
    writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]])
    writer.add_eos_token_id(next(index for index, word in added.items() if word == "<|im_end|>"))
    writer.add_add_bos_token(False)


def write_gguf(folder: pathlib.Path, path: pathlib.Path) -> None:
    shape = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    writer = gguf.GGUFWriter(path, shape["model_type"])
    writer.add_context_length(shape["max_position_embeddings"])
    writer.add_embedding_length(shape["hidden_size"])
    writer.add_block_count(shape["num_hidden_layers"])
    writer.add_feed_forward_length(shape["intermediate_size"])
    writer.add_head_count(shape["num_attention_heads"])
    writer.add_head_count_kv(shape["num_key_value_heads"])
    head = shape.get("head_dim") or shape["hidden_size"] // shape["num_attention_heads"]
    writer.add_key_length(head)
    writer.add_value_length(head)
    writer.add_rope_freq_base(shape["rope_theta"])
    writer.add_layer_norm_rms_eps(shape["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.ALL_F32)
    add_tokenizer(writer, folder, shape["vocab_size"])
    for file in sorted(folder.glob("*.safetensors")):
        with safe_open(file, "pt") as tensors:
            for name in tensors.keys():
                writer.add_tensor(gguf_name(name), tensors.get_tensor(name).to(torch.float32).numpy())
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def write_text(config: dict, path: pathlib.Path, tokens: int) -> None:
    """About so many tokens of the file's first rows, in the template's words: four letters a token is more than enough."""
    text = ""
    for line in pathlib.Path(config["data_path"]).read_text(encoding="utf-8").splitlines():
        row = json.loads(line)
        text += f"<|im_start|>user\n{row['instruction']}<|im_end|>\n<|im_start|>assistant\n{row['output']}<|im_end|>\n"
        if len(text) > 4 * tokens:
            break
    path.write_text(text, encoding="utf-8")


def train(command: list[str], steps: int) -> tuple[list[float], list[float]]:
    """Runs it until so many steps are done; returns when each ended, and the losses (means so far, as it prints them)."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    ends, losses, text = [], [], b""
    while len(ends) < steps and (piece := process.stderr.read1(4096)):
        text += piece
        found = PROGRESS.findall(text)
        for count, loss in found[len(ends):steps]:
            ends.append(time.time())
            losses.append(float(loss))
    process.kill()  # the model that it would write now is no part of a step
    process.wait()
    if len(ends) < steps:
        sys.exit(f"llama-finetune stopped after {len(ends)} steps: {text[-400:].decode(errors='replace')}")
    return ends, losses


def main() -> None:
    config, binary = json.loads(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8")), sys.argv[2]
    folder, work = pathlib.Path(config["model_name_or_path"]), pathlib.Path(sys.argv[1]).parent
    model, rows, steps = work / "model.gguf", work / "rows.txt", config["max_steps"]
    write_gguf(folder, model)
    write_text(config, rows, WINDOW * (steps + 4))
    began = time.time()
    ends, losses = train([binary, "--file", rows, "--model", model, "-c", str(WINDOW), "-b", str(WINDOW), "-ub", str(WINDOW),
                          "-t", str(torch.get_num_threads()), "-tb", str(torch.get_num_threads()), "-lr", str(config["learning_rate"]),
                          "-epochs", "1", "--val-split", "0", "-o", work / "trained.gguf"], steps)
    model.unlink()
    print(json.dumps({"began": began, "ends": ends, "tokens": [WINDOW] * steps, "targets": [WINDOW] * steps, "padded": [WINDOW] * steps,
                      "losses": losses, "threads": torch.get_num_threads(), "versions": {}}))


if __name__ == "__main__":
    main()
