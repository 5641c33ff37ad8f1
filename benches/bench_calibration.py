"""Reliability of 1e7 rows: equal-width bins, 15 of them."""

from __future__ import annotations

from typing import Any

import numpy as np

import steelyard as sy

from .harness import Call, Growth, Row, need, read_once, torch_with_threads

N = 10_000_000
N_BINS = 15


def rows(n: int) -> tuple[np.ndarray, np.ndarray]:
    """Probabilities in f32, and 0/1 outcomes that come true with these probabilities."""
    words = np.random.Philox(key=7).random_raw(2 * n) >> np.uint64(40)
    p, u = (words.astype(np.float32) / np.float32(2**24)).reshape(2, n)
    return p, u < p


def read_both(p: np.ndarray, y: np.ndarray) -> Call:
    """Return a call that reads both inputs once."""
    first, second = read_once(p), read_once(y)
    return lambda: (first(), second())


def same_ece(ours: sy.calibration.Reliability, peer: Any) -> None:
    """Compare as closely as the float32 sums of a peer allow."""
    assert abs(ours.ece.value - float(peer)) < 1e-3


def bincount(p: np.ndarray, y: np.ndarray) -> float:
    """ECE as one would write it in NumPy."""
    index = np.minimum((p * N_BINS).astype(np.int64), N_BINS - 1)
    count = np.bincount(index, minlength=N_BINS)
    gap = np.bincount(index, p, N_BINS) - np.bincount(index, y, N_BINS)
    return float(np.abs(gap).sum() / count.sum())


def against_torchmetrics() -> Row:
    """torchmetrics without validation"""
    p, y = rows(N)
    torch = torch_with_threads()
    (module,) = need("torchmetrics.functional.classification")
    probs, targets = torch.from_numpy(p), torch.from_numpy(y)
    return Row(
        work="reliability, f32, 1e7 rows, 15 bins",
        ours=lambda: sy.reliability(p, y),
        peer=lambda: module.binary_calibration_error(probs, targets, n_bins=N_BINS, validate_args=False),
        against="torchmetrics `binary_calibration_error(validate_args=False)`",
        package="torchmetrics",
        at_least=15.0,
        limit=read_both(p, y),
        limit_bytes=p.nbytes + y.nbytes,
        agree=same_ece,
    )


def against_numpy() -> Row:
    """NumPy bincount"""
    p, y = rows(N)
    return Row(
        work="reliability, f32, 1e7 rows, 15 bins",
        ours=lambda: sy.reliability(p, y),
        peer=lambda: bincount(p, y),
        against="three `numpy.bincount`",
        package="numpy",
        at_least=7.0,
        limit=read_both(p, y),
        limit_bytes=p.nbytes + y.nbytes,
        agree=same_ece,
    )


def clusters_by_bincount(p: np.ndarray, y: np.ndarray, ids: np.ndarray) -> float:
    """The noise floor as one would write it in NumPy: the excess of every cluster in every bin, squared and added."""
    groups = int(ids.max()) + 1
    index = np.minimum((p * N_BINS).astype(np.int64), N_BINS - 1)
    count = np.bincount(index, minlength=N_BINS)
    excess = np.bincount(ids * N_BINS + index, p - y, groups * N_BINS).reshape(groups, N_BINS)
    sigma = groups / (groups - 1) * np.square(excess).sum(0)
    return float(np.sqrt(2 / np.pi) * np.sqrt(sigma).sum() / count.sum())


def in_clusters() -> Row:
    """NumPy bincount, 1e5 clusters"""
    p, y = rows(N)
    ids = np.repeat(np.arange(N // 100), 100)

    def same_floor(ours: sy.calibration.Reliability, peer: float) -> None:
        assert abs(float(ours.noise_floor or 0) / peer - 1) < 1e-3

    return Row(
        work="reliability in 1e5 clusters, f32, 1e7 rows, 15 bins",
        ours=lambda: sy.reliability(p, y, clusters=ids),
        peer=lambda: clusters_by_bincount(p, y, ids),
        against="two `numpy.bincount`, the noise floor alone",
        package="numpy",
        at_least=0.5,
        limit=read_both(p, y),
        limit_bytes=p.nbytes + y.nbytes,
        agree=same_floor,
    )


def growth() -> Growth:
    """Rows"""

    def make(n: int) -> Any:
        p, y = rows(n)
        return lambda: sy.reliability(p, y)

    return Growth(work="reliability, f32, 15 bins", unit="row", sizes=(10**4, 10**5, 10**6, 10**7), make=make)


ROWS = [against_torchmetrics, against_numpy, in_clusters]
GROWTH = [growth]
