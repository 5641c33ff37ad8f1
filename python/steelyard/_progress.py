"""Reporting the progress of a long call."""

from __future__ import annotations

import sys
from collections.abc import Callable

from .errors import shown, type_error

__all__ = ["OnProgress", "Progress", "batch_reporter", "reporter"]

Progress = bool | Callable[[int, int], object]  # what a caller asks for
OnProgress = Callable[[int, int], object] | None  # what the core calls with (done, total)


def _line(done: int, total: int) -> None:
    """Rewrite one line of standard error; end it when all is done."""
    share = done / total if total else 1.0
    filled = int(30 * share)
    end = "\n" if done >= total else ""
    print(f"\r[{'#' * filled}{' ' * (30 - filled)}] {share:4.0%}", end=end, file=sys.stderr, flush=True)


def reporter(progress: Progress) -> OnProgress:
    """The function that the core calls about every 25 ms with ``(done, total)``; None for no reports.

    Parameters
    ----------
    progress : bool or callable
        ``True`` draws a progress bar on standard error; a callable is called with ``(done, total)``, and an exception
        that it raises stops the work; ``False`` reports nothing.
    """
    if isinstance(progress, bool):
        return _line if progress else None
    if not callable(progress):
        raise type_error("progress", "True, False or a function of (done, total)", shown(progress))
    return progress


def _count(done: int, total: int) -> None:
    """Rewrite one line of standard error that counts; end it when all is done."""
    print(f"\rbatches: {done}", end="\n" if done == total else "", file=sys.stderr, flush=True)


def batch_reporter(progress: Progress, total: int) -> OnProgress:
    """As :func:`reporter`, for batches; ``total`` is 0 where nobody knows how many come."""
    tell = reporter(progress)
    return _count if tell is _line and not total else tell
