"""Random numbers: Philox4x32-10, and exact multinomial counts by fair splitting.

A number depends on the seed, its purpose, the replicate and its place, and on nothing else.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

__all__ = ["counts", "fair", "philox", "words"]

Words = NDArray[np.uint64]
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
# Blocks of four words that are computed together: the words of a batch come word by word.
BLOCKS = 16
# log2 of the slots in a leaf of the tree, and so of the bits in one draw.
LEAF = 10
SLOTS = 1 << LEAF
BOOTSTRAP, SIGN_FLIP = 1, 2


def philox(key: tuple[int, int], counter: Words) -> Words:
    """Philox4x32-10 of Salmon et al. (SC 2011): ``counter`` [4, n] of 32-bit words in uint64, the same out."""
    c0, c1, c2, c3 = counter
    k0, k1 = np.uint64(key[0]), np.uint64(key[1])
    for _ in range(10):
        a, b = np.uint64(0xD2511F53) * c0, np.uint64(0xCD9E8D57) * c2
        c0, c1, c2, c3 = (b >> HALF) ^ c1 ^ k0, b & LOW, (a >> HALF) ^ c3 ^ k1, a & LOW
        k0, k1 = (k0 + np.uint64(0x9E3779B9)) & LOW, (k1 + np.uint64(0xBB67AE85)) & LOW
    return np.stack([c0, c1, c2, c3])


def words(place: tuple[int, int, int, int], n: int) -> Words:
    """The first ``n`` words at a place: (seed, replicate, domain << 24 | tag, node)."""
    seed, replicate, tag, node = place
    batches = -(-n // (4 * BLOCKS))
    block = np.arange(batches * BLOCKS, dtype=np.uint64)
    tag_of = np.uint64(tag) | (block >> HALF) << np.uint64(6)
    fixed = [np.full_like(block, value) for value in (replicate, node)]
    out = philox((seed & 0xFFFFFFFF, seed >> 32), np.stack([block & LOW, fixed[0], tag_of, fixed[1]]))
    return out.reshape(4, batches, BLOCKS).transpose(1, 0, 2).ravel()[:n]


def fair(place: tuple[int, int, int, int], m: int) -> int:
    """Bin(m, 1/2), exactly: how many of the first ``m`` bits at a place are set."""
    found = words(place, -(-m // 32))
    if m % 32:
        found[-1] &= np.uint64((1 << m % 32) - 1)
    return int(np.bitwise_count(found).sum())


def draws(place: tuple[int, int, int, int], n: int) -> NDArray[np.int64]:
    """The first ``n`` draws of ten bits at a place, three to a word."""
    found = words(place, -(-n // 3))
    fields = np.stack([found >> np.uint64(shift) & np.uint64(SLOTS - 1) for shift in (0, LEAF, 2 * LEAF)], axis=1)
    return fields.ravel()[:n].astype(np.int64)


def counts(n: int, seed: int, replicate: int) -> NDArray[np.int64]:
    """How often each of ``n`` rows is drawn in ``n`` draws with replacement: Multinomial(n; 1/n, ..., 1/n).

    Balls run down the right edge of a binary tree over the rows, one random bit a node; one that leaves ``0..n`` is
    thrown again. Inside, every node sends each ball left or right by one random bit; a leaf of 1,024 rows throws
    each by ten bits. Only the last leaf may be ragged: there a draw beyond the end is drawn again.
    """
    domain = BOOTSTRAP << 24

    def at(tag: int, node: int = 0) -> tuple[int, int, int, int]:
        return seed, replicate, domain | tag, node

    def leaf(index: int, balls: int) -> NDArray[np.int64]:
        slots = min(SLOTS, n - index * SLOTS)
        mask = (1 << (slots - 1).bit_length()) - 1
        enough = balls
        while True:  # how many draws it takes is not known beforehand
            found = draws(at(LEAF, index), enough) & mask
            kept = found[found < slots][:balls]
            if len(kept) == balls:
                return np.bincount(kept, minlength=slots)
            enough = 2 * enough + 64

    def tree(level: int, index: int, balls: int) -> list[NDArray[np.int64]]:
        if level == LEAF:
            return [leaf(index, balls)]
        left = fair(at(level, index), balls)
        return tree(level - 1, 2 * index, left) + tree(level - 1, 2 * index + 1, balls - left)

    perfect, ragged = _spine(n, at)
    parts = [part for level in sorted(perfect, reverse=True) for part in tree(level, (n >> level) - 1, perfect[level])]
    return np.concatenate([*parts, leaf(n >> LEAF, ragged)] if n % SLOTS else parts)


def _spine(n: int, at: Callable[..., tuple[int, int, int, int]]) -> tuple[dict[int, int], int]:
    """How many of ``n`` balls each perfect subtree receives, by its level, and how many the ragged leaf."""
    perfect = {level: 0 for level in range(LEAF, n.bit_length()) if n >> level & 1}
    if n < SLOTS:
        return perfect, n
    if n & (n - 1) == 0:
        return {n.bit_length() - 1: n}, 0
    ragged, thrown, turn = 0, n, 0
    while thrown:
        here, outside = thrown, 0
        for level in reversed(range(LEAF, n.bit_length())):
            left = fair(at(1 << 23 | (turn % 512) << 14 | level), here)
            if level in perfect:
                perfect[level] += left
                here -= left
            else:
                outside += here - left
                here = left
        inside = int((draws(at(1 << 23 | (turn % 512) << 14), here) < n % SLOTS).sum())
        ragged += inside
        thrown = outside + here - inside
        turn += 1
    return perfect, ragged
