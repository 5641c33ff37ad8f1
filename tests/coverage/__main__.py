"""Writes ``docs/coverage.md``, or prints the tables that are named."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from pathlib import Path

HERE = Path(__file__).parent
PAGE = HERE.parents[1] / "docs" / "coverage.md"
NAMES = sorted(path.stem for path in HERE.glob("[a-z]*.py"))
HEAD = """# How often the intervals contain the true value

Made by `make coverage` (`python -m tests.coverage`); a table is exact, by enumeration, or says what was
drawn and how many sets were counted. Seeds are fixed: two runs write the same page.
"""


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.coverage")
    parser.add_argument("names", nargs="*", help=f"print these tables alone: {', '.join(NAMES)}")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="share of the sets to draw; below 1 nothing is written"
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in NAMES]
    if unknown:
        parser.error(f"no table {unknown[0]!r}; the tables are {', '.join(NAMES)}")
    sections = []
    for name in options.names or NAMES:
        print(f"{name} ...", file=sys.stderr, flush=True)
        sections.append(import_module(f"tests.coverage.{name}").section(scale=options.scale).strip() + "\n")
    if options.names or options.scale < 1:
        print("\n".join(sections))
    else:
        PAGE.write_text("\n".join([HEAD, *sections]), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
