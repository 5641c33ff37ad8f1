"""Rows of the tokens room."""

from __future__ import annotations

from typing import Any

import numpy as np

from steelyard import _core, token_scores
from steelyard.reference import tokens as reference

from . import Case, Inputs, Outputs, as_dtype, normalish, words

IGNORED = -100


def _logits(dtype: str, width: int, rows: int) -> Inputs:
    """Rows that no slice of which is contiguous, with masked classes, and targets of which some are ignored."""
    x = as_dtype(5.0 * normalish(rows * (width + 3), width), dtype).reshape(rows, width + 3)
    if width > 2:
        x[:, width // 3] = -np.inf
    targets = (words(rows, width + 1) % np.uint64(width)).astype(np.int64)
    targets[3::4] = IGNORED
    return {"logits": x[::-1, :width], "targets": targets}


def _run(inputs: Inputs) -> Outputs:
    scores = token_scores(inputs["logits"], inputs["targets"], ignore_index=IGNORED)
    return {"nll": scores.nll, "log_z": scores.log_z, "counted": scores.counted}


def _reference(inputs: Inputs) -> Outputs:
    nll, log_z, counted = reference.token_scores(inputs["logits"], inputs["targets"], IGNORED)
    return {"nll": nll, "log_z": log_z, "counted": counted}


def _bound(inputs: Inputs) -> float:
    return 1e-11 if inputs["logits"].dtype == np.float64 else 1e-6


def _many_rows(dtype: str, rows: int) -> Inputs:
    return _logits(dtype, 17, rows)


def _nll(dtype: str, rows: int) -> Inputs:
    x = np.abs(normalish(rows * 7, rows)).reshape(rows, 7)
    counted = (words(rows * 7, 3) % np.uint64(3) != 0).reshape(rows, 7)
    x[~counted] = np.nan
    return {"nll": x, "counted": counted}


def _sums(inputs: Inputs) -> Outputs:
    nll: Any = inputs["nll"]
    return {"sums": _core.sequence_nll(nll, inputs["counted"], len(nll))}


CASES = [
    Case(
        name="tokens.token_scores",
        covers=("token_scores",),
        make=lambda dtype, width: _logits(dtype, width, 4 if width > 20_000 else 9),
        run=_run,
        reference=_reference,
        lengths=(1, 2, 15, 16, 17, 31, 32, 33, 1023, 1024, 1025, 4095, 4096, 4097, 50_257),
        bound={"nll": _bound, "log_z": _bound},
    ),
    Case(
        name="tokens.token_scores_rows",
        covers=("token_scores",),
        make=_many_rows,
        run=_run,
        reference=_reference,
        lengths=(0, 1, 3, 40_000),
        dtypes=("float32", "float64"),
        bound={"nll": _bound, "log_z": _bound},
    ),
    Case(
        name="tokens.sequence_nll",
        covers=("sequence_nll",),
        make=_nll,
        run=_sums,
        reference=lambda inputs: {"sums": reference.sequence_nll(**inputs)},
        dtypes=("",),
        lengths=(0, 1, 2, 30_000),
        bound={"sums": 1e-15},
    ),
]
