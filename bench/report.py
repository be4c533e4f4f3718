"""Results of bench/run as Markdown: the tables, and the processor's page in docs/ from the last runs. Standard library only."""
import json

import method
import quotes
import tables
from figures import Figure, figures, shown_value
from machine import FP32, KINDS, ROOT, Kind, kind

NOTES = ROOT / "bench/notes.json"
QUOTED = """
## Figures that other pages quote
"""


def verdict(made: list[Figure | None]) -> str:
    """Reached only when every run shown reaches it."""
    measured = [figure for figure in made if figure and figure.value is not None]
    if not measured:
        return "not measured"
    if not all(figure.reached for figure in measured):
        return "**no**"
    return "yes" if len(measured) > 1 else "yes (one run)"


def summary_cell(made: list[Figure | None]) -> str:
    return " · ".join(shown_value(figure.value, figure.unit) for figure in made if figure) or "–"


def summary(documents: list[dict], shapes: list[str]) -> str:
    """Every row with a target: one line, one column a shape, the runs side by side."""
    runs = [figures(document) for document in documents]
    lines = ["| what | target | " + " | ".join(f"{shape} | reached" for shape in shapes) + " |", "|---|---|" + "---|---|" * len(shapes)]
    for key in dict.fromkeys(key.split("/", 1)[1] for run in runs for key, figure in run.items() if figure.target):
        found = {shape: [run.get(f"{shape}/{key}") for run in runs] for shape in shapes}
        one = next(figure for made in found.values() for figure in made if figure)
        cells = [f"{summary_cell(made)} | {verdict(made)}" for made in found.values()]
        lines.append(f"| {one.title} | {one.target} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def missed(documents: list[dict]) -> list[tuple[str, Figure]]:
    """SHAPE/ROW/LINE of what some run measured and did not reach."""
    return list({key: figure for document in documents for key, figure in figures(document).items()
                 if figure.target and figure.value is not None and not figure.reached}.items())


def read_notes() -> dict[str, str]:
    """The texts of bench/notes.json by each line that they are of."""
    return {key: note["says"] for note in json.loads(NOTES.read_text(encoding="utf-8")) for key in note["of"]}


def kind_of(documents: list[dict]) -> Kind:
    """The processors' kind; of several, the one that can do least."""
    return max((kind(document["machine"]["instructions"]) for document in documents), key=KINDS.index)


def notes(documents: list[dict], known: dict[str, str]) -> str:
    """What is in the way of each missed target. known: texts by SHAPE/ROW/LINE, or by ROW/LINE and the kind's ending for every shape."""
    endings = kind_of(documents).notes
    said: dict[str, dict[str, list[str]]] = {}  # text, title, shapes
    for key, figure in missed(documents):
        shape, rest = key.split("/", 1)
        text = known.get(key) or next((known[rest + ending] for ending in endings if rest + ending in known),
                                      "no note in bench/notes.json yet")
        said.setdefault(text, {}).setdefault(figure.title, []).append(shape)
    return "\n".join("- " + "; ".join(f"{title} ({', '.join(shapes)})" for title, shapes in lines.items()) + f": {text}"
                     for text, lines in said.items()) or "Every target that was measured is reached."


def shapes_of(documents: list[dict]) -> list[str]:
    return sorted({part["shape"] for document in documents for part in [*document["results"], *document.get("kernels", [])]})


def text(documents: list[dict]) -> str:
    shapes = shapes_of(documents)
    return "\n\n".join([summary(documents, shapes), "## What is not reached, and why", notes(documents, read_notes()),
                        *(tables.shape_section(shape, documents) for shape in shapes)])


def measured_on(document: dict) -> str:
    machine, versions = document["machine"], document["versions"]
    others = ", ".join(f"{name} {version}" for name, version in versions.items() if name != "lathe")
    parts = [f"{machine['processor']}, {machine['cores']} cores, {machine['memory_gib']} GiB of memory", " ".join(machine["instructions"]),
             *machine.get("gpus", [])]
    return (f"{document['date']}: {', '.join(part for part in parts if part)}; threads on both sides: {machine['threads']}; "
            f"Lathe {versions['lathe']}" + (f"; {others}" if others else ""))


FP32_INTRODUCTION = """
PyTorch's bf16 products take many times as long as fp32's here, so
every rival computes in fp32, as anybody would choose. Lathe computes in bf16 all the same: weights and activations stay bf16, blocks of them are widened and
multiplied in fp32 (`src/ops/product.h`). The limit is that of fp32 products; losses differ by bf16's rounding.
"""


def other_pages(mine: Kind) -> str:
    return ", ".join(f"[{other.title}]({other.page.name})" for other in KINDS if other is not mine and other.page.exists())


def page(documents: list[dict]) -> str:
    mine = kind_of(documents)
    others = other_pages(mine)
    said = list(dict.fromkeys(measured_on(document) for document in documents))
    runs = f"The last {len(documents)} runs stand side by side, the older one first" if len(documents) > 1 else "One run so far"
    return f"""# Benchmarks: processors {mine.title}

This page is written by `bench/run --write`; do not edit it. {runs}; a target counts as reached only when every run shown reaches it.
{chr(10).join(f'- {line}.' for line in said)}
{f"{chr(10)}Other processors: {others}.{chr(10)}" if others else ""}{FP32_INTRODUCTION if mine is FP32 else ""}
{text(documents)}

{method.TEXT}{"" if mine.figures is None else QUOTED + quotes.table(documents, mine.figures) + chr(10)}"""
