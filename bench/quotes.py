"""Figures that other pages quote: the page's last table, and the marked numbers in the READMEs, written together so that they cannot
drift (scripts/check_docs.py holds them to one another). A quoted number is marked `2.39<!-- figure: SHAPE/ROW/LINE -->`, with the
prefix of the processor's kind before it; the mark is not seen. Of several runs the less favourable one is quoted. Standard library only."""
import re

from figures import figures
from machine import KINDS, ROOT
from workloads import WORKLOADS

QUOTING = ("README.md", "README.zh-CN.md")
MARKED = re.compile(r"([0-9.]+)(<!-- figure: (\S+) -->)")


def quoted(documents: list[dict], prefix: str) -> dict[str, str]:
    """Ratio of each judged line, and for the start both sides' seconds. prefix: of the names, by the kind of processor."""
    runs = [figures(document) for document in documents]
    made = {}
    for key in dict.fromkeys(key for run in runs for key in run):
        shape, row, line = key.split("/", 2)
        found = [run[key] for run in runs if key in run]
        if row not in WORKLOADS:
            continue
        if line == "startup":
            made[key] = f"{max(figure.value for figure in found):.1f}"
            theirs = [float(figure.theirs.split()[0]) for figure in found if figure.ratios]
            if theirs:
                made[f"{key}/rival"] = f"{min(theirs):.1f}"
        elif line in ("speed", "speed_any_batch", "memory"):
            ratios = [figure.ratio for figure in found if figure.ratio is not None]
            if ratios:
                made[key] = f"{(max if line == 'memory' else min)(ratios):.2f}"
    return {prefix + key: value for key, value in made.items()}


def table(documents: list[dict], prefix: str) -> str:
    lines = ["| quoted as | figure |", "|---|---|"]
    return "\n".join(lines + [f"| {name} | {value} |" for name, value in quoted(documents, prefix).items()])


def belongs(name: str, prefix: str) -> bool:
    """Whether a mark is of the kind with this prefix; one kind's is empty."""
    longer = (kind.figures for kind in KINDS if kind.figures and len(kind.figures) > len(prefix))
    return name.startswith(prefix) and not any(name.startswith(other) for other in longer)


def rewrite(documents: list[dict], prefix: str) -> list[str]:
    """Puts the new numbers where they are quoted; a figure of this kind of processor that was not measured keeps what it said, and is
    named."""
    known, unknown = quoted(documents, prefix), []
    def replaced(match: re.Match) -> str:
        if match.group(3) not in known and belongs(match.group(3), prefix):
            unknown.append(match.group(3))
        return known.get(match.group(3), match.group(1)) + match.group(2)
    for name in QUOTING:
        path = ROOT / name
        path.write_text(MARKED.sub(replaced, path.read_text(encoding="utf-8")), encoding="utf-8")
    return sorted(set(unknown))
