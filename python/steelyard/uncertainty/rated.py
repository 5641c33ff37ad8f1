"""The result of rating models by their battles."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from .._estimate import Floats, json_ready
from .._mode import standard_mode_methods
from .ranking import Ranking, Whole

__all__ = ["Ratings"]


@standard_mode_methods
@dataclass(frozen=True, kw_only=True, eq=False, repr=False)
class Ratings(Ranking):
    """Models ordered by their rating, the best first, with intervals and the range of ranks that each may have.

    It is a :class:`Ranking` whose scores are ratings: ``names``, ``rank``, ``rank_low``, ``rank_high``, ``best``,
    ``p_value``, ``table`` and ``plot`` are those of a Ranking.

    Attributes
    ----------
    score : Estimate
        The ratings with their intervals; ``score.n`` are the battles of each model.
    wins, losses, ties : ndarray
        How many battles each model won, lost and tied.
    tie_weight : float or None
        Davidson's nu, with ``ties="davidson"``: two models of equal rating tie with probability nu/(2 + nu).
    scale : str
        ``"elo"`` or ``"log"``.
    replicates : ndarray [n_resamples, K] or None
        The ratings in each resample, with ``method="bootstrap"``; NaN in the rows of resamples that have none.
    n : int
        The battles that count.
    left_out : dict
        For each reason why battles do not count, how many.

    Examples
    --------
    >>> import steelyard as sy
    >>> a, b = ["x", "x", "y", "z"] * 50, ["y", "z", "z", "x"] * 50
    >>> found = sy.uncertainty.ratings(a, b, ["a", "a", "b", "tie", "b", "a", "a", "a"] * 25)
    >>> found.names, found.rank_low.tolist(), found.rank_high.tolist()
    (('x', 'y', 'z'), [1, 1, 2], [2, 3, 3])
    """

    _axis: ClassVar[str] = "rating"

    wins: Whole
    losses: Whole
    ties: Whole
    tie_weight: float | None
    scale: str
    replicates: NDArray[np.float64] | None

    @property
    def rating(self) -> Floats:
        """The rating of each model."""
        assert isinstance(self.score.value, np.ndarray)
        return self.score.value

    @property
    def left_out(self) -> dict[str, Any]:
        """For each reason why battles do not count, how many."""
        return self.score.left_out

    @property
    def table(self) -> dict[str, Any]:
        """One row per model, as ``{column: array}``."""
        return super().table | {"wins": self.wins, "losses": self.losses, "ties": self.ties}

    def to_dict(self) -> dict[str, Any]:
        """Return every field but the replicates in types that JSON has."""
        own = {name: json_ready(getattr(self, name)) for name in ("wins", "losses", "ties", "tie_weight", "scale")}
        return super().to_dict() | own
