"""The counts of the sentences of a corpus, from which BLEU and chrF are computed: a table with a row a sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .._columns import Array, columns
from .._registries import REGISTRIES
from ..errors import shown, type_error, value_error

__all__ = ["COUNTS", "check_matches", "count_columns"]

KEY = "uncertainty.statistic"

# The statistics of counts, and what sacreBLEU's metric of the same numbers is.
COUNTS = {"bleu": "BLEU()", "chrf": "CHRF()", "chrf++": "CHRF(word_order=2)"}


def count_columns(x: Any, statistic: str, wanted: tuple[str, ...], of: str) -> dict[str, Array]:
    """The columns of a table of counts ``[n, K]``, keyed by the caller's expressions for them: ``x[:, 0]``."""
    expected = f"counts [n, {len(wanted)}] for statistic={statistic!r}, as sacreBLEU's {COUNTS[statistic]} makes them"
    found = columns(x, of)
    if not found.many:
        raise type_error(of, expected, shown(x))
    table = dict(found.items)
    if len(table) != len(wanted):
        raise value_error(of, expected, f"{len(table)} columns")
    return table


def check_matches(table: Mapping[str, Array], statistic: str) -> None:
    """Refuse counts whose columns stand in another order, so that more n-grams match than there are."""
    names, given = list(table), REGISTRIES[KEY][statistic].columns
    of = {column: place for place, column in enumerate(given)}
    for matches in (column for column in given if column.startswith("matches")):
        order = matches.removeprefix("matches")
        for all_of in (f"{kind}{order}" for kind in ("total", "system", "reference") if f"{kind}{order}" in of):
            few, many = names[of[matches]], names[of[all_of]]
            wrong = table[few] > table[many]
            if wrong.any():
                row = int(np.argmax(wrong))
                expected = f"at most as many matches as n-grams in {many} (the columns are {', '.join(given)})"
                raise value_error(few, expected, f"more at index {row}")
