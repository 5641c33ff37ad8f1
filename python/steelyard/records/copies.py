"""Files that are the same byte for byte: a model beside a copy of itself, or an answer counted twice."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from .run import Run, tasks_of
from .source import size_of
from .table import record_error

_BLOCK = 1 << 20


def copies(files: Iterable[str]) -> dict[str, str]:
    """For each file that is a copy of one before it, that one. Only files of one size are looked into."""
    of_size: dict[int, list[str]] = {}
    for file in files:
        if size := size_of(file):
            of_size.setdefault(size, []).append(file)
    first: dict[bytes, str] = {}
    found: dict[str, str] = {}
    for several in of_size.values():
        for file in several if len(several) > 1 else ():
            before = first.setdefault(_digest(file), file)
            if before != file:
                found[file] = before
    return found


def notes(copy_of: dict[str, str]) -> list[str]:
    """What is said of copies."""
    return [f"{file} is a copy of {before}, byte for byte" for file, before in copy_of.items()]


def check(runs: Sequence[Run], copy_of: dict[str, str]) -> None:
    """Refuse a run that holds a file twice: its records would count as repetitions, or as twice as many.

    Files of two tasks may be the same where their tasks stand in their paths alone.
    """
    for run in runs:
        for file in run.files:
            before = copy_of.get(file)
            if before in run.files and tasks_of(run, before) == tasks_of(run, file):
                got = f"a copy of {before}, byte for byte"
                raise record_error(file, f"records of its own for run {run.name!r}", got, "leave one of the two out")


def _digest(file: str) -> bytes:
    found = hashlib.blake2b(digest_size=16)
    with open(file, "rb") as opened:
        while block := opened.read(_BLOCK):
            found.update(block)
    return found.digest()
