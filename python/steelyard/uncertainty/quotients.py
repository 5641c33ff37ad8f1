"""Quotients of two statistics."""

from __future__ import annotations

from .._mode import standard_mode
from ._statistics import Chosen, Statistic, chosen

__all__ = ["quotient"]


@standard_mode
def quotient(above: Statistic, below: Statistic) -> Chosen:
    """Name a quotient of two statistics as that of :func:`steelyard.estimate` or :func:`steelyard.bootstrap`.

    ``quotient("mean", "std")`` is the same as the text ``"mean/std"``, and type checkers know its names. With the
    derivatives f' and g' of two statistics along the sums of a row (or cluster), that of f/g is (f' - (f/g) g')/g.

    Parameters
    ----------
    above, below : str
        Two different statistics of sums that take the same columns; not the sum itself, which grows with the rows.

    Returns
    -------
    statistic

    Raises
    ------
    TypeError, ValueError
        Where there is no such quotient.

    Examples
    --------
    >>> import steelyard as sy
    >>> returns = [0.3, 0.1, -0.2, 0.4, 0.2, 0.1, 0.5, 0.0, 0.2, 0.3]
    >>> print(sy.estimate(returns, sy.uncertainty.quotient("mean", "std")))
    1.0 [-0.0, 2.0] (95 %, t, n = 10)
    """
    return chosen(f"{above}/{below}")
