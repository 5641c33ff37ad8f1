"""The data of a report on two models' logits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import tokens
from .._estimate import Estimate
from .._mode import standard_mode_methods

Floats = NDArray[np.float64]


@standard_mode_methods
@dataclass(frozen=True)
class Margin:
    """What may get worse, and by how much: the estimate at the level that the verdict reads, and the verdict.

    Attributes
    ----------
    name : str
        ``"perplexity"``, ``"kl"`` or ``"flips"``.
    margin : float
        Up to this the new model does not count as worse: the rise of the perplexity as a share of the baseline's, the
        mean KL divergence in nats, or the share of tokens that flipped.
    estimate : Estimate
        The ratio of perplexities, the mean KL or the share; of m margins at 1 - alpha/m, so that all hold together.
    verdict : str
        ``"better"``, ``"not_worse"``, ``"worse"`` or ``"undecided"``.
    """

    name: str
    margin: float
    estimate: Estimate
    verdict: str


@standard_mode_methods
@dataclass(frozen=True)
class Band:
    """Tokens whose position or entropy lies from ``low`` to ``high``.

    Attributes
    ----------
    n : int
        How many.
    kl : Estimate
        Their mean KL divergence.
    difference : float
        Their mean change of NLL, in nats.
    flips : float
        The share that flipped.
    """

    low: float
    high: float
    n: int
    kl: Estimate
    difference: float
    flips: float


@standard_mode_methods
@dataclass(frozen=True)
class TokenChange:
    """A token at which the models differ much.

    Attributes
    ----------
    place : tuple of int
        Its index in the targets.
    document : str
        Its document, "" where none is known.
    target, baseline_top, top : str
        The token, and what the baseline and the model prefer: text where a vocabulary was given, else ids.
    context : str
        The text before it, where a vocabulary was given.
    baseline_probability, probability : float
        Of the target.
    kl : float
        In nats.
    """

    place: tuple[int, ...]
    document: str
    target: str
    baseline_top: str
    top: str
    context: str
    baseline_probability: float
    probability: float
    kl: float


@standard_mode_methods
@dataclass(frozen=True)
class LogitsContents:
    """How a model's logits differ from a baseline's, as data."""

    new: str
    baseline: str
    ratio: Estimate
    difference: Estimate
    perplexity: Estimate
    baseline_perplexity: Estimate
    kl: Estimate
    kl_quantiles: Mapping[str, Estimate]
    kl_largest: float
    same_top: Estimate
    flips: Estimate
    delta_p: Estimate
    delta_p_rms: Estimate
    margins: tuple[Margin, ...]
    positions: tuple[Band, ...]
    entropies: tuple[Band, ...]
    documents: Mapping[str, NDArray[Any]]
    changed: tuple[TokenChange, ...]
    figures: tokens.KLFigures | None
    infinite: int
    unit: str
    confidence_level: float
    notes: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    title: str | None = None
    sample: Mapping[str, Floats] = field(default_factory=dict, repr=False)
    """Of some tokens, evenly spread: ``entropy`` and ``kl``, for the picture."""
