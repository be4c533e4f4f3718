"""Results of bench/presets as Markdown. Standard library only."""
import dataclasses

from machine import multiplies_bf16
from preset_workloads import BASE, CLAIMS, FACTORS, LONGEST_ROW, PRESETS, ROWS_A_STEP
from samples import Sample


def sample_of(plain: dict) -> Sample:
    return Sample(**{field.name: plain[field.name] for field in dataclasses.fields(Sample) if field.name in plain})


def tokens_per_second(plain: dict) -> float:
    return plain["speed"] if "speed" in plain else sample_of(plain).tokens_per_second()


def speed(plain: dict | None) -> str:
    return "–" if plain is None else plain.get("failed") or f"{tokens_per_second(plain):.0f}"


def gigabytes(size: int) -> str:
    return f"{size / 1e9:.2f} GB"


def memory(plain: dict | None) -> str:
    return "–" if plain is None else gigabytes(plain["peak_rss"])


def as_they_stand(measured: dict) -> str:
    lines = ["| `-t` | tokens trained | peak RSS | of it mapped files | loss, first and last |", "|---|---|---|---|---|"]
    for name in PRESETS:
        one = measured[name]
        lines.append(f"| `{name}` | {one['tokens']} | {memory(one)} | {gigabytes(one['file_backed'])} "
                     f"| {one['losses'][0]:.3f}, {one['losses'][1]:.3f} |")
    return "\n".join(lines)


def whole_rows(measured: dict) -> str:
    lines = ["| `-t` | tokens of two batches | planned | counted | peak RSS |", "|---|---|---|---|---|"]
    for name in PRESETS:
        one = measured[name]
        lines.append(f"| `{name}` | {one['tokens']} | {gigabytes(one['planned'])} | {gigabytes(one['counted'])} | {memory(one)} |")
    return "\n".join(lines)


def ratio(ours: float | None, theirs: float | None) -> str:
    return "–" if ours is None or not theirs else f"{ours / theirs:.2f}×"


def one_at_a_time(measured: dict) -> str:
    lines = ["| changed | real tokens/s | rival | ratio | peak RSS | rival | ratio |", "|---|---|---|---|---|---|---|"]
    for factor in FACTORS:
        one = measured.get(factor.workload.name)
        if one is None:
            continue
        ours, rival = one["ours"], one["rival"]
        whole = rival if rival and not rival["failed"] else None
        lines.append(f"| {factor.title} | {speed(ours)} | {speed(rival)} | {ratio(tokens_per_second(ours), whole and tokens_per_second(whole))} "
                     f"| {memory(ours)} | {memory(whole)} | {ratio(ours['peak_rss'], whole and whole['peak_rss'])} |")
    return "\n".join(lines)


def table_of(kind: str) -> str:
    return "whole_rows" if kind == "memory" else "one_at_a_time"


def answer(document: dict, row: str, kind: str) -> str:
    measured = document[table_of(kind)]
    one = measured.get(row)
    if one is None:
        return "not measured"
    if kind == "memory":
        return memory(one)

    def changed(side: str) -> str:
        mine, of = one[side], one["base"][side]
        if not mine or not of or mine["failed"] or of["failed"]:
            return ""
        if kind == "time":
            return f"{tokens_per_second(of) / tokens_per_second(mine):.2f}×"
        return f"{100 * (1 - mine['peak_rss'] / of['peak_rss']):.0f} %"

    rival = changed("rival")
    return changed("ours") + (f" (rival: {rival})" if rival else "")


def claims(document: dict) -> str:
    lines = ["| claim | measured |", "|---|---|"]
    lines += [f"| {claim} | {answer(document, row, kind)} |" for claim, row, kind in CLAIMS if table_of(kind) in document]
    return "\n".join(lines)


def computes(machine: dict) -> str:
    if multiplies_bf16(machine["instructions"]):
        return ""
    return (" This processor has no bf16 products: Lathe keeps the bf16 of its presets and multiplies widened factors in fp32; rivals compute in fp32 as a whole, "
            "which is faster for them than bf16 here.")


def uncertainty(measured: dict) -> str:
    """What a speed of the table is uncertain by: the base's own, each time it ran."""
    def speeds(side: str) -> str:
        runs = [measured[BASE.workload.name][side], *(one["base"][side] for one in measured.values() if one["base"])]
        return ", ".join(speed(run) for run in runs if run and not run["failed"])
    return (f"Each row is one short run. The first row's setting ran anew before the rows that claims compare with it, at {speeds('ours')} tokens/s in the order of "
            f"the table (rival: {speeds('rival')}): that is what a speed on this page is uncertain by.")


def text(document: dict) -> str:
    machine = document["machine"]
    parts = [f"Measured by `bench/presets` on {machine['processor']}, {machine['threads']} threads, with random weights of Qwen2.5-0.5B's shape and rows of "
             "GSM8K. Memory is the largest resident set of the process. On a GPU other figures hold." + computes(machine)]
    if "as_they_stand" in document:
        updates = document["as_they_stand"]["lora"]["updates"]
        parts += [f"### Each preset as it stands\nIts own rank, rows a step and accumulation; {updates} updates on rows cut on the left to {LONGEST_ROW} tokens, "
                  "no evaluation, no saving. The loss is that of random weights, and each run is its preset's warm-up. Presets differ in several things at once, so "
                  "speeds stand further down.",
                  as_they_stand(document["as_they_stand"])]
    if "whole_rows" in document:
        parts += ["### Each preset with whole rows\nOne update of two batches whose rows are packed to the preset's own `max_seq_length`: what the preset takes at most. Planned: said "
                  "before the first step. Counted: what tensors held at their peak. Peak RSS has the program, its libraries and pages kept for reuse as well.",
                  whole_rows(document["whole_rows"])]
    if "one_at_a_time" in document:
        steps = len(document["one_at_a_time"][BASE.workload.name]["ours"]["losses"])
        parts += [f"### One thing changed at a time\nEverything else stays: {ROWS_A_STEP} rows a step, whole rows, no dropout, no accumulation; {steps} steps, the first one "
                  "not counted. The rival is transformers + peft (+ bitsandbytes) on the same rows, padded to the longest row of each batch. On one rank a ZeRO stage has "
                  "nothing to partition and offload to the CPU nowhere to go: they do the arithmetic of the first row. "
                  + uncertainty(document["one_at_a_time"]),
                  one_at_a_time(document["one_at_a_time"])]
    parts += ["### What the toolkit's pages claim\nThey name neither workload nor card and contradict one another; measured is what the tables above say, for this CPU: memory with whole rows. Times are "
              "those of one token against LoRA just before in the same hour. Claims about quality (QLoRA \"90–95 %\") need trained weights and a task, and are not measured.",
              claims(document)]
    return "\n\n".join(parts)
