"""Results of bench/run as Markdown: the tables, and the page docs/benchmarks.md. Standard library only."""
import statistics

from contest import Sample
from workloads import LORA_R, WORKLOADS, Target, Workload, read_shape, work

HEADER = ("| what | Lathe | rival | ratio | lowest to highest ratio | target | reached |\n"
          "|---|---|---|---|---|---|---|")
SAYS = {"speed": "real tokens/s", "memory": "peak memory (RSS)", "share": "share of the matrix-product limit",
        "startup": "start until the first step begins"}


def shown(line: str, value: float) -> str:
    return {"speed": f"{value:.0f}", "memory": f"{value / 1e9:.2f} GB", "share": f"{100 * value:.0f} %",
            "startup": f"{value:.2f} s"}[line]


def values(line: str, samples: list[Sample], result: dict) -> list[float]:
    """The figure of each run that did finish."""
    samples = [sample for sample in samples if not sample.failed]
    if line == "memory":
        return [sample.peak_rss for sample in samples]
    if line == "startup":
        return [sample.startup for sample in samples]
    speeds = [sample.steady_tokens_per_second() for sample in samples]
    return [speed / limit for speed, limit in zip(speeds, limits(result))] if line == "share" else speeds


def limits(result: dict) -> list[float]:
    """Tokens a second if nothing but the matrix products took time, at the rate measured beside each repetition."""
    flops = work(read_shape(result["shape"]), WORKLOADS[result["workload"]], result["tokens"], result["targets"])
    return [rate["model_flops"] * result["tokens"] / flops for rate in result["rates"]]


def samples_of(plain: list[dict]) -> list[Sample]:
    return [Sample(**sample) for sample in plain]


def verdict(target: Target | None, judged: float | None) -> str:
    if target is None:
        return "–"
    return "not measured" if judged is None else "yes" if target.reached(judged) else "**not reached**"


def table_line(result: dict, line: str, rival: str, target: Target | None) -> str:
    workload: Workload = WORKLOADS[result["workload"]]
    ours, theirs = (values(line, samples_of(plain), result) for plain in (result["ours"], result["rivals"][rival]))
    ours_median = statistics.median(ours)
    ratios = [a / b for a, b in zip(ours, theirs)]
    judged = (statistics.median(ratios) if ratios else None) if target and target.unit == "×" else ours_median
    failed = next((sample["failed"] for sample in result["rivals"][rival] if sample["failed"]), "not measured")
    ratio = spread = "–"
    if ratios and line != "share":  # the ratio of shares is that of speeds
        ratio = f"{statistics.median(ratios):.2f}×"
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}" if len(ratios) > 1 else "–"
    cells = [f"{workload.title}: {SAYS[line]}, beside {rival}", shown(line, ours_median),
             shown(line, statistics.median(theirs)) if theirs else failed, ratio, spread, str(target or "–"), verdict(target, judged)]
    return "| " + " | ".join(cells) + " |"


def result_lines(result: dict) -> list[str]:
    workload = WORKLOADS[result["workload"]]
    return [table_line(result, line, rival.name, target if rival.judged else None)
            for rival in workload.rivals for line, target in workload.targets.items()]


def rates_table(results: list[dict]) -> str:
    lines = ["| products | rows | rate, median | lowest to highest |", "|---|---|---|---|"]
    def add(name: str, rows: str, rates: list[float], unit: str) -> None:
        median, lowest, highest = (value / 1e9 for value in (statistics.median(rates), min(rates), max(rates)))
        lines.append(f"| {name} | {rows} | {median:.0f} {unit} | {lowest:.0f} to {highest:.0f} |")
    measured = [result for result in results if result["rates"]]
    for result in measured:
        rows = f"{result['rates'][0]['rows']}, head {result['targets'] // (result['steps'] - 1)}"
        add(f"those of one step, {WORKLOADS[result['workload']].title}", rows, [rate["model_flops"] for rate in result["rates"]],
            "GFLOP/s")
    everything = [rate for result in measured for rate in result["rates"]]
    if everything:
        add("2048 × 2048 × 2048", "2048", [rate["cube_flops"] for rate in everything], "GFLOP/s")
        add("copy in memory, read and written", "", [rate["copy_bytes"] for rate in everything], "GB/s")
    return "\n".join(lines) if measured else ""


def loss_line(result: dict) -> str:
    """How far apart the logged losses were: both sides did the same work."""
    parts = []
    for name, plain in result["rivals"].items():
        pairs = [pair for a, b in zip(result["ours"], plain) if not b["failed"] for pair in zip(a["losses"], b["losses"])]
        if pairs:
            parts.append(f"{max(abs(a - b) / abs(b) for a, b in pairs):.1e} ({name})")
    title = WORKLOADS[result["workload"]].title
    return (f"- {title}: {result['steps']} steps, repetitions: {len(result['ours'])}; after the first step {result['tokens']} tokens, "
            f"{result['targets']} of them supervised; {padding(result)}; largest relative difference of a logged loss: "
            f"{', '.join(parts) or 'unknown'}")


def padding(result: dict) -> str:
    for plain in result["rivals"].values():
        if plain and not plain[0]["failed"]:
            return f"the rival computed {sum(plain[0]['padded'][1:])}, padding included"
    return "the rival did not finish"


def shape_section(shape: str, results: list[dict]) -> str:
    lines = [line for result in results for line in result_lines(result)]
    works = [loss_line(result) for result in results if result["workload"] != "startup"]
    blocks = [f"## {shape}", "\n".join([HEADER, *lines]), "\n".join(works), rates_table(results)]
    return "\n\n".join(block for block in blocks if block)


def tables(document: dict) -> str:
    shapes = list(dict.fromkeys(result["shape"] for result in document["results"]))
    return "\n\n".join(shape_section(shape, [result for result in document["results"] if result["shape"] == shape]) for shape in shapes)


def page(document: dict) -> str:
    machine, versions = document["machine"], document["versions"]
    return f"""# Benchmarks

This page is written by `bench/run --write`; do not edit it. A target that was not reached is shown as not reached.
Measured on {document['date']}: {machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory, {' '.join(machine['instructions'])};
threads on both sides: {machine['threads']}. Lathe {versions['lathe']}; {', '.join(f'{name} {version}' for name, version in versions.items() if name != 'lathe')}.

{tables(document)}

## What is measured
- Weights: the shape's own (`bench/shapes/`), random values, bf16 on disk. Rows: GSM8K (`tests/data/gsm8k/train.jsonl`).
- Both sides are given the same flat config: bf16, `max_seq_length` 2048, no accumulation, AdamW, a constant rate, no gradient checkpointing. LoRA: r = {LORA_R},
  alpha 16, no dropout, all seven projections. The seed gives both the same rows in the same order; the run stops when a step's tokens differ.
- The rival (`bench/rivals/transformers_peft.py`): transformers' Trainer, with peft for LoRA, padded only to the longest row of each batch, sdpa attention, no
  reports, no evaluation, no saving.
- For all weights Lathe keeps fp32 masters; the rival that does the same arithmetic loads fp32 weights under bf16 autocast. The other one, bf16 weights and bf16
  optimizer state, does less (small updates are lost in rounding); it is shown and no target is held against it.
- Real tokens/s: tokens of the rows, padding never counted, from the end of the first step to the end of the last.
- Peak memory: the largest resident set of the process, from its start to its end, mapped files included.
- Start: from the moment the process is started until its first step begins. Each side runs once uncounted just before, so that files come from memory.
- Each figure is the median of all repetitions; a ratio is worked out between neighbours in time, and its median shown. Processes run one at a time, and who
  goes first alternates. Absolute figures belong to this machine and hour; ratios travel better.
- Limit: real tokens/s if the matrix products alone took time, at the rate measured beside each repetition over the same products (`bench/machine_rates.py`).
  Work for a token, LoRA: 2P forward and 2P for input gradients (P: projections of the layers), 6 a parameter of the adapters; 4·V·H for the head, supervised tokens
  only. All weights: 6P, and 6·V·H. Attention is left out of the work, so the share is a little less than the truth.

## Again
```bash
tests/oracle/setup.sh             # the rival's environment, once
bench/run --write                 # both shapes, every row; bench/run --help for less
```
"""
