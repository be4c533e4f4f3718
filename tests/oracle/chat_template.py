#!/usr/bin/env python3
"""Texts and ids of apply_chat_template of transformers 5.23.0 for many conversations.

    python3 tests/oracle/chat_template.py    # writes tests/oracle/values/chat_template.json

Two more published templates are made from the two that lie in tests/data/tokenizers: Qwen2.5's base models have
another default system turn; Qwen3's later files ask whether contents are texts.
"""
import hashlib
import itertools
import json
import pathlib

import transformers
from transformers import AutoTokenizer

ROOT = pathlib.Path(__file__).resolve().parents[2]

CONTENTS = ["", "Hi", "\n", " two  words \n", "\u4f60\u597d\uff0c\u4e16\u754c", "\nstarts and ends with a line feed\n", "cafe\u0301 \u1112\u1161\u11ab",
            "<tool_response>\nx\n</tool_response>", "<tool_response>x", "{{ messages }} {% if x %}", "\U0001f468\u200d\U0001f469\u200d\U0001f467"]
ANSWERS = ["Yes.", "", "\nNo\n", "<think>\nplan\n</think>\n\nAnswer", "<think></think>Answer", "\n<think>\n\n\na\n\n</think>\n\n\nb\n",
           "no beginning</think>c", "<think>never ends", "a<think>b</think>c</think>d", "x <think>y<think>z</think>w", "<think>\n \n</think>\n\n \u7b54"]


def conversations():
    user = itertools.cycle(CONTENTS)
    u = lambda: {"role": "user", "content": next(user)}
    a = lambda text: {"role": "assistant", "content": text}
    s = lambda text: {"role": "system", "content": text}
    for text in CONTENTS:
        yield [{"role": "user", "content": text}]
        yield [s(text), u()]
        yield [s(text)]
    for text in ANSWERS:
        yield [u(), a(text)]
        yield [s("Be brief."), u(), a(text), u()]
        yield [u(), a(text), u(), a("ok")]
        yield [u(), a("first"), a(text)]
        yield [u(), a(text), a("last")]
        yield [a(text)]
        yield [u(), a(text), s("later"), u(), a(text)]
        yield [u(), a(text), {"role": "user", "content": "<tool_response>\n1\n</tool_response>"}, a(text)]


def later_qwen3(jinja):
    for old, new, times in [
        ('message.role == "user" and not(', 'message.role == "user" and message.content is string and not(', 1),
        ("{%- for message in messages %}\n", "{%- for message in messages %}\n    {%- if message.content is string %}\n        "
         "{%- set content = message.content %}\n    {%- else %}\n        {%- set content = '' %}\n    {%- endif %}\n", 1),
        ("+ '\\n' + message.content + '<|im_end|>'", "+ '\\n' + content + '<|im_end|>'", 1),
        ("        {%- set content = message.content %}\n        {%- set reasoning_content = '' %}\n",
         "        {%- set reasoning_content = '' %}\n", 1),
        ("message.reasoning_content is defined and message.reasoning_content is not none", "message.reasoning_content is string", 1),
        ("'</think>' in message.content %}\n                {%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}\n"
         "                {%- set reasoning_content = message.content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n",
         "'</think>' in content %}\n                {%- set reasoning_content = content.split('</think>')[0].rstrip('\\n').split('<think>')[-1].lstrip('\\n') %}\n"
         "                {%- set content = content.split('</think>')[-1].lstrip('\\n') %}\n", 1),
        ("        {{- message.content }}\n        {{- '\\n</tool_response>' }}", "        {{- content }}\n        {{- '\\n</tool_response>' }}", 1),
    ]:
        assert jinja.count(old) == times, (old, jinja.count(old))
        jinja = jinja.replace(old, new)
    return jinja


def main():
    assert transformers.__version__ == "5.23.0"
    tokenizers = {n: AutoTokenizer.from_pretrained(str(ROOT / "tests/data/tokenizers" / n)) for n in ("qwen2_5", "qwen3")}
    instruct = tokenizers["qwen2_5"].chat_template
    base = instruct.replace("You are Qwen, created by Alibaba Cloud. You are a helpful assistant.", "You are a helpful assistant.")
    variants = [("qwen2_5", "qwen2_5", instruct), ("qwen2_5_base", "qwen2_5", base), ("qwen3", "qwen3", tokenizers["qwen3"].chat_template),
                ("qwen3_later", "qwen3", later_qwen3(tokenizers["qwen3"].chat_template))]
    out = {"made_with": f"transformers {transformers.__version__}", "conversations": [], "templates": {}}
    for messages in conversations():
        entry = {"messages": messages, "texts": {}, "ids": {}}
        for name, folder, jinja in variants:
            tokenizer = tokenizers[folder]
            for options in ({}, {"add_generation_prompt": True}, {"add_generation_prompt": True, "enable_thinking": False}):
                if options.get("enable_thinking") is False and folder == "qwen2_5":
                    continue
                key = name + "".join(f" {k}={v}" for k, v in options.items())
                text = tokenizer.apply_chat_template(messages, tokenize=False, chat_template=jinja, **options)
                if len(options) == 0 and name in ("qwen2_5", "qwen3"):
                    ids = tokenizer.apply_chat_template(messages, tokenize=True, return_dict=False, chat_template=jinja)
                    entry["ids"][name] = ids
                    entry["texts"][key] = text
                else:
                    entry["texts"][key] = hashlib.sha256(text.encode()).hexdigest()[:16]
        out["conversations"].append(entry)
    for name, folder, jinja in variants:
        out["templates"][name] = {"jinja": jinja}
        print(name, hashlib.sha256(jinja.strip(" \t\r\n").encode()).hexdigest())
    path = ROOT / "tests/oracle/values/chat_template.json"
    path.write_text(json.dumps(out, ensure_ascii=True, separators=(",", ":")) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
