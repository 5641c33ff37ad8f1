"""Details of lighteval: Parquet with one row per document and its metrics in a struct.

Newer files have the structs ``doc``, ``metric`` and ``model_response``; older ones ``metrics`` beside plain columns
such as ``example`` and ``full_prompt``. Only the newer ones have an id.

A metric of perplexity is a struct itself: the log-likelihood of the text (``logprobs``, in nats) and its words or bytes
(``weights``). Field names: huggingface/lighteval, ``metrics/sample_preparator.py``.
"""

from __future__ import annotations

from dataclasses import replace

from ..roles import ROLES
from ..table import Table, WithColumn

_METRICS = ("metric.", "metrics.")
_DOCUMENT = ("doc.query", "full_prompt", "example")
_ID = "doc.id"
# What a metric of perplexity divides by, by its name.
_LENGTHS = {"word_perplexity": "n_words", "byte_perplexity": "n_bytes", "bits_per_byte": "n_bytes"}
_LOGPROBS, _WEIGHTS = ".logprobs", ".weights"


def described(table: Table) -> Table:
    """The table with its id and scores named, where it holds details of lighteval; else as it is."""
    metrics = [name for name in table.columns if name.startswith(_METRICS)]
    if not metrics or not any(name in table.columns for name in _DOCUMENT):
        return table
    lengths, scores = _of_text(table, metrics)
    table = _with_lengths(table, lengths)
    usual = any(name.rpartition(".")[2] in ROLES["score"].usual for name in scores)
    return replace(
        table,
        scores=() if usual else tuple(scores),
        ids=(_ID,) if _ID in table.columns and "id" not in table.columns else (),
    )


def _of_text(table: Table, metrics: list[str]) -> tuple[dict[str, str], list[str]]:
    """The columns of log-likelihoods and lengths by their role, and the metrics that are something else."""
    of_role: dict[str, str] = {}
    parts: set[str] = set()
    for name in metrics:
        metric, mark, _ = name.partition(_LOGPROBS)
        role = _LENGTHS.get(metric.rpartition(".")[2])
        weights = metric + _WEIGHTS
        if not mark or name != metric + _LOGPROBS or weights not in table.columns:
            continue
        parts |= {name, weights}
        if role is not None and table.kind(name) == table.kind(weights) == "scalar":
            of_role.setdefault("loglikelihood", name)
            of_role.setdefault(role, weights)
    return of_role, [name for name in metrics if name not in parts]


def _with_lengths(table: Table, of_role: dict[str, str]) -> Table:
    """The table with a column for each of these roles; an empty text has no length."""
    columns = table.columns
    for role, name in of_role.items():
        if role not in columns:
            values = columns[name]
            columns = WithColumn(columns, role, values if role == "loglikelihood" else [one or None for one in values])
    return replace(table, columns=columns)
