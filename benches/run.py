"""Run every row, print the table, write ``results.json`` and the README's table, and add a line to the history.

``python -m benches.run WORD...`` runs the rows whose function or file names contain a word, and writes nothing; with
``--update`` it puts them in the place of the same rows of the last full run.
"""

from __future__ import annotations

import importlib
import json
import os
import pkgutil
import platform
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import benches
import steelyard

from . import history
from .harness import THREADS, run

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benches" / "results.json"
BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"


def makers(words: list[str]) -> list[Callable[[], Any]]:
    """Return the functions that make rows, those of growth last, in the order of the files."""
    names = sorted(m.name for m in pkgutil.iter_modules(benches.__path__) if m.name.startswith("bench_"))
    rooms = [importlib.import_module(f"benches.{name}") for name in names]
    found = [make for kind in ("ROWS", "GROWTH") for room in rooms for make in getattr(room, kind, [])]
    return [m for m in found if not words or any(w in f"{m.__module__}.{m.__name__}" for w in words)]


def machine() -> dict[str, Any]:
    """Describe what the ratios were measured on."""
    cpu = ""
    if Path("/proc/cpuinfo").exists():
        model = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
        cpu = model[1] if model else ""
    config = steelyard.show_config(mode="dicts")
    return {
        "steelyard": config["version"],
        "isa": config["isa"],
        "threads": THREADS,
        "cores": os.cpu_count(),
        "cpu": cpu or platform.processor(),
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def cells(row: dict[str, Any]) -> list[str]:
    """Return the cells of one row of the table."""
    if "missing" in row:
        return [row["work"], f"not measured: {row['missing']} is not installed", "", "", ""]
    if "difference_ms" in row:
        low, high = row["spread"]
        return [
            row["work"],
            f"{row['against']} ({row['peer']})",
            f"{row['difference_ms']:+.1f} ms [{low:+.1f}, {high:+.1f}]",
            f"at most {row['at_most_ms']:+g} ms",
            "",
        ]
    low, high = row["spread"]
    wanted = f"{row['at_least']:g}x" if row["at_least"] else ""
    limit = ""
    if "times_limit" in row:
        limit = f"{row['times_limit']:.2f}"
        limit += f" (at most {row['at_most_limit']:.3g})" if row["at_most_limit"] else ""
    return [
        row["work"],
        f"{row['against']} ({row['peer']})",
        f"{row['ratio']:.1f}x [{low:.1f}, {high:.1f}]",
        wanted,
        limit,
    ]


def said(row: dict[str, Any]) -> list[str]:
    """Return the cells of one row of the README's table, with a claim that was not met marked as missed."""
    shown = cells(row)
    slow = row.get("times_limit") and row["at_most_limit"] and row["times_limit"] > row["at_most_limit"]
    short = row.get("met") is False and not (slow and row["ratio"] >= (row["at_least"] or 0.0))
    for column, missed in ((3, short), (4, slow)):
        shown[column] += ", missed" if missed else ""
    return shown


def table(rows: list[dict[str, Any]], on: dict[str, Any]) -> str:
    """Return the table in Markdown, with the machine under it."""
    head = ["work", "against", "faster by [quartiles]", "claimed", "times the memory's own limit"]
    lines = [head, ["---"] * len(head)] + [said(row) for row in rows if "sizes" not in row]
    text = "\n".join("| " + " | ".join(line) + " |" for line in lines)
    cores = "core" if on["cores"] == 1 else "cores"
    where = f"{on['cpu']}, {on['cores']} {cores}, level {on['isa']}, {on['threads']} threads on both sides"
    return (
        f"{text}\n\nMedians of interleaved runs on the same buffers in one process; {where}. `make bench` repeats it.\n"
    )


def growth_line(row: dict[str, Any]) -> str:
    """Return one line of how time grows."""
    points = [f"{size:.3g}: {ns:.3g}" for size, ns in zip(row["sizes"], row["ns_per_unit"], strict=True)]
    return f"{row['work']}, ns per {row['unit']}: " + ", ".join(points)


def into_readme(text: str) -> None:
    """Put the table between the README's two markers."""
    readme = ROOT / "README.md"
    old = readme.read_text("utf-8")
    if BEGIN not in old or END not in old:
        sys.exit(f"README.md lacks {BEGIN} ... {END}: nowhere to put the table")
    before, rest = old.split(BEGIN, 1)
    after = rest.split(END, 1)[1]
    readme.write_text(f"{before}{BEGIN}\n{text}{END}{after}", "utf-8")


def updated(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows of the last run with those that were measured anew in their places, and new rows at the end."""

    def key(row: dict[str, Any]) -> tuple[str, str]:
        return row["work"], row.get("against", "").split("batch=")[0]

    anew = {key(row): row for row in rows}
    replaced = [anew.pop(key(row), row) for row in json.loads(RESULTS.read_text("utf-8"))["rows"]]
    return replaced + list(anew.values())


def main(arguments: list[str]) -> int:
    """Measure, print and write. A claim that is not met is printed but is no error: the machine may be busy."""
    words = [word for word in arguments if word != "--update"]
    on, rows = machine(), []
    for row in run(makers(words)):
        rows.append(row)
        print(growth_line(row) if "sizes" in row else " | ".join(cells(row)), flush=True)
    if not rows:
        sys.exit(f"no row is called {' or '.join(words)}")
    print("\n" + table(rows, on))
    missed = [row["work"] for row in rows if row.get("met") is False]
    if missed:
        print("missed: " + "; ".join(missed))
    measured = rows
    if "--update" in arguments:
        rows = updated(rows)
    if not words or "--update" in arguments:
        RESULTS.write_text(json.dumps({"machine": on, "rows": rows}, indent=1) + "\n", "utf-8")
        into_readme(table(rows, on))
        history.append(on, measured)
        print(f"written: {RESULTS.relative_to(ROOT)}, a line of {history.HISTORY.name}, and the README's table")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
