"""Ids and labels of rows as transformers' tokenizers give them, for tests/data/dataset_test.cpp.

Writes values/data_labels.json. The text of a row is that of apply_chat_template, or of the toolkit's prompt; which
characters are answers is found by rendering the conversation up to each answer, with and without it, and a token is a
label where its first character lies in an answer.
Made with transformers 5.23.0, tokenizers 0.23.3; no random numbers are drawn.

    python tests/oracle/data_labels.py
"""

import json
import pathlib

import tokenizers
import transformers
from transformers import AutoTokenizer

HERE = pathlib.Path(__file__).parent
DATA = HERE.parent / "data"
CHATS = [
    [("user", "Hello"), ("assistant", "Hi! How can I help?")],
    [("system", "Answer in French."), ("user", "Good morning"), ("assistant", "Bonjour\n")],
    [
        ("user", "1+1?"),
        ("assistant", "2"),
        ("user", "and twice that, 加倍?"),
        ("assistant", "四 — 4.\n\nDone"),
        ("user", "\nthanks \U0001f600 "),
        ("assistant", "\n \U0001f600"),
    ],
]
THINKING = [
    [("user", "Hello"), ("assistant", "Hi!")],
    [("system", "Be brief."), ("user", "7*6?"), ("assistant", "<think>\nseven sixes\n</think>\n\n42")],
]


def toolkit(messages, add_generation_prompt=False):
    text = "".join(f"<|im_start|>{m['role']}\n{m['content']}<|im_end|>\n" for m in messages)
    return text + "<|im_start|>assistant\n" if add_generation_prompt else text[:-1]


def encode(tokenizer, render, messages):
    text = render(messages)
    answers = []
    for i, message in enumerate(messages):
        if message["role"] != "assistant":
            continue
        begin = len(render(messages[:i], add_generation_prompt=True))
        end = len(render(messages[: i + 1]).removesuffix("\n"))
        assert text[begin:end].endswith("<|im_end|>")
        answers.append((begin, end))
    encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    ids = encoded["input_ids"]
    starts = [start for start, _ in encoded["offset_mapping"]]
    trained = [any(begin <= start < end for begin, end in answers) for start in starts]
    return {"ids": ids, "labels": [id if yes else -100 for id, yes in zip(ids, trained)]}


def cases(folder, template, chats):
    tokenizer = AutoTokenizer.from_pretrained(DATA / "tokenizers" / folder)

    def chat(messages, add_generation_prompt=False):
        return tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=add_generation_prompt)

    render = toolkit if template == "toolkit" else chat
    for turns in chats:
        messages = [{"role": role, "content": content} for role, content in turns]
        yield {"tokenizer": folder, "template": template, "messages": messages, **encode(tokenizer, render, messages)}


def main():
    rows = [json.loads(line) for line in (DATA / "gsm8k" / "train.jsonl").read_text().splitlines()[:6]]
    gsm8k = [[("user", row["instruction"]), ("assistant", row["output"])] for row in rows]
    found = [
        *cases("qwen2_5", "toolkit", gsm8k + CHATS),
        *cases("qwen2_5", "chat", gsm8k[:2] + CHATS),
        *cases("qwen3", "chat", gsm8k[:2] + THINKING),
    ]
    versions = {"transformers": transformers.__version__, "tokenizers": tokenizers.__version__}
    out = {"versions": versions, "cases": found}
    (HERE / "values" / "data_labels.json").write_text(json.dumps(out, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
