"""A progress bar on standard error, where that is a terminal."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

__all__ = ["bar"]


@contextmanager
def bar(verb: str) -> Iterator[Callable[[int, int], None] | bool]:
    """What a call takes as its ``progress``: a bar that says what is done; False where there is no terminal."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield False
        return
    columns = (TextColumn(verb), BarColumn(), TaskProgressColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as shown:
        task = shown.add_task(verb, total=None)
        yield lambda done, total: shown.update(task, completed=done, total=total)
