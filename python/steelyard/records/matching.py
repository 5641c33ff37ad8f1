"""Records of several runs are paired by their ids."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ..errors import keyword
from .likely import MOST_OFFERED, likely_ids
from .run import Run
from .scores import Matched, Scores, no_score, nothing_scored
from .table import plain, record_error

Key = Callable[[str], str]

MOST_DIGITS = 18  # of a number that surely fits into 64 bits


def match(runs: Sequence[Run], said: Sequence[str] = ()) -> Scores:
    """Pair runs by id: the ids that all have, sorted, each with its mean over epochs. ``said`` are its first notes."""
    for run in runs:
        if run.score is None:
            raise no_score(run)
        if not len(run):
            raise nothing_scored(run)
    left_out = dict(sum((Counter(run.left_out) for run in runs), Counter()))
    if len(runs) == 1 and runs[0].ids is None:
        run = runs[0]
        return Scores([Matched(run, np.arange(len(run)))], None, left_out, {run.name: 0}, tuple(said))
    written = [_ids(run) for run in runs]
    rows = [_first_rows(ids) for ids in written]
    common = set(rows[0]).intersection(*rows[1:])
    key: Key = str
    notes = tuple(said)
    if any(len(of_run) > len(common) for of_run in rows):
        key, care = _with_care(runs, rows, len(common))
        notes += care
    if key is plain:
        rows = [{plain(one): row for one, row in of_run.items()} for of_run in rows]
        common = set(rows[0]).intersection(*rows[1:])
    if not common:
        raise _nothing_in_common(runs)
    unmatched = {run.name: len(of_run) - len(common) for run, of_run in zip(runs, rows, strict=True)}
    if missing := len(set().union(*rows)) - len(common):
        left_out = {"unmatched": missing, **left_out}
    keys = _sorted(common)
    matched = [_matched(run, one, of_run, keys, key) for run, one, of_run in zip(runs, written, rows, strict=True)]
    ids = keys if key is str else [written[0][rows[0][one]] for one in keys]
    _check_documents(matched, ids)
    return Scores(matched, np.array(ids, dtype=np.str_), left_out, unmatched, notes)


def _with_care(runs: Sequence[Run], rows: Sequence[Mapping[str, int]], matching: int) -> tuple[Key, tuple[str, ...]]:
    """How to compare ids that do not all match as they are written, and what is said of it.

    They are compared without the blanks around them and with 7.0 as 7 if more match so. Where this would make one id of
    two that a model has, all are compared as they are written.
    """
    of_runs = [{plain(one): one for one in of_run} for of_run in rows]
    common = set(of_runs[0]).intersection(*of_runs[1:])
    differing = [one for one in common if len({of_run[one] for of_run in of_runs}) > 1]
    if not differing:
        return str, ()
    for run, of_run, with_care in zip(runs, rows, of_runs, strict=True):
        if len(with_care) < len(of_run):
            first = next(one for one in of_run if with_care[plain(one)] != one)
            shown = " and ".join(map(repr, sorted((first, with_care[plain(first)]))))
            note = f"ids are compared as they are written, blanks and all: {run.name!r} has both {shown}"
            return str, (note,)
    example = " and ".join(dict.fromkeys(repr(of_run[min(differing)]) for of_run in of_runs))
    gained = len(common) - matching
    ids = "1 id matches" if gained == 1 else f"{gained:,} ids match"
    return plain, (f"{ids} only without the blanks around them, and with 7.0 as 7: {example}",)


def _ids(run: Run) -> list[str]:
    if run.ids is None:
        raise record_error(
            ", ".join(run.files),
            f"an id column to match {run.name!r} by",
            "none",
            f"{_likely_ids(run)} or pass {keyword('id', 'row')} if the files have the same records in the same order",
        )
    ids: list[str] = run.ids.tolist()
    return ids


def _likely_ids(run: Run) -> str:
    """Which columns may be the ids, as they are typed."""
    ids_of = [likely_ids(part.table) for part in run._parts]
    common = [name for name in ids_of[0] if all(name in ids for ids in ids_of)] if ids_of else []
    if not common:
        return f"name it with {keyword('id')},"
    return f"likely {' or '.join(keyword('id', name) for name in common[:MOST_OFFERED])};"


def _first_rows(ids: Sequence[str]) -> dict[str, int]:
    """The first row of every id."""
    return dict(zip(reversed(ids), range(len(ids) - 1, -1, -1), strict=True))


def _matched(run: Run, ids: Sequence[str], first_rows: Mapping[str, int], keys: Sequence[str], key: Key) -> Matched:
    first = np.fromiter(map(first_rows.__getitem__, keys), dtype=np.int64, count=len(keys))
    if len(first_rows) == len(run):
        return Matched(run, first)
    epochs: dict[str, list[int]] = {}
    for row, one in enumerate(ids):
        epochs.setdefault(key(one), []).append(row)
    return Matched(run, first, [epochs[one] for one in keys])


def _sorted(ids: set[str]) -> list[str]:
    """An order of the ids that does not depend on the order of the files."""
    whole = "".join(ids)
    if not (whole.isascii() and whole.isdigit()):
        return sorted(ids)
    if max(map(len, ids)) > MOST_DIGITS:
        return sorted(ids, key=lambda one: (int(one), one))
    listed = list(ids)
    values = np.fromiter(map(int, listed), dtype=np.int64, count=len(listed))
    order = np.argsort(values, kind="stable")
    if (values[order][1:] == values[order][:-1]).any():  # 7 and 07
        return sorted(ids, key=lambda one: (int(one), one))
    return [listed[row] for row in order.tolist()]


def _nothing_in_common(runs: Sequence[Run]) -> Exception:
    shown = "; ".join(
        f"{run.name!r} has {', '.join(map(repr, run.ids[:3].tolist())) or 'none'}"
        for run in runs
        if run.ids is not None
    )
    return record_error(
        ", ".join(dict.fromkeys(file for run in runs for file in run.files)),
        "ids that all models have",
        shown,
        f"name the column that they share with {keyword('id')}, or pass {keyword('paired')} where the models answered "
        "different questions",
    )


def _check_documents(matched: Sequence[Matched], ids: Sequence[str]) -> None:
    """Where lm-evaluation-harness wrote a hash of each document, equal ids must be equal documents."""
    hashes = [one.run.document_hashes() for one in matched]
    if len(matched) < 2 or any(one is None for one in hashes):
        return
    aligned = [one.aligned(own) for one, own in zip(matched, hashes, strict=True) if own is not None]
    for one, own in zip(matched[1:], aligned[1:], strict=True):
        for index, (first, here) in enumerate(zip(aligned[0], own, strict=True)):
            if first != here:
                raise record_error(
                    f"{one.run.files[0]}: doc_id {ids[index]!r}",
                    f"the document that {matched[0].run.name!r} has under that id",
                    "one with another doc_hash",
                    f"match by content with {keyword('id', 'doc_hash')}, or pass {keyword('id', 'doc_id')} to trust "
                    "the numbers",
                )
