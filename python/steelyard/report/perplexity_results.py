"""The results of perplexities that are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from .._estimate import Estimate
from .._mode import standard_mode_methods

Floats = NDArray[np.float64]


@standard_mode_methods
@dataclass(frozen=True)
class Documents:
    """What each cluster adds to the difference, those with the largest change first.

    Attributes
    ----------
    names : array of str
    tokens : array
        How many tokens (bytes, words) the records of a cluster have.
    difference : array
        The difference of their mean NLL, in nats per token (byte, word).
    """

    names: NDArray[np.str_]
    tokens: Floats
    difference: Floats


@standard_mode_methods
@dataclass(frozen=True)
class DocumentPerplexities:
    """The perplexity of each document of a model, the highest first.

    Attributes
    ----------
    names : array of str
    tokens : array
        How many tokens of a document count.
    perplexity : array
        The exponential of their mean NLL; the mean of these is ``ModelResult.of_documents``.
    """

    names: NDArray[np.str_]
    tokens: Floats
    perplexity: Floats

    @classmethod
    def sorted(cls, names: NDArray[Any], tokens: NDArray[Any], perplexity: Floats) -> Self:
        """These documents, the highest perplexity first."""
        order = np.argsort(-perplexity, kind="stable")
        return cls(names[order].astype(np.str_), tokens[order].astype(np.float64), perplexity[order])


@standard_mode_methods
@dataclass(frozen=True)
class PerplexityPair:
    """The perplexity of one model against another's.

    Attributes
    ----------
    ratio : Estimate
        Perplexity of the model / that of the baseline, at the level that was asked for.
    difference : Estimate
        Its logarithm: the difference of mean NLL, in nats per ``unit``.
    simultaneous : Estimate
        The ratio at the level that the verdict reads: 1 - alpha/m of m pairs.
    verdict : str
        Lower is better, without a margin.
    documents : Documents or None
        Where records have clusters: what each of them adds.
    unit : str
        What the perplexities are per: ``token``; where the models' tokens differ, ``byte`` or ``word`` of the text.
    """

    model: str
    baseline: str
    ratio: Estimate
    difference: Estimate
    simultaneous: Estimate
    p_value: float
    p_adjusted: float
    test: str
    verdict: str
    documents: Documents | None = None
    unit: str = "token"
