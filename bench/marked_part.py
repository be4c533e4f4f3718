"""A page of docs/ that a person wrote, with one part in it that a bench writes, between two marks. Standard library only."""
import pathlib

from machine import ROOT, BenchError

END = "<!-- end of what was measured -->"


def begin(bench: str) -> str:
    return f"<!-- measured: {bench} -->"


def check_place(page: pathlib.Path, bench: str) -> None:
    """Before an hour of measuring: that the page has the two marks, once each and in order."""
    text, first = page.read_text(encoding="utf-8"), begin(bench)
    if text.count(first) != 1 or text.count(END) != 1 or text.index(first) > text.index(END):
        raise BenchError(f"{page.relative_to(ROOT)} has not the lines {first} and {END}")


def write(page: pathlib.Path, bench: str, measured: str) -> None:
    check_place(page, bench)
    before, rest = page.read_text(encoding="utf-8").split(begin(bench))
    page.write_text(before + begin(bench) + "\n" + measured + "\n" + END + rest.split(END)[1], encoding="utf-8")
