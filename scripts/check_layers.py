#!/usr/bin/env python3
"""Holds the source tree to its layers: who may include whom, where torch may appear, how long a header is, who writes files.

usage: check_layers.py ROOT      leaves with 1 and one line a fault
"""
import pathlib
import re
import sys

# A room may include itself and these (docs/architecture.md).
BELOW = {
    "base": set(),
    "kernels": {"base"},
    "data": {"base"},
    "config": {"base"},
    "ops": {"kernels", "base"},
    "model": {"ops", "kernels", "base", "config", "data"},
    "engine": {"model", "ops", "kernels", "base", "config", "data"},
    "train": {"engine", "model", "ops", "kernels", "base", "config", "data"},
    "app": {"train", "engine", "model", "ops", "kernels", "base", "config", "data"},
}
ABOVE_TORCH_LINE = {"base", "kernels", "data", "config"}
TORCH = re.compile(r"(torch|ATen|c10|caffe2)/")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')
WRITES = re.compile(r"\bofstream\b|\bfopen\s*\(|\bFILE\s*\*|\bO_(?:WRONLY|RDWR|CREAT)\b")
THE_SEAM = {"src/base/file.cpp"}
MAX_HEADER_LINES = 200
MAX_PUBLIC_HEADERS = 12


def faults_of_include(room: str, included: str) -> str | None:
    if included == "torch/torch.h":
        return "includes torch/torch.h, which costs 12 s a file"
    if room in ABOVE_TORCH_LINE and TORCH.match(included):
        return f"includes {included} above the torch line"
    other = included.split("/")[0]
    if other in BELOW and other != room and other not in BELOW[room]:
        return f"includes {included}: {room} may not see {other}"
    return None


def faults_of_file(path: pathlib.Path, name: str, room: str) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = []
    for number, line in enumerate(lines, 1):
        match = INCLUDE.match(line)
        fault = faults_of_include(room, match[1]) if match else None
        if fault:
            found.append(f"{name}:{number}: {fault}")
        if WRITES.search(line.split("//")[0]) and name not in THE_SEAM:
            found.append(f"{name}:{number}: opens a file for itself; writes go through base/file.h")
    if path.suffix == ".h" and len(lines) > MAX_HEADER_LINES:
        found.append(f"{name}: {len(lines)} lines, a header has at most {MAX_HEADER_LINES}")
    return found


def main() -> int:
    root = pathlib.Path(sys.argv[1])
    found, seen = [], 0
    for path in sorted([*(root / "src").rglob("*.h"), *(root / "src").rglob("*.cpp"), *(root / "src").rglob("*.cu")]):
        name = path.relative_to(root).as_posix()
        room = name.split("/")[1]
        if room not in BELOW:
            found.append(f"{name}: src/{room} is none of the nine rooms")
            continue
        found += faults_of_file(path, name, room)
        seen += 1
    public = sorted((root / "include/lathe").glob("*.h"))
    for path in public:
        found += faults_of_file(path, path.relative_to(root).as_posix(), "base")
    if len(public) > MAX_PUBLIC_HEADERS:
        found.append(f"include/lathe: {len(public)} headers, at most {MAX_PUBLIC_HEADERS}")
    print("\n".join(found) or f"{seen} files keep to their layers")
    return 1 if found or not seen else 0


if __name__ == "__main__":
    sys.exit(main())
