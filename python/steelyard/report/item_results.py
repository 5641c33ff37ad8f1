"""The data of a report about single items: those on which two models differ, and how much a verdict rests on few."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .._mode import standard_mode_methods
from .._result import Result

IN_JSON = 50  # so many items of a pair are in the report's JSON; --errors writes all of them


@standard_mode_methods
@dataclass(frozen=True, eq=False)
class Items(Result):
    """The items on which a model and the baseline differ: losses first, then wins, the largest first in both.

    Attributes
    ----------
    losses : int
        How many of them are losses: the first ones.
    id, new, baseline, difference : array
        Each item's id, the scores of the two models (means over epochs), and new - baseline.
    groups, shown : mapping of str to array of str
        The columns that make the groups (``by``), and those that are shown beside the items. Where the two models'
        records differ in a column, each model has one: ``"answer (base)"``. Text of more than 200 characters is its
        beginning and a digest, as the records keep it.
    """

    losses: int
    id: NDArray[np.str_]
    new: NDArray[np.float64]
    baseline: NDArray[np.float64]
    difference: NDArray[np.float64]
    groups: Mapping[str, NDArray[np.str_]]
    shown: Mapping[str, NDArray[np.str_]]

    def __len__(self) -> int:
        return len(self.id)

    def rows(self, most: int | None = None) -> Iterator[dict[str, Any]]:
        """The first ``most`` items (None: all), each as a dictionary in types that JSON has."""
        columns = (self.id, self.new, self.baseline, self.difference)
        for at, row in enumerate(zip(*(values[:most].tolist() for values in columns), strict=True)):
            item: dict[str, Any] = dict(zip(("id", "new", "baseline", "difference"), row, strict=True))
            for name, texts in (("groups", self.groups), ("shown", self.shown)):
                if texts:
                    item[name] = {column: str(values[at]) or None for column, values in texts.items()}
            yield item

    def to_dict(self) -> dict[str, Any]:
        """How many items were lost and won, and the first of them."""
        return {"losses": self.losses, "wins": len(self) - self.losses, "first": list(self.rows(IN_JSON))}


@dataclass(frozen=True)
class Fragility:
    """How few items a verdict rests on.

    Were the ``items`` largest losses (or wins, as ``of`` says) ties, with all else as it is, the verdict would be
    ``verdict``; with fewer of them it would stay. Of losses and wins it is the side that takes fewer items.
    """

    items: int
    of: str
    verdict: str
