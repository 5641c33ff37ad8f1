"""Random numbers: Philox4x32-10, and exact multinomial counts.

A random number depends only on the seed, its purpose, the stratum, the replicate and its place.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from decimal import Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["At", "below", "counts", "halves", "numbers", "philox", "words"]

Words = NDArray[np.uint64]
LOW = np.uint64(0xFFFFFFFF)
HALF = np.uint64(32)
# Blocks of four words that are computed together. A batch holds the first words of all its blocks, then the second, ...
BLOCKS = 16
# log2 of the number of slots in a leaf (so the number of bits in a draw), and of those in all leaves.
LEAF, ROWS = 10, 40
SLOTS = 1 << LEAF
# The batches of words that a leaf may need in one round.
ROUND = 64
# The purposes: counts of a bootstrap replicate, signs, noise of a smoothed bootstrap, rounding, fixed normals, the
# weights of a beta bootstrap, and the counts of resamples of a replicate.
BOOTSTRAP, SIGN_FLIP, SMOOTHING, ROUNDING, NORMALS, BETA_WEIGHTS, INNER = 1, 2, 3, 4, 5, 6, 7
PERMUTATION = 8  # random orders of rows
BATTLES = 9  # battles of a replicate of ratings


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

    def leaf(self, index: int) -> At:
        """The numbers of a leaf of the rows."""
        return self._replace(place=(1 << (ROWS - LEAF)) + index)

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


def words(at: At, n: int, first: int = 0) -> Words:
    """The first ``n`` words at a place, or those from batch ``first`` on."""
    batches = -(-n // (4 * BLOCKS))
    counter = at.counter(np.arange(first * BLOCKS, (first + batches) * BLOCKS, dtype=np.uint64))
    out = philox((at.seed & 0xFFFFFFFF, at.seed >> 32), counter)
    return out.reshape(4, batches, BLOCKS).transpose(1, 0, 2).ravel()[:n]


def draws(at: At, n: int) -> NDArray[np.int64]:
    """The first ``n`` draws of ten bits at a place; each word gives three."""
    found = words(at, -(-n // 3))
    fields = np.stack([found >> np.uint64(shift) & np.uint64(SLOTS - 1) for shift in (0, LEAF, 2 * LEAF)], axis=1)
    return fields.ravel()[:n].astype(np.int64)


def counts(n: int, seed: int, replicate: int, stratum: int = 0, *, domain: int = BOOTSTRAP) -> NDArray[np.int64]:
    """How often each of ``n`` rows is drawn in ``n`` draws with replacement: Multinomial(n; 1/n, ..., 1/n).

    Up to 1,024 rows are drawn one by one, by ten bits each; a draw beyond the last row is drawn again. Of more rows,
    each first counts independently of the others by a Poisson law, whose mean is just below 1. Given their total N,
    such counts are multinomial. So n - N draws more, of any row each, complete them; where N is above n, all
    count anew.
    """
    at = At(seed, domain, stratum, replicate)
    if n <= SLOTS:
        return _few(at.leaf(0), n)
    law = poisson_law(((n.bit_length() - 1) - 4) // 2)
    for turn in itertools.count():
        leaves = [_leaf(at.leaf(index), turn, law) for index in range(-(-n // SLOTS))]
        found = np.concatenate(leaves)[:n]
        if found.sum() <= n:
            break
    rest = numbers(at._replace(place=1))
    for _ in range(n - int(found.sum())):
        found[below(rest, n)] += 1
    return found


def _few(at: At, n: int) -> NDArray[np.int64]:
    mask, enough = (1 << max(n - 1, 0).bit_length()) - 1, n
    while True:  # how many draws are needed is not known beforehand
        found = draws(at, enough) & mask
        kept = found[found < n][:n]
        if len(kept) == n:
            return np.bincount(kept, minlength=n)
        enough = 2 * enough + 64


class PoissonLaw(NamedTuple):
    """A count of k has the probability ``(whole[k] + rest[k]) / 256``, with whole numbers and rests below 1."""

    above: NDArray[np.int64]
    """Sums of the whole numbers: a byte counts more than k from ``above[k]`` on, but from the last one on nothing."""
    bounds: list[int]
    """Of such a byte, a number of 64 bits counts more than k from ``bounds[k]`` on."""


@lru_cache
def poisson_law(gap: int) -> PoissonLaw:
    """The Poisson law with mean ``1 - 2^-gap``, for counts up to 21."""
    with localcontext(prec=60):
        mean = 1 - Decimal(2) ** -gap
        terms = [(-mean).exp() * 256]
        for k in range(1, 21):
            terms.append(terms[-1] * mean / k)
        above = np.cumsum([int(term) for term in terms])
        rests = itertools.accumulate(term % 1 for term in terms)
        return PoissonLaw(above, [int(rest / (256 - int(above[-1])) * 2**64) for rest in rests])


def _leaf(at: At, turn: int, law: PoissonLaw) -> NDArray[np.int64]:
    """The counts of a leaf: each row reads a byte, and 64 bits follow for those whose byte decides nothing."""
    read = words(at, SLOTS // 4, ROUND * turn).astype("<u4").view(np.uint8)
    found: NDArray[np.int64] = (read[:, None] >= law.above[:4]).sum(axis=1)
    undecided = np.flatnonzero(read >= law.above[-1])
    fine = words(at, 2 * len(undecided), ROUND * turn + SLOTS // (16 * BLOCKS)).tolist()
    for row, low, high in zip(undecided.tolist(), fine[::2], fine[1::2], strict=True):
        found[row] = sum((high << 32 | low) >= bound for bound in law.bounds)
    return found


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
