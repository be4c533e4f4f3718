"""From one run's results to figures: each with its ratio, spread and target. Standard library only."""
import dataclasses
import statistics

from kernel_rows import KERNEL_ROWS
from peers import Rival
from samples import Sample
from workloads import WORKLOADS, Target, read_shape, work

LINES = {"speed": "real tokens/s", "speed_any_batch": "real tokens/s, rival's best batch size", "memory": "peak memory (RSS)",
         "share": "share of the matrix-product limit", "startup": "start until the first step begins"}


@dataclasses.dataclass
class Figure:
    """One line of a table in one run. value: what the target is held against."""
    title: str
    rival: str = ""
    ours: str = "–"
    theirs: str = "–"
    ratios: list[float] = dataclasses.field(default_factory=list)
    value: float | None = None
    unit: str = "×"
    target: Target | None = None

    @property
    def ratio(self) -> float | None:
        return statistics.median(self.ratios) if self.ratios else None

    @property
    def reached(self) -> bool:
        return self.target is not None and self.value is not None and self.target.reached(self.value)


def shown_value(value: float | None, unit: str) -> str:
    if value is None:
        return "–"
    return {"%": f"{100 * value:.0f} %", "×": f"{value:.2f}×", " s": f"{value:.2f} s"}[unit]


def shown(line: str, value: float) -> str:
    if line.startswith("speed"):
        return f"{value:.0f}"
    return {"memory": f"{value / 1e9:.2f} GB", "share": f"{100 * value:.0f} %", "startup": f"{value:.2f} s"}[line]


def samples_of(plain: list[dict]) -> list[Sample]:
    return [Sample(**sample) for sample in plain]


def limits(result: dict) -> list[float]:
    """Tokens a second if nothing but the matrix products took time, at the rate measured beside each repetition."""
    flops = work(read_shape(result["shape"]), WORKLOADS[result["workload"]], result["tokens"], result["targets"])
    return [rate["model_flops"] * result["tokens"] / flops for rate in result["rates"]]


def values(line: str, samples: list[Sample], result: dict, steps: int | None = None) -> list[float]:
    """The figure of each run that did finish."""
    samples = [sample for sample in samples if not sample.failed]
    if line == "memory":
        return [sample.peak_rss for sample in samples]
    if line == "startup":
        return [sample.startup for sample in samples]
    speeds = [sample.tokens_per_second(steps) for sample in samples]
    return [speed / limit for speed, limit in zip(speeds, limits(result))] if line == "share" else speeds


def beside(result: dict, line: str, rival: Rival, source: dict | None = None) -> Figure:
    """Ratios are worked out between neighbours in time, over the steps that both made. source: where the rival was measured."""
    theirs = samples_of((source or result)["rivals"].get(rival.name, []))
    ours = samples_of(result["ours"])
    steps = min((len(sample.ends) for sample in theirs if not sample.failed), default=None) if rival.same_rows and source is None else None
    a, b = values(line, ours, result, steps), values(line, theirs, result)
    failed = next((sample.failed for sample in theirs if sample.failed), "not measured")
    return Figure(f"{WORKLOADS[result['workload']].title}: {LINES[line]}", rival.name, shown(line, statistics.median(a)),
                  shown(line, statistics.median(b)) if b else failed, [x / y for x, y in zip(a, b)])


def candidates(result: dict, line: str, document: dict) -> list[tuple[Rival, dict | None]]:
    """The rivals that a line's target is held against; with speed_any_batch also those at 8 rows, from their own row."""
    rivals = WORKLOADS[result["workload"]].rivals
    if line in ("memory", "startup", "share"):
        return [(rival, None) for rival in rivals if rival.judged]
    chosen = [(rival, None) for rival in rivals if rival.judged or (rival.best and (rival.same_rows or line == "speed_any_batch"))]
    if line == "speed_any_batch":
        for other in document["results"]:
            if other["shape"] == result["shape"] and other["workload"] == "lora_8rows":
                chosen += [(rival, other) for rival in WORKLOADS["lora_8rows"].rivals if rival.best]
    return chosen


def judged_figure(result: dict, line: str, target: Target | None, document: dict) -> Figure:
    """The line beside the best of its rivals: the one that leaves Lathe the smallest ratio of speed."""
    made = [beside(result, line, rival, source) for rival, source in candidates(result, line, document)]
    measured = [figure for figure in made if figure.ratios]
    figure = min(measured, key=lambda one: one.ratio) if measured else made[0]
    figure.target = target
    if target and target.unit != "×":
        figure.unit, figure.value = target.unit, statistics.median(values(line, samples_of(result["ours"]), result))
    elif line == "share":
        figure.unit, figure.value = "%", statistics.median(values(line, samples_of(result["ours"]), result))
    else:
        figure.value = figure.ratio
    return figure


def rate_text(rates: list[float], limit: str) -> str:
    value = statistics.median(rates) / 1e9
    return f"{value:.0f} GFLOP/s" if limit == "peak" else f"{value:.0f} GB/s"


def kernel_figures(measured: dict) -> dict[str, Figure]:
    made = {}
    for row in KERNEL_ROWS:
        rounds = [one for one in measured["rounds"] if row.name in one]
        if not rounds:
            continue
        figure = Figure(row.title, target=row.target, unit="%", ours=rate_text([one[row.name] for one in rounds], row.limit))
        figure.value = statistics.median(one[row.name] / one[row.limit] for one in rounds)
        if row.aten:
            figure.rival, figure.theirs = "ATen", rate_text([one[row.aten] for one in rounds], row.limit)
            figure.ratios = [one[row.name] / one[row.aten] for one in rounds]
        made[f"{measured['shape']}/kernels/{row.name}"] = figure
    return made


def figures(document: dict) -> dict[str, Figure]:
    """Every judged line of one run by SHAPE/ROW/LINE."""
    made = {f"{result['shape']}/{result['workload']}/{line}": judged_figure(result, line, target, document)
            for result in document["results"] for line, target in WORKLOADS[result["workload"]].targets.items()}
    for measured in document.get("kernels", []):
        made |= kernel_figures(measured)
    return made
