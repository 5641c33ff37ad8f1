"""Blocks of neighbouring rows, in which a series is resampled."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

from .._mode import standard_mode
from .._options import choice, number
from ..errors import shown, type_error, value_error

__all__ = ["Blocks", "Kind", "blocks", "blocks_of"]

Kind = Literal["moving", "circular", "stationary"]
KINDS = get_args(Kind)


@dataclass(frozen=True)
class Blocks:
    """A kind of blocks with their length; None where the data choose it."""

    kind: str
    length: float | None


@standard_mode
def blocks(kind: Kind, length: float) -> Blocks:
    """Name blocks with their length for the ``blocks`` of :func:`steelyard.bootstrap`.

    Parameters
    ----------
    kind : {"moving", "circular", "stationary"}
        See :func:`steelyard.bootstrap`.
    length : int, or float for stationary blocks
        The number of rows in a block, of stationary ones their mean; at least 1.

    Returns
    -------
    blocks

    Raises
    ------
    TypeError, ValueError
        For another kind, and where the length is no such number.

    Examples
    --------
    >>> import numpy as np, steelyard as sy
    >>> x = np.cumsum(np.sin(np.arange(200.0)))
    >>> sy.bootstrap(x, blocks=sy.uncertainty.blocks("circular", 25)).detail["block_length"]
    25.0
    """
    chosen, given = choice(kind, "kind", KINDS), number(length, "length")
    if not 1 <= given < math.inf or (chosen != "stationary" and given != math.floor(given)):
        expected = "a number of at least 1" if chosen == "stationary" else "a whole number of rows, at least 1"
        raise value_error("length", expected, shown(length))
    return Blocks(chosen, given)


def blocks_of(asked: object) -> Blocks | None:
    """The argument ``blocks``, checked."""
    if asked is None or isinstance(asked, Blocks):
        return asked
    if not isinstance(asked, str):
        expected = f"one of {', '.join(KINDS)}, or steelyard.uncertainty.blocks(kind, length)"
        raise type_error("blocks", expected, shown(asked))
    return Blocks(choice(asked, "blocks", KINDS), None)
