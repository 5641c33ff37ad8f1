"""What ``import steelyard`` costs beyond ``import numpy``."""

from __future__ import annotations

import os
import subprocess
import sys

from .harness import Call, Difference


def start(statement: str) -> Call:
    """Return a call that starts an interpreter, runs the statement and waits for its end.

    The package's compiled bytecode is used, as after an installation, whatever this run's environment says.
    """
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONDONTWRITEBYTECODE"}
    return lambda: subprocess.run([sys.executable, "-c", statement], check=True, env=environment)


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
