#!/usr/bin/env python3
"""Holds the Markdown files to the tree: links lead somewhere, files named in `code` exist, quoted code is the code, quoted figures
are those of docs/benchmarks*.md.

usage: check_docs.py ROOT      leaves with 1 and one line a fault

Quoted code: a line `<!-- code: PATH -->` before a fenced block says that its lines stand in PATH, one after another.
Files named: `dir/file` in backticks, where dir is one of FOLDERS; names with a placeholder (*, <, capitals only, …) are left out.
Figures: `2.39<!-- figure: SHAPE/ROW/LINE -->` says what the last table of a docs/benchmarks*.md says under that name; in a section that
quotes any (and is not that page), no other number with a decimal point stands.
"""
import pathlib
import re
import sys

FOLDERS = ("bench", "cmake", "configs", "data", "docs", "examples", "include", "scripts", "src", "tests")
LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
NAMED = re.compile(r"`((?:" + "|".join(FOLDERS) + r")/[A-Za-z0-9_./-]+)(?:[:#][^`]*)?`")
QUOTE = re.compile(r"<!-- code: (\S+?)(?:#\S+)? -->\n+```[a-z+]*\n(.*?)```", re.S)
PLACEHOLDER = re.compile(r"(?:^|[/_.])(?:[A-Z]{1,}|NAME|NNN)(?:[/_.]|$)")
FIGURE = re.compile(r"([0-9.]+)<!-- figure: (\S+) -->")
FIGURE_ROW = re.compile(r"^\| (\S+/\S+/\S+) \| ([0-9.]+) \|$", re.M)
FIGURES_PAGES = "docs/benchmarks*.md"
UNMARKED = re.compile(r"(?<![\w.-])\d+\.\d+(?![\w.-])", re.A)
SKIPPED = {".deps", ".git", "build"}


def faults_of_links(path: pathlib.Path, text: str) -> list[str]:
    found = []
    for target in LINK.findall(text):
        file = target.split("#")[0]
        if file and "://" not in target and not target.startswith("mailto:") and not (path.parent / file).exists():
            found.append(f"link to {target}, which is not there")
    return found


def faults_of_names(root: pathlib.Path, text: str) -> list[str]:
    return [f"names {name}, which is not there" for name in NAMED.findall(text)
            if not PLACEHOLDER.search(name) and not (root / name).exists()]


def faults_of_quotes(root: pathlib.Path, text: str) -> list[str]:
    found = []
    for name, block in QUOTE.findall(text):
        source = root / name
        lines = [line.strip() for line in source.read_text(encoding="utf-8").splitlines()] if source.exists() else []
        wanted = [line.strip() for line in block.strip("\n").splitlines()]
        if not any(lines[i:i + len(wanted)] == wanted for i in range(len(lines))):
            found.append(f"quotes {name}, which does not say this: {wanted[0] if wanted else ''}")
    return found


def faults_of_figures(root: pathlib.Path, text: str) -> list[str]:
    known = dict(row for page in sorted(root.glob(FIGURES_PAGES)) for row in FIGURE_ROW.findall(page.read_text(encoding="utf-8")))
    found = [f"quotes {value} for the figure {name}; {FIGURES_PAGES} says {known.get(name, 'nothing')}"
             for value, name in FIGURE.findall(text) if known.get(name) != value]
    for section in re.split(r"^#+ ", text, flags=re.M):
        if FIGURE.search(section):
            found += [f"the number {number} beside quoted figures bears no mark (bench/quotes.py)"
                      for number in UNMARKED.findall(FIGURE.sub("", section))]
    return found


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    found, seen = [], 0
    for path in sorted(root.rglob("*.md")):
        name = path.relative_to(root)
        if any(part in SKIPPED or part.startswith("build") for part in name.parts[:1]):
            continue
        text = path.read_text(encoding="utf-8")
        faults = faults_of_links(path, text) + faults_of_names(root, text) + faults_of_quotes(root, text) + faults_of_figures(root, text)
        found += [f"{name}: {fault}" for fault in faults]
        seen += 1
    print("\n".join(found) or f"{seen} pages agree with the tree")
    return 1 if found or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
