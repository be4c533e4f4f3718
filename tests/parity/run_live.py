"""Finds the oracle environment and runs a script of this folder in it; leaves with 77 (skipped) where there is none.

usage: run_live.py SCRIPT [ARGUMENT …]      Standard library only.
"""
import os
import pathlib
import sys

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77


def main() -> int:
    if os.environ.get("LATHE_LIVE_ORACLE", "1") == "0":
        print("skipped: live comparisons are switched off (LATHE_LIVE_ORACLE=0); parity.stored.* still run")
        return SKIPPED
    dependencies = pathlib.Path(os.environ.get("LATHE_DEPS_DIR") or HERE.parents[1] / ".deps")
    python = dependencies / "oracle/bin/python"
    if not python.exists():
        print(f"skipped: no {python}; tests/oracle/setup.sh makes it, ./run_tests.sh calls that")
        return SKIPPED
    os.environ["OMP_NUM_THREADS"] = "1"
    os.execv(python, [str(python), str(HERE / sys.argv[1]), *sys.argv[2:]])


if __name__ == "__main__":
    sys.exit(main())
