"""Arrays of other libraries: taken without a copy where they share their memory, refused where a value is missing."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import _arrays


class Lent:
    """What JAX arrays and frame columns are to NumPy: an object that lends its memory."""

    def __init__(self, memory: np.ndarray) -> None:
        self.memory = memory

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        assert not copy
        return self.memory


X = np.array([0.25, 0.5, 1.0, 4.0])


def test_lent_memory_is_not_copied() -> None:
    assert np.shares_memory(_arrays.floats(Lent(X), "x"), X)
    assert sy.estimate(Lent(X)) == sy.estimate(X)


def test_read_only_memory_is_read() -> None:
    x = X.copy()
    x.flags.writeable = False
    assert np.shares_memory(_arrays.floats(x, "x"), x)
    assert sy.bootstrap(x, n_resamples=999) == sy.bootstrap(X, n_resamples=999)


@pytest.mark.parametrize("order", [">", "<"])
@pytest.mark.parametrize("kind", ["f2", "f4", "f8", "i4", "i8"])
def test_either_byte_order_is_the_same_number(kind: str, order: str) -> None:
    x = np.array([1, 2, 5, 9], kind)
    assert sy.estimate(x.astype(order + kind)) == sy.estimate(x)


def test_unaligned_memory_is_read() -> None:
    raw = np.zeros(8 * 4 + 1, np.uint8)
    x = raw[1:].view(np.float64)
    x[:] = X
    assert not x.flags.aligned
    assert sy.estimate(x) == sy.estimate(X)


def test_arrow_arrays_share_their_memory_and_nulls_are_refused() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    x = pa.array(X)
    assert np.shares_memory(_arrays.floats(x, "x"), x.to_numpy())
    assert sy.estimate(x) == sy.estimate(X)
    assert sy.estimate(pa.chunked_array([X[:2], X[2:]])) == sy.estimate(X)
    with pytest.raises(ValueError, match="x: expected no nulls; got 1 of them"):
        sy.estimate(pa.array([1.0, None]))
    clusters = pa.array(["a", "a", "b", "b"])
    assert sy.estimate(x, clusters=clusters) == sy.estimate(X, clusters=[0, 0, 1, 1])


def test_a_frame_is_columns_by_name() -> None:
    pa = pytest.importorskip("pyarrow", reason="pyarrow comes with the cli extra")
    table = pa.table({"old": X, "new": X + 1})
    assert sy.estimate(table) == sy.estimate({"old": X, "new": X + 1})
    assert sy.compare(table, baseline="old").names == ("new",)


def test_bfloat16_travels_as_its_bits() -> None:
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with the dev extra")
    x = X.astype(ml_dtypes.bfloat16)
    bits = _arrays.floats(x, "x")
    assert bits.dtype == np.uint16
    assert np.shares_memory(bits, x)
    assert _arrays.to_float64(bits).tolist() == X.tolist()


def test_jax_arrays() -> None:
    jnp = pytest.importorskip("jax.numpy", reason="JAX is not installed: its arrays are not tried")
    x = jnp.asarray(X, jnp.float32)
    assert sy.estimate(x) == sy.estimate(X.astype(np.float32))
    assert sy.global_norm({"w": x}) == sy.global_norm(X.astype(np.float32))
    with pytest.raises(TypeError, match=r"params: expected a NumPy array or a torch CPU tensor"):
        sy.AdamW(x)


@pytest.mark.parametrize("mask", [False, True, [False, False, True, False]])
def test_masked_arrays_are_refused_even_where_nothing_is_masked(mask: Any) -> None:
    with pytest.raises(TypeError, match=r"x: expected a plain array; got a masked array; pass x\.filled"):
        sy.estimate(np.ma.masked_array(X, mask))
