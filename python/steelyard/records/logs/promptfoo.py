"""Results of promptfoo: one result per line (``-o results.jsonl``), or one object with all of them (``.json``).

A result is what one provider said to one prompt in one test, with ``success`` and a graded ``score``. A test that was
repeated (``--repeat``) comes once more under another number, so that equal tests count as one item here. A result that
is an error of the provider has no score, as promptfoo counts it apart from those that failed.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from ..table import record_error
from .document import Document, Object

_ERROR = 2  # the failureReason of a provider's error; 1 is an assertion that failed
_LONGEST_LABEL = 30  # a prompt's label is often the whole prompt
_KEPT = ("success", "score", "namedScores", "error", "latencyMs", "cost")

Column = tuple[str, str]
"""A provider and a prompt's label: one column of promptfoo's table, and one model here."""


def recognised(one: Object, alone: bool) -> bool:
    """Whether an object is a result, or holds all results of a file."""
    return _is_result(one) or (alone and _held(one) is not None)


def records(document: Document) -> Iterator[tuple[Object, int]]:
    """One record per result."""
    kept: list[tuple[Column, dict[str, Any], int]] = []
    items = _Items()
    graded = 0
    for result, number in _results(document):
        column = _column(result)
        record = _record(result)
        record |= items.place(column, result)
        graded += record["success"] is not None and record.get("score") not in (None, float(record["success"]))
        kept.append((column, record, number))
    if not kept:
        raise record_error(document.name, "results of promptfoo", "none", "check how the file was written")
    document.scores["success"] = None
    if graded:
        document.note(f"'success' is the score; {graded:,} of {len(kept):,} results have another grade in 'score'")
    names = model_names([column for column, _, _ in kept])
    for column, record, number in kept:
        if not items.repeated:
            del record["epoch"]
        yield {"model": names[column], **record}, number
    if items.repeated:
        document.note(f"{items.repeated:,} of {len(kept):,} results repeat a test: equal tests have one id")


def model_names(columns: Collection[Column]) -> dict[Column, str]:
    """A name for each column: the provider; with the prompt beside it, or the prompt alone, where there are several."""
    unique = list(dict.fromkeys(columns))
    labels = list(dict.fromkeys(label for _, label in unique))
    providers = {provider for provider, _ in unique}
    names = {}
    for provider, label in unique:
        short = label if label.isprintable() and 0 < len(label) <= _LONGEST_LABEL else ""
        prompt = short or f"prompt {labels.index(label) + 1}"
        if len(labels) == 1:
            names[provider, label] = provider
        else:
            names[provider, label] = prompt if len(providers) == 1 else f"{provider} {prompt}"
    if len({*names.values()}) < len(names):
        return {column: f"{name} ({k})" for k, (column, name) in enumerate(names.items(), 1)}
    return names


def _is_result(one: Object) -> bool:
    what_was_asked = "testIdx" in one or "testCase" in one or "vars" in one
    return isinstance(one.get("success"), bool) and "provider" in one and "prompt" in one and what_was_asked


def _held(one: Object) -> list[Any] | None:
    """The results that an object holds; None where it is something else."""
    held = one.get("results")
    if isinstance(held, dict):
        held = held.get("results")
    if not isinstance(held, list):
        return None
    is_export = "evalId" in one if not held else isinstance(held[0], dict) and _is_result(held[0])
    return held if is_export else None


def _results(document: Document) -> Iterator[tuple[Object, int]]:
    """Each result, with its line, or its number in the list."""
    for one, line in document.objects:
        held = _held(one)
        if held is None:
            numbered: Iterator[tuple[Any, int]] = iter([(one, line)])
        else:
            document.unit = "result"
            numbered = ((result, number) for number, result in enumerate(held, 1))
        for result, number in numbered:
            if not isinstance(result, dict) or not _is_result(result):
                where = f"{document.name}, {document.unit} {number}"
                raise record_error(where, "a result of promptfoo", "something else", "write the file again")
            yield result, number


def _column(result: Object) -> Column:
    return _named(result["provider"], "label", "id"), _named(result["prompt"], "label", "raw")


def _named(value: Any, *keys: str) -> str:
    """A text, or the first of these keys of an object that is one."""
    found = [value.get(key) for key in keys] if isinstance(value, dict) else [value]
    return next((one for one in found if isinstance(one, str) and one), "")


def _record(result: Object) -> dict[str, Any]:
    record = {name: result[name] for name in _KEPT if name in result}
    if _is_error(result):
        record["success"] = None
    response, grading, test = (_dict(result.get(name)) for name in ("response", "gradingResult", "testCase"))
    output = response.get("output")
    record["output"] = output if isinstance(output, str) else None
    record["reason"] = grading.get("reason")
    record["description"] = result.get("description") or test.get("description")
    record["vars"] = _dict(result.get("vars")) or _dict(test.get("vars"))
    record["metadata"] = _dict(test.get("metadata"))
    return record


def _is_error(result: Object) -> bool:
    if "failureReason" in result:
        return bool(result["failureReason"] == _ERROR)
    answered = result.get("response") or result.get("gradingResult")
    return bool(result.get("error")) and not answered


def _dict(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


class _Items:
    """Which results are of one item: equal tests, whatever their numbers."""

    def __init__(self) -> None:
        self._first: dict[str, Any] = {}
        self._met: Counter[tuple[Any, Column]] = Counter()
        self.repeated = 0

    def place(self, column: Column, result: Object) -> dict[str, Any]:
        """The id of a result's test, and how often the column has had it."""
        test = result.get("testCase") or (result.get("vars") if "testIdx" not in result else None)
        number = result.get("testIdx", len(self._first))
        key = json.dumps(test, sort_keys=True) if test else f"#{number}"
        item = self._first.setdefault(key, number)
        self._met[key, column] += 1
        epoch = self._met[key, column]
        self.repeated += epoch > 1
        return {"id": item, "epoch": epoch}
