"""The pairs of the rows that were given, which of them enter the estimates, and their columns."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ..._strides import coded
from ..._text import listed_counts
from ...errors import value_error
from .answers import Pair, answers_of
from .copies import prompt_codes
from .given import Given
from .unpaired import Labelled, couples

__all__ = ["NO_NAME", "Pairs", "pairs_of"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
NO_NAME = "(none)"


@dataclass(frozen=True)
class Pairs:
    """The well-formed pairs, and which of them enter the estimates."""

    of: Given
    rows: list[int]
    """The row of the chosen answer."""
    others: list[int]
    """The row of the rejected one: the same, unless single answers were paired."""
    texts: list[Pair]
    """Empty where there are no texts."""
    used: Mask
    codes: NDArray[np.int64] | None
    """The cluster of each pair; None where each is its own."""
    left_out: dict[str, int]

    def lengths(self) -> tuple[Floats, Floats] | None:
        """The lengths of both answers of the pairs that are used: as given, else characters."""
        if "length_chosen" in self.of.numbers:
            return self._both("length")
        if not self.texts:
            return None
        sizes = np.array([(len(pair.chosen), len(pair.rejected)) for pair in self.texts], np.float64)[self.used]
        return np.ascontiguousarray(sizes[:, 0]), np.ascontiguousarray(sizes[:, 1])

    @property
    def unit(self) -> str:
        """What lengths are counted in."""
        return "token" if "length_chosen" in self.of.numbers else "character"

    def scores(self) -> Floats | None:
        """The score margins of the pairs that are used."""
        if "score_margin" in self.of.numbers:
            return self.of.numbers["score_margin"][np.array(self.rows, np.int64)[self.used]]
        if "score_chosen" not in self.of.numbers:
            return None
        chosen, rejected = self._both("score")
        return chosen - rejected

    def _both(self, kind: str) -> tuple[Floats, Floats]:
        """A number of both answers of the pairs that are used; single answers have it in one column."""
        numbers = self.of.numbers
        chosen = numbers[f"{kind}_chosen"]
        rejected = numbers.get(f"{kind}_rejected", chosen)
        rows, others = (np.array(places, np.int64)[self.used] for places in (self.rows, self.others))
        return chosen[rows], rejected[others]

    def known(self) -> tuple[Mask, dict[str, int]]:
        """The pairs that are used and have all log-probabilities, and how many lack some by reason."""
        rows = np.array(self.rows, np.int64)
        values = np.stack([self.of.numbers[name][rows] for name in self.of.logprobs])
        nan, infinite = np.isnan(values).any(axis=0), np.isinf(values).any(axis=0)
        counts = {
            "no log-probability": int(np.count_nonzero(self.used & nan)),
            "infinite log-probability": int(np.count_nonzero(self.used & infinite & ~nan)),
        }
        return self.used & ~nan & ~infinite, {why: n for why, n in counts.items() if n}

    def marked(self, keep: Mask) -> Mask:
        """The rows of some of the pairs."""
        rows = np.zeros(self.of.n, np.bool_)
        rows[np.array(self.rows, np.int64)[keep]] = True
        return rows

    def tokens(self, rows: Mask) -> tuple[Floats, Floats] | None:
        """The lengths of all rows in tokens, where each of ``rows`` has them."""
        if "length_rejected" not in self.of.numbers:
            return None
        found = self.of.numbers["length_chosen"], self.of.numbers["length_rejected"]
        return found if all(np.isfinite(one[rows]).all() for one in found) else None

    def spread(self, values: Floats) -> Floats:
        """Values of the pairs that are used, with NaN for the others."""
        found = np.full(len(self.used), np.nan)
        found[self.used] = values
        return found


def pairs_of(of: Given, single: Labelled | None) -> Pairs:
    """The pairs of the rows that count; raise where none enters the estimates, unless answers are single."""
    left_out = dict(of.left_out)
    rows: list[int] = np.flatnonzero(of.keep).tolist()
    others: list[int] = rows
    texts: list[Pair] = []
    if single is not None:
        better, worse, texts = couples(single)
        left_out |= single.left_out
        rows, others = ([single.rows[i] for i in places] for places in (better, worse))
    elif "chosen" in of.texts:
        prompts = of.texts.get("prompts")
        asked = None if prompts is None else [prompts[row] for row in rows]
        read = answers_of(asked, *([of.texts[name][row] for row in rows] for name in ("chosen", "rejected")))
        texts, rows = read.pairs, [rows[place] for place in read.rows]
        others = rows
        left_out |= read.left_out
    same = [pair.chosen.strip() == pair.rejected.strip() for pair in texts] if texts else [False] * len(rows)
    used = ~np.array(same, np.bool_)
    left_out["two identical answers"] = sum(same)
    left_out = {why: n for why, n in left_out.items() if n}
    if single is None and not used.any():
        name = "chosen" if "chosen" in of.texts else "policy_chosen"
        got = f"none in {of.n} rows ({listed_counts(left_out)})"
        raise value_error(name, "at least one pair of two different answers", got)
    return Pairs(of, rows, others, texts, used, _codes(of, rows, texts), left_out)


def _codes(of: Given, rows: Sequence[int], texts: Sequence[Pair]) -> NDArray[np.int64] | None:
    """The cluster of each pair: as given, else its prompt; None where each is its own."""
    if of.clusters is not None:
        return of.clusters[np.array(rows, np.int64)]
    if texts:
        codes = np.array(prompt_codes(pair.prompt for pair in texts), np.int64)
    elif "prompts" in of.texts:
        numbers: dict[Any, int] = {}
        codes = np.array([numbers.setdefault(str(of.texts["prompts"][row]), len(numbers)) for row in rows], np.int64)
    else:
        return None
    return codes if len(coded(codes)[1]) < len(codes) else None
