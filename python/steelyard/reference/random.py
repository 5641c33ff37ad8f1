"""Random numbers: Philox4x32-10, and exact multinomial counts by fair splitting.

A random number depends only on the seed, its purpose, the stratum, the replicate and its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["At", "below", "counts", "fair", "halves", "numbers", "philox", "words"]

Words = NDArray[np.uint64]
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
# Blocks of four words that are computed together. A batch holds the first words of all its blocks, then the second, ...
BLOCKS = 16
# log2 of the number of slots in a leaf of the tree (so the number of bits in a draw), and of those in the whole tree.
LEAF, TREE = 10, 40
SLOTS = 1 << LEAF
# The purposes: counts of a bootstrap replicate, signs, noise of a smoothed bootstrap, rounding, fixed normals, the
# weights of a beta bootstrap, and the counts of resamples of a replicate.
BOOTSTRAP, SIGN_FLIP, SMOOTHING, ROUNDING, NORMALS, BETA_WEIGHTS, INNER = 1, 2, 3, 4, 5, 6, 7
PERMUTATION = 8  # random orders of rows


class At(NamedTuple):
    """Where random numbers come from: the key (64 bits), and the fields of the counter besides the block number."""

    seed: int
    domain: int = 0
    """The purpose: 6 bits."""
    stratum: int = 0
    """20 bits."""
    replicate: int = 0
    """32 bits."""
    place: int = 0
    """32 bits."""

    def node(self, level: int, index: int) -> At:
        """The numbers of a node of the tree of rows. Nodes are numbered level by level from the root, which is 1."""
        return self._replace(place=(1 << (TREE - level)) + index)

    def spine(self, level: int, turn: int) -> At:
        """A node of the right edge of the tree, in the given round of redrawing; level 0 is the last, shorter leaf."""
        return self._replace(place=1 << 31 | turn << 6 | level)

    def counter(self, block: Words) -> Words:
        """The four words: block (low bits); replicate; domain, stratum and block (high bits); place."""
        tag = np.uint64(self.domain << 26 | self.stratum << 6) | block >> HALF
        fixed = [np.full_like(block, value) for value in (self.replicate, self.place)]
        return np.stack([block & LOW, fixed[0], tag, fixed[1]])


def philox(key: tuple[int, int], counter: Words) -> Words:
    """Philox4x32-10 of Salmon et al. (SC 2011), from and to arrays [4, n] that hold 32-bit words in uint64."""
    c0, c1, c2, c3 = counter
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (b >> HALF) ^ c1 ^ k0, b & LOW, (a >> HALF) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & LOW, (k1 + np.uint64(0xBB67AE85)) & LOW
    return np.stack([c0, c1, c2, c3])


def words(at: At, n: int) -> Words:
    """The first ``n`` words at a place."""
    batches = -(-n // (4 * BLOCKS))
    counter = at.counter(np.arange(batches * BLOCKS, dtype=np.uint64))
    out = philox((at.seed & 0xFFFFFFFF, at.seed >> 32), counter)
    return out.reshape(4, batches, BLOCKS).transpose(1, 0, 2).ravel()[:n]


def fair(at: At, m: int) -> int:
    """An exact draw from Bin(m, 1/2): how many of the first ``m`` bits at a place are set."""
    found = words(at, -(-m // 32))
    if m % 32:
        found[-1] &= np.uint64((1 << m % 32) - 1)
    return int(np.bitwise_count(found).sum())


def draws(at: At, n: int) -> NDArray[np.int64]:
    """The first ``n`` draws of ten bits at a place; each word gives three."""
    found = words(at, -(-n // 3))
    fields = np.stack([found >> np.uint64(shift) & np.uint64(SLOTS - 1) for shift in (0, LEAF, 2 * LEAF)], axis=1)
    return fields.ravel()[:n].astype(np.int64)


def counts(n: int, seed: int, replicate: int, stratum: int = 0, *, domain: int = BOOTSTRAP) -> NDArray[np.int64]:
    """How often each of ``n`` rows is drawn in ``n`` draws with replacement: Multinomial(n; 1/n, ..., 1/n).

    Draws are thought of as balls in a binary tree over the rows. First they run down the right edge of the tree, by one
    random bit per node, until they reach a perfect subtree; a ball that ends outside of ``0..n`` is thrown again.
    Inside a perfect subtree, each node sends each ball left or right by one random bit, and a leaf of 1,024 rows
    distributes its balls by ten bits each. Only the last leaf may have fewer rows; there, a draw beyond the end is
    drawn again.
    """
    at = At(seed, domain, stratum, replicate)

    def leaf(index: int, balls: int) -> NDArray[np.int64]:
        slots = min(SLOTS, n - index * SLOTS)
        mask = (1 << (slots - 1).bit_length()) - 1
        enough = balls
        while True:  # how many draws are needed is not known beforehand
            found = draws(at.node(LEAF, index), enough) & mask
            kept = found[found < slots][:balls]
            if len(kept) == balls:
                return np.bincount(kept, minlength=slots)
            enough = 2 * enough + 64

    def tree(level: int, index: int, balls: int) -> list[NDArray[np.int64]]:
        if level == LEAF:
            return [leaf(index, balls)]
        left = fair(at.node(level, index), balls)
        return tree(level - 1, 2 * index, left) + tree(level - 1, 2 * index + 1, balls - left)

    perfect, ragged = _spine(n, at)
    parts = [part for level in sorted(perfect, reverse=True) for part in tree(level, (n >> level) - 1, perfect[level])]
    return np.concatenate([*parts, leaf(n >> LEAF, ragged)] if n % SLOTS else parts)


def _spine(n: int, at: At) -> tuple[dict[int, int], int]:
    """How many of ``n`` balls each perfect subtree receives, by its level, and how many the last, shorter leaf."""
    perfect = {level: 0 for level in range(LEAF, n.bit_length()) if n >> level & 1}
    if n < SLOTS:
        return perfect, n
    if n & (n - 1) == 0:
        return {n.bit_length() - 1: n}, 0
    ragged, thrown, turn = 0, n, 0
    while thrown:
        here, outside = thrown, 0
        for level in reversed(range(LEAF, n.bit_length())):
            left = fair(at.spine(level, turn), here)
            if level in perfect:
                perfect[level] += left
                here -= left
            else:
                outside += here - left
                here = left
        inside = int((draws(at.spine(0, turn), here) < n % SLOTS).sum())
        ragged += inside
        thrown = outside + here - inside
        turn += 1
    return perfect, ragged


def halves(seed: int, tensor: int, step: int, array: int, n: int) -> NDArray[np.uint32]:
    """The numbers of 16 bits that round the first ``n`` elements of an array of a tensor at a step.

    A batch of 64 words gives 128 elements their numbers: the lower halves of its words, then the upper halves.
    """
    at = At(seed, ROUNDING, stratum=tensor, replicate=step, place=array)
    batches = words(at, -(-n // 128) * 64).reshape(-1, 64).astype(np.uint32)
    return np.concatenate([batches & 0xFFFF, batches >> 16], axis=1).ravel()[:n]


def numbers(at: At) -> Iterator[int]:
    """The numbers of 64 bits at a place: two words each, the low half first."""
    for batch in itertools.count(1):
        found = words(at, 4 * BLOCKS * batch)[-4 * BLOCKS :].tolist()
        yield from (low | high << 32 for low, high in zip(found[::2], found[1::2], strict=True))


def below(found: Iterator[int], n: int) -> int:
    """A number below n from numbers of 64 bits, each as probable as the others (Lemire, TOMACS 2019)."""
    while True:
        product = next(found) * n
        if product % 2**64 >= 2**64 % n:
            return product >> 64
