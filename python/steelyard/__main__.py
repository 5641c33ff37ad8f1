"""``steelyard`` and ``python -m steelyard``: the command, or how to install what it needs."""

from __future__ import annotations

import os
import sys
from typing import NoReturn

from . import _exit

NEEDS = ("typer", "rich")  # a page asks for jinja2 and matplotlib, a Parquet file for pyarrow, when it comes to it


def main() -> NoReturn:
    """Run the command and end with one of the codes of :data:`steelyard._exit.CODES`, whatever happens."""
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
    """Where the caller closed a standard stream, no file that is opened later may get its number."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)


if __name__ == "__main__":
    main()
