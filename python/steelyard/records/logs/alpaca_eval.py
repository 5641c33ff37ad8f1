"""Annotations of AlpacaEval: which of two answers to an instruction a judge prefers.

``preference`` goes from 1 (the answer of ``generator_1``, the reference, is better) to 2 (the one of ``generator_2``,
the model at hand); 1.5 and 0 are a draw.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

from ..table import record_error
from .document import Document

_WIN = "win"
_DRAW = 0.5


def recognised(one: Mapping[str, Any], alone: bool) -> bool:
    """Whether an object is an annotation."""
    return {"preference", "generator_1", "generator_2", "instruction"} <= one.keys()


def records(document: Document) -> Iterator[tuple[Mapping[str, Any], int]]:
    """One record per annotation: how far the answer of ``generator_2`` is preferred, from 0 to 1."""
    document.scores[_WIN] = None
    references: dict[str, None] = {}
    for one, line in document.objects:
        where = f"{document.name}, line {line}"
        if not recognised(one, alone=False):
            raise record_error(where, "an annotation of AlpacaEval", "something else", "write the annotations again")
        references[str(one["generator_1"])[:40]] = None
        about = {key: one.get(key) for key in ("instruction", "dataset", "annotator", "generator_1")}
        win = _win(one["preference"], where)
        yield {"id": _identity(one), "model": one["generator_2"], _WIN: win, **about}, line
    against = ", ".join(references) if len(references) < 4 else f"{len(references)} references"
    document.note(
        f"'win' is preference - 1: 1 where generator_2 is preferred to generator_1 ({against}), 0.5 is a draw"
    )


def _win(preference: object, where: str) -> float | None:
    """A preference from 1 to 2 as a share of wins; None where the judge gave none."""
    if preference is None or (isinstance(preference, float) and math.isnan(preference)):
        return None
    if preference == 0:
        return _DRAW
    if not isinstance(preference, int | float) or not 1 <= preference <= 2:
        shown = repr(preference)[:40]
        raise record_error(where, "a preference from 1 to 2, or 0 for a draw", shown, "leave the annotation out")
    return preference - 1


def _identity(one: Mapping[str, Any]) -> str | None:
    """The instruction, with its data set and input, which tell equal instructions apart."""
    parts = [one[key] for key in ("dataset", "instruction", "input") if isinstance(one.get(key), str) and one[key]]
    return ": ".join(parts) or None
