"""Entry point of ``steelyard`` and ``python -m steelyard``: runs the command, or says what to install for it."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from . import _exit

# What every run of the command needs. Only --html needs jinja2 and matplotlib, and only Parquet files need pyarrow.
NEEDS = ("typer", "rich")


def main() -> NoReturn:
    """Run the command; the process always ends with one of the exit codes in :data:`steelyard._exit.CODES`."""
    try:
        _open_closed_streams()
        code = _run()
    except BaseException as error:
        code = _exit.because_of(error)
    sys.exit(_exit.leave(code))


def _run() -> int:
    from importlib.util import find_spec

    if missing := [name for name in NEEDS if find_spec(name) is None]:
        return _exit.refuse(f"the command needs {', '.join(missing)}; install with: pip install 'steelyard[cli]'")
    from .cli import run

    return run()


def _open_closed_streams() -> None:
    """Open the null device for each standard stream that the caller closed.

    Otherwise a file that is opened later could get the number of a standard stream, and messages would be written into
    it.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
