"""Poisson counts of units by their ids, which every machine finds alike."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from . import random

__all__ = ["counts", "text_number"]

UNITS = 10
"""The purpose of these random numbers."""
NUMBER, TEXT = 0, 1


def counts(numbers: NDArray[np.uint64], seed: int, replicates: int, *, kind: int = NUMBER) -> NDArray[np.int64]:
    """How often each unit counts in each replicate, shape [units, replicates]: Poisson with mean 1.

    Replicate r reads half ``h`` of word ``w`` of block ``16 g + lane``, where r = 128 g + 64 h + 16 w + lane; the same
    half of the same word of round 1 has the lower 16 bits of its number.
    """
    r = np.arange(replicates)
    block = (r // 128 * 16 + r % 16).astype(np.uint64)
    word, half = r % 64 // 16, (r % 128 // 64 * 16).astype(np.uint64)
    chance = np.cumsum([math.exp(-1) / math.factorial(k) for k in range(12)])
    bounds = np.rint(chance * 2.0**32).astype(np.uint64)
    found = np.empty((len(numbers), replicates), np.int64)
    for i, number in enumerate(numbers.tolist()):
        halves = []
        for turn in (0, 1):
            tag = UNITS << 26 | kind << 6 | turn
            fixed = [np.full_like(block, value) for value in (number & 0xFFFFFFFF, number >> 32, tag)]
            words = random.philox((seed & 0xFFFFFFFF, seed >> 32), np.stack([*fixed, block]))
            halves.append(words[word, r] >> half & np.uint64(0xFFFF))
        found[i] = np.searchsorted(bounds, halves[0] << np.uint64(16) | halves[1], side="right")
    return found


def text_number(text: str) -> int:
    """The number of a text as an id: eight bytes at a time, little endian, and the length at the end."""
    data, state = text.encode(), 0
    for start in range(0, len(data), 8):
        state = _mixed(state ^ int.from_bytes(data[start : start + 8], "little"))
    return _mixed(state ^ len(data))


def _mixed(x: int) -> int:
    x = (x + 0x9E3779B97F4A7C15) % 2**64
    for multiplier in (0xFF51AFD7ED558CCD, 0xC4CEB9FE1A85EC53):
        x = (x ^ x >> 33) * multiplier % 2**64
    return x ^ x >> 33
