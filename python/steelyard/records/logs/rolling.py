"""Samples of lm-evaluation-harness's ``loglikelihood_rolling``: the log-likelihood of whole texts (WikiText, the Pile).

Each sample logs a pair for every metric: the log-likelihood in nats, and the words or bytes of the text. The harness
makes perplexities per word and per byte of them and prints N/A for their errors. It does not log how many tokens there
are. Field names: EleutherAI/lm-evaluation-harness, ``lm_eval/api/task.py``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from ..table import record_error, shorten
from .document import Document

# The metrics, and the role of what each divides by.
_METRICS = {"word_perplexity": "n_words", "byte_perplexity": "n_bytes", "bits_per_byte": "n_bytes"}
_NO_TEXT = "with an empty text"


def recognised(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether an object is a sample with such a pair."""
    return "doc_id" in one and any(isinstance(one.get(metric), list) for metric in _METRICS)


def records(document: Document) -> Iterator[tuple[Mapping[str, Any], int]]:
    """One record per sample: its log-likelihood, words and bytes in place of the pairs."""
    for one, line in document.objects:
        where = f"{document.name}, line {line}"
        if not recognised(one, alone=False):
            raise record_error(where, "a sample with the metrics of the others", "none of them", "write the file again")
        found: dict[str, Any] = {}
        for metric, role in _METRICS.items():
            if metric in one:
                _add(found, "loglikelihood", (pair := _pair(one[metric], metric, where))[0], where)
                _add(found, role, pair[1], where)
        if any(found.get(role) == 0 for role in ("n_words", "n_bytes")):
            document.left_out[_NO_TEXT] += 1
            continue
        yield {key: value for key, value in one.items() if key not in _METRICS} | found, line


def _pair(logged: Any, metric: str, where: str) -> tuple[Any, Any]:
    """A log-likelihood, and how many words or bytes it is of."""
    number = isinstance(logged, list) and len(logged) == 2 and all(_is_number(one) for one in logged)
    if not number or not (isinstance(logged[1], int) or logged[1].is_integer()) or logged[1] < 0:
        expected = f"a log-likelihood and a count as {metric!r}"
        raise record_error(
            where, expected, shorten(repr(logged)), "write the file again, or take the line out of a copy"
        )
    return logged[0], logged[1]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value == value


def _add(found: dict[str, Any], role: str, value: Any, where: str) -> None:
    """Keep what a metric says; the metrics of one sample say the same."""
    if found.setdefault(role, value) != value:
        expected = f"one {role} for all metrics of a sample"
        raise record_error(where, expected, f"{found[role]!r} and {value!r}", "write the file again")
