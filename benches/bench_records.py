"""From a file of 1e6 records to the terminal's report, in a process of its own: start, read, check, compute, print."""

from __future__ import annotations

import random
import subprocess
import sys
import tempfile
from pathlib import Path

from .harness import Call, Row, need

N = 1_000_000
SUBJECTS = ("math", "law", "art", "history", "biology")
PANDAS = "import pandas, sys; print(pandas.read_json(sys.argv[1], lines=True)['correct'].mean())"


def file_of_records(folder: str) -> Path:
    """One record per line, as an evaluation writes it: id, model, subject, correct, confidence."""
    rng = random.Random(7)
    path = Path(folder) / "big.jsonl"
    with path.open("w") as file:
        for i in range(N):
            correct = "true" if rng.random() < 0.7 else "false"
            file.write(
                f'{{"id": {i}, "model": "a", "subject": "{SUBJECTS[i % 5]}", "correct": {correct}, '
                f'"confidence": {rng.random():.2f}}}\n'
            )
    return path


def process(*words: str) -> Call:
    """Return a call that runs Python with these words and waits for its end."""
    return lambda: subprocess.run([sys.executable, *words], check=True, stdout=subprocess.DEVNULL)


def report() -> Row:
    """`steelyard report`, and pandas `read_json` with the mean of one column"""
    need("pandas")
    folder = tempfile.TemporaryDirectory(prefix="steelyard-bench-")
    path = str(file_of_records(folder.name))
    ours = process("-m", "steelyard", "report", path)

    def reports() -> object:
        assert Path(folder.name).exists()  # holds the folder until the row is measured
        return ours()

    return Row(
        work="`steelyard report`, 1e6 records, JSON Lines",
        ours=reports,
        peer=process("-c", PANDAS, path),
        against="pandas `read_json(lines=True)` and `mean`",
        package="pandas",
    )


ROWS = [report]
