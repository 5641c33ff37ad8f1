"""What is estimated: the statistics by name."""

from __future__ import annotations

from typing import Literal

from .._options import choice
from .._registries import names

__all__ = ["Statistic", "statistic_name"]

Statistic = Literal["mean"]


def statistic_name(statistic: object) -> str:
    """``statistic`` where it is the name of one."""
    return choice(statistic, "statistic", names("uncertainty.statistic"))
