"""Bad input to a command is a sentence, and unexpected failures have an exit code of their own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import NoReturn

import typer

from .. import _exit
from ..errors import called, is_ours
from . import options

__all__ = ["sentences"]


def _refuse(said: str, error: BaseException) -> NoReturn:
    raise typer.Exit(_exit.refuse(said, error)) from None


@contextmanager
def sentences(debug: bool) -> Iterator[None]:
    """Bad input is one sentence on standard error and exit code 2, in the words of the command's options."""
    if debug:
        _exit.show_tracebacks()
    try:
        with called(options.OPTIONS):
            yield
    except typer.Exit:
        raise
    except OSError as error:
        if error.filename is None:  # no place that the caller named
            raise typer.Exit(_exit.because_of(error)) from None
        got = error.strerror or error
        _refuse(f"{error.filename}: expected a place to read or write; got: {got}", error)
    except BaseException as error:
        if is_ours(error):
            _refuse(str(error), error)
        raise typer.Exit(_exit.because_of(error)) from None
