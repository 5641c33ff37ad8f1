"""Logs of Inspect: ``.eval``, a zip archive, and ``.json``, one object.

A log has a header (``eval`` with the task and the model, ``status``) and samples, each with an id, an epoch and
``scores``: for every scorer a value, which is a number, a bool, one of the letters C, I, P and N, or a dictionary of
them. An ``.eval`` also holds summaries of the samples without their transcripts, which are much faster to read; a run
that was interrupted has only those of its journal, or none.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ..table import record_error
from .archive import Archive
from .document import Document

_HEADER = "header.json"
_START = "_journal/start.json"  # the header of a run that has not ended
_SUMMARIES = "summaries.json"
_JOURNAL = "_journal/summaries/"
_SAMPLES = "samples/"

# What is kept of a sample beside its scores; the transcript is not.
_KEPT = ("id", "epoch", "input", "target", "metadata", "error", "limit")
_KEPT_OF_SCORE = ("answer", "explanation")


def recognised(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether an object is the document of a log."""
    header = one.get("eval")
    return isinstance(header, dict) and "task" in header and ("samples" in one or "status" in one)


def records(document: Document) -> Iterator[tuple[Mapping[str, Any], int]]:
    """One record per sample and epoch."""
    document.unit = "sample"
    number = 0
    for log, line in document.objects:
        if not recognised(log, alone=False):
            where = f"{document.name}, line {line}"
            raise record_error(where, "an Inspect log", "something else", "give one log per file")
        _note_status(document, log)
        header = log["eval"]
        of_log = {name: header[name] for name in ("model", "task") if isinstance(header.get(name), str)}
        of_samples: Counter[str] = Counter()
        for sample in _listed(document, log.get("samples")):
            number += 1
            scores = _scores(sample)
            document.scores |= dict.fromkeys(_columns(scores))
            of_samples["scored" if scores else "failed" if sample.get("error") else "unscored"] += 1
            yield {**of_log, **_kept(sample), "scores": scores}, number
        _check_scored(document, of_samples)


def _check_scored(document: Document, samples: Counter[str]) -> None:
    """Raise where no sample of a log has a score."""
    expected, got, fix = "an Inspect log with scores", "", ""
    if not samples:
        expected, got, fix = (
            "an Inspect log with samples",
            "one without any",
            "give a log of a run that logged its samples",
        )
    elif set(samples) == {"failed"}:
        got, fix = "one whose samples all failed", "run it again"
    elif not samples["scored"]:
        got = "one whose samples have none"
        fix = "score it with `inspect score` and give the log that this writes"
    if got:
        raise record_error(document.name, expected, got, fix)


def _note_status(document: Document, log: Mapping[str, Any]) -> None:
    """Say that the run did not end well: the samples are those that it got to."""
    if log.get("invalidated") is True:
        document.note("the log is marked as invalidated; it is read as it stands")
    status = log.get("status")
    if status == "success":
        return
    said = "was interrupted" if status in (None, "started") else f"ended with the status {str(status)[:40]!r}"
    document.note(f"the run {said}; the samples that it holds are read")


def _listed(document: Document, samples: object) -> Iterator[Mapping[str, Any]]:
    """The samples of a log, each of them an object."""
    for number, sample in enumerate(samples if isinstance(samples, Iterable) else (), 1):
        if not isinstance(sample, dict):
            where = f"{document.name}, sample {number}"
            raise record_error(where, "a sample of an Inspect log", "something else", "write the log again")
        yield sample


def _kept(sample: Mapping[str, Any]) -> dict[str, Any]:
    return {name: sample[name] for name in _KEPT if name in sample}


def _scores(sample: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Each scorer's value, answer and explanation."""
    scores = sample.get("scores")
    if not isinstance(scores, dict):
        return {}
    return {
        scorer: {"value": _value(score.get("value"))} | {name: score.get(name) for name in _KEPT_OF_SCORE}
        for scorer, score in scores.items()
        if isinstance(score, dict)
    }


def _value(value: Any) -> Any:
    """A value as it stands; NaN says that the scorer gave no verdict."""
    if isinstance(value, dict):
        return {key: _value(one) for key, one in value.items()}
    return None if isinstance(value, float) and math.isnan(value) else value


def _columns(scores: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """The columns that hold the values of the scorers."""
    for scorer, score in scores.items():
        value = score["value"]
        keys = [f".{key}" for key in value] if isinstance(value, dict) else [""]
        yield from (f"scores.{scorer}.value{key}" for key in keys)


# ---- the archive


def unpacked(archive: Archive) -> dict[str, Any] | None:
    """The document of an ``.eval``, as the ``.json`` of the same log has it; None for another archive."""
    start = next((name for name in (_HEADER, _START) if name in archive), None)
    if start is None:
        return None
    header = archive.json(start)
    if not isinstance(header, dict) or not isinstance(header.get("eval"), dict):
        got = f"something else in {start}"
        raise record_error(archive.name, "the header of an Inspect log", got, "write or fetch the file again")
    return {"status": None, **header, "samples": _samples(archive)}


def _samples(archive: Archive) -> Iterator[Any]:
    """The summaries where they hold what is kept of all samples, else the samples themselves."""
    members = [name for name in archive.names if name.startswith(_SAMPLES) and name.endswith(".json")]
    summaries = _summaries(archive)
    if members and (len(summaries) < len(members) or not _has_any(summaries, "scores")):
        return map(archive.json, members)
    if members and not _has_any(summaries, "metadata") and _has_any([archive.json(members[0])], "metadata"):
        return map(archive.json, members)  # versions of 2024 leave the metadata out of the summaries
    return iter(summaries)


def _has_any(samples: Iterable[Any], key: str) -> bool:
    """Whether a part of any sample is there and not empty."""
    return any(isinstance(one, dict) and bool(one.get(key)) for one in samples)


def _summaries(archive: Archive) -> list[Any]:
    """The summaries of a whole log, or those that the journal of an interrupted one has; the last of each sample."""
    if _SUMMARIES in archive:
        found = archive.json(_SUMMARIES)
        return found if isinstance(found, list) else []
    parts = [name for name in archive.names if name.startswith(_JOURNAL) and name.endswith(".json")]
    of_sample: dict[tuple[str, str], Any] = {}
    for part in parts:
        listed = archive.json(part)
        for one in listed if isinstance(listed, list) else ():
            if isinstance(one, dict):
                of_sample[str(one.get("id")), str(one.get("epoch"))] = one
    return list(of_sample.values())
