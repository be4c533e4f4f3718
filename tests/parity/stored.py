"""Lathe against values/CASE, which make_values.py wrote with transformers + peft. Standard library only; always runs.

usage: stored.py LATHE_BINARY CASE
"""
import pathlib
import sys
import tempfile

from cases import flat_config, load_cases
from checks import Report, check_controls, check_initial_values, check_same_curve
from compare import FP32
from lathe import Run
from values import read_expected, stored_model


def main() -> int:
    binary, case = sys.argv[1], load_cases()[sys.argv[2]]
    report = Report()
    with tempfile.TemporaryDirectory(prefix="lathe_parity_") as folder:
        work = pathlib.Path(folder)
        config = flat_config(case, stored_model(case, work), work / "ours")
        expected = read_expected(case)
        check_same_curve(Run(binary, config, work, "ours"), expected, FP32, report)
        check_initial_values(binary, config, work, expected, report)
        check_controls(binary, config, work, expected.log_history, FP32, report)
    return 1 if report.failures else 0


if __name__ == "__main__":
    sys.exit(main())
