"""Language models by counting: the probability of the next character given the n - 1 before it, smoothed.

Witten and Bell's smoothing: where history h was followed N times, by T different characters,

    P(c | h) = (count(h, c) + T P(c | h')) / (N + T),

h' being h without its oldest character; below the single characters stands the uniform distribution.
(Witten and Bell, The zero-frequency problem, IEEE Transactions on Information Theory 37, 1991.)
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .corpus import ALPHABET, Document

V = len(ALPHABET)
NAMES = {1: "unigram", 2: "bigram", 3: "trigram"}


class CountingModel:
    """Characters predicted by the ``order - 1`` before them."""

    def __init__(self, order: int) -> None:
        self.name = NAMES[order]
        self.order = order
        self.table: NDArray[np.float64] = np.full((1, V), 1 / V)

    def fit(self, documents: Iterable[Document]) -> CountingModel:
        """Count, and smooth each order with the one below it."""
        known = list(documents)
        for order in range(1, self.order + 1):
            counts = np.zeros((V ** (order - 1), V))
            for document in known:
                np.add.at(counts, (_histories(document.codes, order), document.codes), 1.0)
            shorter = np.tile(self.table, (len(counts) // len(self.table), 1))
            followers = np.count_nonzero(counts, axis=1, keepdims=True)
            followers = np.maximum(followers, 1)  # a history never seen has the shorter one's distribution
            self.table = (counts + followers * shorter) / (counts.sum(axis=1, keepdims=True) + followers)
        return self

    def log_probabilities(self, document: Document) -> NDArray[np.float64]:
        """Log-probability of every character of the alphabet at every place: ``[len(text), V]``."""
        return np.log(self.table[_histories(document.codes, self.order)])


def _histories(codes: NDArray[np.int64], order: int) -> NDArray[np.int64]:
    """The last ``order - 1`` characters before each place as one number; the text begins after line breaks.

    The oldest character is the most significant digit, so that ``index % V ** (order - 2)`` forgets it.
    """
    padded = np.concatenate([np.zeros(order - 1, dtype=np.int64), codes])
    history = np.zeros(len(codes), dtype=np.int64)
    for back in range(order - 1, 0, -1):
        history = history * V + padded[order - 1 - back : len(padded) - back]
    return history
