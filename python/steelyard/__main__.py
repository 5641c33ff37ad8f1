"""``steelyard`` and ``python -m steelyard``: the command, or how to install what it needs."""

from __future__ import annotations

import sys

NEEDS = ("typer", "rich")  # a page asks for jinja2 and matplotlib, a Parquet file for pyarrow, when it comes to it


def main() -> None:
    """Run the command; without the packages of the extra ``cli`` say so in one sentence and exit with 2."""
    from importlib.util import find_spec

    missing = [name for name in NEEDS if find_spec(name) is None]
    if missing:
        sys.stderr.write(
            f"steelyard: the command needs {', '.join(missing)}; install with: pip install 'steelyard[cli]'\n"
        )
        sys.exit(2)
    from .cli import run

    run()


if __name__ == "__main__":
    main()
