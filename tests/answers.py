"""Pairs of 0/1 answers with given numbers of wins and losses, compared by the core."""

from __future__ import annotations

from typing import Any

import numpy as np

from steelyard import _core


def compared(wins: int, losses: int, n: int, level: float = 0.95) -> dict[str, Any]:
    """The difference of ``n`` pairs with its two-sided interval, and McNemar's ``mid_p``."""
    row = np.arange(n)
    new, base = row < wins, (wins <= row) & (row < wins + losses)
    found: Any = _core.paired_comparison(
        new=new.astype(np.float32), base=base.astype(np.float32), booleans=(True, True), confidence_levels=[level],
        alternative="two-sided",
    )  # fmt: skip
    return {**found["levels"][0], "mid_p": found["p"]}
