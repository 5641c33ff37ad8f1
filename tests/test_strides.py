"""Operations that are done in steps give the same result as one NumPy call."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from steelyard._arrays import codes
from steelyard._strides import STRIDE, coded, converted, kept, listed

N = 3 * STRIDE + 17


def ids(kind: str, n: int) -> Any:
    rng = np.random.default_rng(5)
    far = rng.integers(-(2**62), 2**62, n)
    few = rng.integers(0, 40, n)
    return {
        "far": far,
        "far, unsigned": far.astype(np.uint64),
        "few, far apart": few * 2**55 - 2**60,
        "near": rng.integers(-50, n, n),
        "near, small type": rng.integers(-128, 128, n).astype(np.int8),
        "near, unsigned": rng.integers(2**63, 2**63 + 9, n, dtype=np.uint64),
        "one": np.full(n, 2**61),
        "one but few": np.where(np.arange(n) % 1000, 0, far),
        "sorted": np.sort(far),
        "every 65536th alike": np.where(np.arange(n) % STRIDE, far, 0),
        "floats": rng.standard_normal(n),
        "halves": (few / 2).astype(np.float16),
        "truths": few > 20,
        "texts": np.array([f"user {i % 5003}" for i in far.tolist()]),
        "bytes": np.array([b"%d" % (i % 7) for i in few.tolist()]),
        "dates": far.astype("M8[ns]"),
    }[kind]


KINDS = (
    "far", "far, unsigned", "few, far apart", "near", "near, small type", "near, unsigned", "one", "one but few", "sorted",
    "every 65536th alike", "floats", "halves", "truths", "texts", "bytes", "dates",
)  # fmt: skip


@pytest.mark.parametrize("n", [0, 1, 1000, N])
@pytest.mark.parametrize("kind", KINDS)
def test_codes_are_those_of_unique(kind: str, n: int) -> None:
    given = ids(kind, n)
    unique, inverse = np.unique(given, return_inverse=True)
    got, found = coded(given)
    assert found.dtype == given.dtype
    assert np.array_equal(found, unique)
    assert got.dtype == np.int64
    assert np.array_equal(got, inverse.ravel())


@pytest.mark.parametrize(
    "items",
    [
        [f"document {i}" for i in range(N)],
        [b"%d" % i for i in range(N)],
        list(range(N)),
        [i / 3 for i in range(N)],
        [True] * N,
        [1] * (N - 1) + [2.5],
        ["a"] * (N - 1) + [2.5],
        [1] * (N - 1) + [None],
        [2**63] * N,
        [[1, 2]] * N,
        tuple(range(N)),
    ],
    ids=lambda items: f"{type(items).__name__} of {items[0]!r} to {items[-1]!r}",
)
def test_a_list_is_what_numpy_makes_of_it(items: Any) -> None:
    got, expected = listed(items), np.asarray(items)
    assert got.dtype == expected.dtype
    assert np.array_equal(got, expected)


def test_objects_become_texts_and_numbers() -> None:
    texts = np.array([str(i) for i in range(N)], object)
    assert converted(texts, np.str_).dtype == texts.astype(np.str_).dtype
    assert np.array_equal(converted(texts, np.str_), texts.astype(np.str_))
    numbers = np.array(range(N), object)
    assert np.array_equal(converted(numbers, np.int64), np.arange(N))
    assert len(converted(texts[:0], np.str_)) == 0
    keep = np.arange(N) % 3 == 0
    assert np.array_equal(kept(texts, keep), texts[keep])
    got, unique = codes(texts.tolist(), "clusters", N, keep)
    assert np.array_equal(unique[got], texts[keep].astype(np.str_))


@pytest.mark.parametrize("last", [0.5, True, 2**70, "a"])
def test_a_long_list_of_several_kinds_is_what_numpy_makes_of_it(last: object) -> None:
    whole = [*range(STRIDE), last]
    assert listed(whole).dtype == np.asarray(whole).dtype
    assert (listed(whole) == np.asarray(whole)).all()
