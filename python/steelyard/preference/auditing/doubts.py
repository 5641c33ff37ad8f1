"""Pairs worth labelling again: contradictions, labels that rewards or scores speak against, and near ties."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ..._mode import standard_mode_methods
from ..._result import Result
from ..._strides import strides
from .answers import Pair, short

__all__ = ["Doubt", "Listed", "contradictions_of", "doubts_of"]

Floats = NDArray[np.float64]
Why = Literal["contradiction", "reward against", "reward near tie", "score against", "score near tie"]


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True)
class Doubt(Result):
    """A pair that is worth labelling again.

    Attributes
    ----------
    why : str
        ``"contradiction"``: another row has the pair the other way round (a single answer: with the other label);
        ``"reward against"`` or ``"score against"``: the margin points to the rejected answer, farthest first;
        ``"reward near tie"`` or ``"score near tie"``: the margins nearest to 0.
    row : int
        Its place among the rows that were given, from 0 on.
    id : str
        What the caller calls it, or its place.
    margin : float or None
        Of the rewards (in nats, before beta) or of the scores, chosen less rejected.
    prompt, chosen, rejected : str
        The beginnings of the texts; empty where there are none.
    """

    why: Why
    row: int
    id: str
    margin: float | None
    prompt: str
    chosen: str
    rejected: str

    def to_dict(self) -> dict[str, Any]:
        """Return the pair in types that JSON has."""
        return {
            "why": self.why, "row": self.row, "id": self.id, "margin": self.margin, "prompt": self.prompt,
            "chosen": self.chosen, "rejected": self.rejected,
        }  # fmt: skip


class Listed:
    """Makes the entries of a list of doubts."""

    def __init__(self, rows: Sequence[int], ids: Sequence[str] | None, pairs: Sequence[Pair] | None) -> None:
        self.rows, self.ids, self.pairs = rows, ids, pairs

    def doubt(self, why: Why, place: int, margin: float | None) -> Doubt:
        """The entry of the pair at a place."""
        row = self.rows[place]
        texts = ("", "", "")
        if self.pairs is not None:
            pair = self.pairs[place]
            texts = short(pair.prompt or ""), short(pair.chosen), short(pair.rejected)
        return Doubt(
            why=why, row=row, id=str(row) if self.ids is None else self.ids[row], margin=margin,
            prompt=texts[0], chosen=texts[1], rejected=texts[2],
        )  # fmt: skip


def contradictions_of(of: Listed, contradicting: Sequence[int], most: int) -> Iterator[Doubt]:
    """The first rows that contradict each other."""
    for place in contradicting[:most]:
        yield of.doubt("contradiction", place, None)


def doubts_of(of: Listed, rewards: Floats | None, scores: Floats | None, most: int) -> Iterator[Doubt]:
    """The pairs to label again, ``most`` of each kind; margins are one a place, NaN where there is none."""
    kinds: tuple[tuple[Floats | None, Why, Why], ...] = (
        (rewards, "reward against", "reward near tie"), (scores, "score against", "score near tie")
    )  # fmt: skip
    for margins, against, near in kinds:
        if margins is None:
            continue
        shown: set[int] = set()
        for place in _first(margins, margins < 0, most):
            shown.add(place)
            yield of.doubt(against, place, float(margins[place]))
        others = ~np.isnan(margins)
        others[list(shown)] = False
        for place in _first(np.abs(margins), others, most):
            yield of.doubt(near, place, float(margins[place]))


def _first(values: Floats, keep: NDArray[np.bool_], most: int) -> list[int]:
    """The places of the smallest values among those that are kept."""
    places = np.flatnonzero(keep)
    best = places[:0]
    for step in strides(len(places)):
        some = np.concatenate([best, places[step]])
        best = some[np.argsort(values[some], kind="stable")[:most]]
    found: list[int] = best.tolist()
    return found
