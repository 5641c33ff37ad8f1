"""What earlier full runs measured: one line of JSON per run in ``history.jsonl``, the oldest first.

``python -m benches.history WORD...`` prints the ratio of each row whose work contains a word, run by run, so that one
sees whether a row became slower. Runs on different machines stand side by side: compare ratios, not seconds.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

__all__ = ["append", "entry", "read", "shown"]

ROOT = Path(__file__).resolve().parents[1]
HISTORY = ROOT / "benches" / "history.jsonl"
# The fields of a row that the history keeps: enough to see a change and what was compared.
KEPT = ("work", "against", "peer", "ratio", "spread", "difference_ms", "times_limit", "ns_per_unit", "met")


def commit() -> str:
    """Return the short name of the commit that is measured, with a plus sign if files differ from it."""
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty=+", "--exclude=*"],
            cwd=ROOT, check=True, capture_output=True, text=True,
        )  # fmt: skip
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return found.stdout.strip()


def entry(on: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], at: str, of: str) -> dict[str, Any]:
    """Return one run as its line keeps it: figures to four digits, rows that were not measured left out."""
    kept = [{key: _short(row[key]) for key in KEPT if row.get(key) is not None} for row in rows if "missing" not in row]
    return {"at": at, "commit": of, "machine": dict(on), "rows": kept}


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.4g}")
    return [_short(item) for item in value] if isinstance(value, list) else value


def append(on: Mapping[str, Any], rows: Iterable[Mapping[str, Any]], path: Path = HISTORY) -> None:
    """Add a run to the end of the history."""
    line = entry(on, rows, datetime.now(UTC).date().isoformat(), commit())
    with path.open("a", encoding="utf-8") as file:
        file.write(json.dumps(line, separators=(",", ":")) + "\n")


def read(path: Path = HISTORY) -> list[dict[str, Any]]:
    """Return every run, the oldest first."""
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def shown(runs: Iterable[Mapping[str, Any]], words: Iterable[str]) -> str:
    """Return a line per run for each row whose work contains one of ``words`` (every row without words)."""
    wanted = list(words)
    lines: dict[str, list[str]] = {}
    for run in runs:
        for row in run["rows"]:
            figure = f"{row['ratio']:.1f}x" if "ratio" in row else f"{row.get('difference_ms', row.get('ns_per_unit'))}"
            if not wanted or any(word in row["work"] for word in wanted):
                lines.setdefault(row["work"], []).append(f"  {run['at']}  {run['commit']:<10} {figure}")
    return "\n".join(line for work, of in lines.items() for line in (work, *of))


if __name__ == "__main__":
    print(shown(read(), sys.argv[1:]))
