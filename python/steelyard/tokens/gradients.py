"""Gradients of the loss of hidden states, through logits that are made again block by block."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _core
from .._mode import standard_mode_methods
from .._progress import OnProgress
from .._result import Result
from ._transform import Reals

__all__ = ["TokenGradients", "gradients_of"]

# Classes whose weights are multiplied at a time, and rows that are multiplied with them. Sums over classes and over
# rows are rounded at the end of each block, so that the bits of the gradients depend on these numbers.
CLASSES = 1 << 12
ROWS = 1 << 10


@standard_mode_methods
@dataclass(frozen=True, eq=False)
class TokenGradients(Result):
    """The gradients of the sum of the losses of all targets that count.

    The loss of a target is ``nll``, or with ``label_smoothing`` the column ``label_smoothed``. The mean loss has these
    gradients divided by ``n_counted``.

    Attributes
    ----------
    hidden : float32 or float64 ndarray, the shape of ``hidden``
        By the hidden states; 0 in rows that do not count. In the type in which the logits are computed, as all of them.
    weight : ndarray, shape [V, H]
        By the weights of the vocabulary.
    bias : ndarray, shape [V]
        By the bias of the output layer, whether there is one or not.

    Examples
    --------
    >>> import numpy as np
    >>> import steelyard as sy
    >>> hidden = np.array([[1.0, 0.0], [0.5, -2.0]])
    >>> weight = np.array([[2.0, 1.0], [0.0, 0.0], [-1.0, 1.0]])
    >>> h = sy.token_scores_from_hidden(hidden, weight, [0, 1], gradients=True)
    >>> h.gradients.bias.round(4).tolist()
    [0.0975, -0.1961, 0.0986]
    """

    hidden: NDArray[Any]
    weight: NDArray[Any]
    bias: NDArray[Any]

    def __post_init__(self) -> None:
        for given in (self.hidden, self.weight, self.bias):
            given.setflags(write=False)


def gradients_of(
    hidden: NDArray[Any],
    weight: NDArray[Any],
    targets: NDArray[np.int64],
    *,
    counted: NDArray[np.bool_],
    log_z: NDArray[np.float64],
    real: Reals,
    options: Mapping[str, Any],
    progress: OnProgress,
) -> TokenGradients:
    """The gradients for ``[..., H]`` hidden states with a target each.

    ``counted`` and ``log_z`` are those of their scores. The logits of each block of classes and rows have the bits of
    those that were scored, so that probabilities add up to 1.
    """
    length, classes = hidden.shape[-1], len(weight)
    rows = np.flatnonzero(counted)
    states, log_z, targets = hidden.reshape(-1, length)[rows], log_z.reshape(-1)[rows], targets.reshape(-1)[rows]
    by_state, by_weight, by_bias = (np.zeros(shape, real) for shape in (states.shape, weight.shape, (classes,)))
    starts = [(a, b) for a in range(0, classes, CLASSES) for b in range(0, len(rows), ROWS)]
    for done, (first, row) in enumerate(starts):
        some, these = slice(first, min(classes, first + CLASSES)), slice(row, min(len(rows), row + ROWS))
        of_classes, of_rows = weight[some], states[these]
        slope = _slopes(
            _products(of_rows, of_classes, real), targets[these], log_z[these], some, classes=classes, options=options
        )
        across = np.ascontiguousarray(slope.T)
        by_state[these] += _products(slope, np.ascontiguousarray(of_classes.T), real)
        by_weight[some] += _products(across, np.ascontiguousarray(of_rows.T), real)
        by_bias[some] += _products(across, np.ones((1, len(slope)), real), real)[:, 0]
        if progress is not None:
            progress(done + 1, len(starts))
    every = np.zeros((counted.size, length), real)
    every[rows] = by_state
    return TokenGradients(hidden=every.reshape(hidden.shape), weight=by_weight, bias=by_bias)


def _products(a: NDArray[Any], b: NDArray[Any], real: Reals) -> NDArray[Any]:
    """Multiply each row of ``a`` with each of ``b``, summed in ``real``."""
    if a.shape[1] == 0:
        return np.zeros((len(a), len(b)), real)
    words = _core.row_products(a, b)
    found: NDArray[Any] = words.view(real)[: len(a) * len(b)].reshape(len(a), len(b))
    return found


def _slopes(
    logits: NDArray[Any],
    targets: NDArray[np.int64],
    log_z: NDArray[np.float64],
    some: slice,
    *,
    classes: int,
    options: Mapping[str, Any],
) -> NDArray[Any]:
    """The gradient by the logits of some classes before they are transformed."""
    bias = options["bias"]
    words = _core.token_gradients(
        logits, targets, log_z=log_z, factors=np.ones(len(logits)), ignore_index=None,
        **{**options, "bias": None if bias is None else bias[some]}, shard=(some.start, classes),
    )  # fmt: skip
    found: NDArray[Any] = words.view(logits.dtype)[: logits.size].reshape(logits.shape)
    return found
