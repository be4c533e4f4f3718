"""The detailed tables of one shape: every rival, memory by class, the kernels, the machine. Standard library only."""
import statistics

from figures import Figure, beside, judged_figure, kernel_figures, samples_of, shown_value
from machine import multiplies_bf16
from peers import NOT_RUN
from workloads import WORKLOADS


def joined(cells: list[str]) -> str:
    """The runs of a cell; one word when all say the same."""
    return cells[0] if len(set(cells)) == 1 else " · ".join(cells)


def spread(figure: Figure) -> str:
    return f" ({min(figure.ratios):.2f} to {max(figure.ratios):.2f})" if len(figure.ratios) > 1 else ""


def figure_line(title: str, made: list[Figure]) -> str:
    ratios = [shown_value(figure.ratio, "×") + spread(figure) for figure in made]
    return f"| {title} | {joined([figure.ours for figure in made])} | {joined([figure.theirs for figure in made])} | {joined(ratios)} |"


def rivals_table(results: list[dict]) -> str:
    """Speed and memory beside each rival of a workload. results: one a run."""
    workload = WORKLOADS[results[0]["workload"]]
    lines = ["| beside | Lathe | rival | ratio |", "|---|---|---|---|"]
    wanted = [line for line in ("speed", "memory", "startup") if line in workload.targets]
    for rival in workload.rivals:
        if all(rival.name not in result["rivals"] for result in results):
            continue
        for line in wanted:
            what = {"speed": "real tokens/s", "memory": "peak RSS", "startup": "start"}[line]
            star = "" if rival.same_rows else " (other rows a step)"
            lines.append(figure_line(f"{rival.name}{star}: {what}", [beside(result, line, rival) for result in results]))
    return "\n".join(lines)


def loss_line(result: dict) -> str:
    """How far apart the logged losses were: both sides did the same work."""
    parts = []
    for rival in WORKLOADS[result["workload"]].rivals:
        pairs = [pair for a, b in zip(result["ours"], result["rivals"].get(rival.name, [])) if not b["failed"] and rival.same_rows
                 for pair in zip(a["losses"], b["losses"])]
        if pairs:
            parts.append(f"{max(abs(a - b) / abs(b) for a, b in pairs):.1e} ({rival.name})")
    return (f"{result['steps']} steps, repetitions: {len(result['ours'])}; after the first step {result['tokens']} tokens, "
            f"{result['targets']} of them supervised; {padding(result)}; largest relative difference of a logged loss: "
            f"{', '.join(parts) or 'unknown'}.{input_wait(result)}")


def input_wait(result: dict) -> str:
    waits = [one["input_wait"] for one in result["ours"] if "input_wait" in one]
    return f" Lathe waited {max(waits) * 1e3:.1f} ms of a run for its rows." if waits else ""


def start_lines(results: list[dict]) -> str:
    """Where Lathe's starts went, one after another."""
    starts = [one for result in results for one in result["ours"] if one.get("start_parts")]
    texts = []
    for one in starts:
        parts = {"program and libraries": one["startup"] - sum(one["start_parts"].values()), **one["start_parts"]}
        shown_parts = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in parts.items() if seconds >= 0.005)
        texts.append(f"{one['startup']:.2f} s: {shown_parts}; the machine's host gave {one['start_stolen']:.2f} s of the cores to others meanwhile")
    return "\n".join(f"- {text}" for text in texts)


def padding(result: dict) -> str:
    for rival in WORKLOADS[result["workload"]].rivals:
        plain = result["rivals"].get(rival.name, [])
        if rival.judged and plain and not plain[0]["failed"]:
            return f"the rival computed {sum(plain[0]['padded'][1:])}, padding included"
    return "the rival did not finish"


def memory_table(results: list[dict]) -> str:
    """Bytes that Lathe planned before the first step and that its allocator then counted, by class, for each workload."""
    lines = ["| Lathe's memory | planned | counted at its peak | by class, planned / counted (each class at its own peak) |", "|---|---|---|---|"]
    for result in results:
        sample = samples_of(result["ours"])[-1]
        if not sample.counted:
            continue
        def mb(value: int) -> str:
            return f"{value / 1e6:,.0f}"
        classes = [f"{name} {mb(sample.planned.get(name, 0))} / {mb(size)}" for name, size in sample.counted.items()
                   if name != "total" and (size or sample.planned.get(name))]
        lines.append(f"| {WORKLOADS[result['workload']].title}, MB | {mb(sample.planned['total'])} | {mb(sample.counted['total'])} | "
                     f"{'; '.join(classes)} |")
    return "\n".join(lines) if len(lines) > 2 else ""


def kernels_table(measured: list[dict], peak_type: str) -> str:
    """measured: one a run. peak_type: what the peak and ATen's kernels are measured in."""
    if not measured:
        return ""
    runs = [kernel_figures(one) for one in measured]
    lines = ["| op, all threads | Lathe | of the peak, or of a copy | ATen | ratio |", "|---|---|---|---|---|"]
    for key in runs[-1]:
        made = [run[key] for run in runs if key in run]
        shares = joined([shown_value(figure.value, "%") for figure in made])
        ratios = joined([shown_value(figure.ratio, "×") for figure in made])
        lines.append(f"| {made[0].title} | {joined([f.ours for f in made])} | {shares} | {joined([f.theirs for f in made])} | {ratios} |")
    peaks = [statistics.median(one["peak"] for one in run["rounds"]) / 1e9 for run in measured]
    return "\n".join(lines) + f"\n\nPeak, {peak_type}, 2048 × 2048 × 2048, measured between these: {joined([f'{peak:.0f}' for peak in peaks])} GFLOP/s."


def rates_table(results: list[dict]) -> str:
    lines = ["| matrix products | rows | rate, median | lowest to highest |", "|---|---|---|---|"]
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


def workload_section(name: str, results: list[dict], documents: list[dict]) -> str:
    workload = WORKLOADS[name]
    best = [judged_figure(result, "speed", None, document) for result, document in zip(results, documents)] if "speed" in workload.targets else []
    says = f"Held against: {joined([figure.rival for figure in best])}. " if best else ""
    return "\n\n".join([f"### {workload.title}{', start' if name == 'startup' else ''}", rivals_table(results),
                        says + (loss_line(results[-1]) if name != "startup" else start_lines(results))]).rstrip()


def shape_section(shape: str, documents: list[dict]) -> str:
    blocks = [f"## {shape}"]
    by_run = [{result["workload"]: result for result in document["results"] if result["shape"] == shape} for document in documents]
    for name in WORKLOADS:
        pairs = [(run[name], document) for run, document in zip(by_run, documents) if name in run]
        if pairs:
            blocks.append(workload_section(name, [result for result, _ in pairs], [document for _, document in pairs]))
    blocks.append(f"Not run: {'; '.join(NOT_RUN)}.")
    kernels = [one for document in documents for one in document.get("kernels", []) if one["shape"] == shape and one["rounds"]]
    latest = list({name: result for run in by_run for name, result in run.items()}.values())
    peak_type = "bf16" if multiplies_bf16(documents[-1]["machine"]["instructions"]) else "fp32"
    blocks += ["### Kernels" if kernels else "", kernels_table(kernels, peak_type),
               "### Memory, planned and counted" if latest else "", memory_table(latest),
               "### The machine's matrix products" if latest else "", rates_table(latest)]
    return "\n\n".join(block for block in blocks if block)
