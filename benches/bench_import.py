"""What ``import steelyard`` costs beyond ``import numpy``."""

from __future__ import annotations

import subprocess
import sys

from .harness import Call, Difference


def start(statement: str) -> Call:
    """Return a call that starts an interpreter, runs the statement and waits for its end."""
    return lambda: subprocess.run([sys.executable, "-c", statement], check=True)


def import_time() -> Difference:
    """`import steelyard`"""
    return Difference(
        work="`import steelyard`",
        ours=start("import steelyard"),
        peer=start("import numpy"),
        against="`import numpy`",
        package="numpy",
        at_most_ms=15.0,
    )


ROWS = [import_time]
