"""The state of quantiles: exact for few values, certain bounds for many, the same bits for every split."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

import steelyard as sy
from steelyard.uncertainty import QuantileState, quantile

RNG = np.random.default_rng(0)
COLUMNS = {
    "uniform": RNG.random(150_000),
    "lognormal": RNG.lognormal(0, 3, 150_000),
    "both signs": RNG.standard_t(2, 150_000),
    "grades": RNG.integers(0, 101, 150_000) / 100,
    "few": RNG.normal(size=700),
    "float32": RNG.normal(5, 1, 150_000).astype(np.float32),
    "two heaps": np.concatenate([RNG.random(75_000) * 2.0**-40, RNG.random(75_000)]),
}
LEVELS = [0.0, 0.001, 0.1, 0.5, 0.9, 0.999, 1.0]


@pytest.mark.parametrize("name", COLUMNS)
def test_quantiles_lie_where_the_state_says(name: str) -> None:
    x = COLUMNS[name]
    got = QuantileState(LEVELS).update(x).compute()
    exact = name in ("grades", "few")
    for i, q in enumerate(LEVELS):
        one, want = got[i], sy.estimate(x, quantile(q))
        if exact:
            assert (one.value, one.low, one.high) == (want.value, want.low, want.high)
            assert one.method == want.method
            assert one.reason == want.reason
        else:
            assert one.value == pytest.approx(want.value, rel=2.0**-10)
            assert one.detail["least"] <= want.value <= one.detail["most"]
            assert one.method == "order statistics of bins"
            for limit, sign in (("low", -1), ("high", 1)):
                ours, theirs = getattr(one, limit), getattr(want, limit)
                assert (ours is None) == (theirs is None)
                if ours is not None and theirs is not None:
                    assert 0 <= sign * (ours - theirs) <= 2.0**-9 * abs(theirs)


@pytest.mark.parametrize("name", COLUMNS)
def test_every_split_and_order_gives_the_same_bits(name: str) -> None:
    x, rng = COLUMNS[name], np.random.default_rng(1)
    whole = QuantileState().update(x)
    for parts in (2, 7, 64):
        states = [QuantileState().update(part) for part in np.array_split(rng.permutation(x), parts)]
        states = [QuantileState.from_bytes(state.to_bytes()) for state in states]
        assert sum(states) == whole
    assert pickle.loads(pickle.dumps(whole)).compute() == whole.compute()
    with sy.threads(1):
        assert QuantileState().update(x) == whole
    assert sy.scan({"x": x}, "x", QuantileState(), batch_rows=9999) == whole


def test_the_size_is_bounded() -> None:
    assert len(QuantileState().update(COLUMNS["grades"]).to_bytes()) < 3_000
    assert len(QuantileState().update(COLUMNS["uniform"]).to_bytes()) < 250_000
    anything = np.random.default_rng(2).integers(0, 2**64, 400_000, dtype=np.uint64).view(np.float64)
    state = QuantileState().update(anything[np.isfinite(anything)])
    assert len(state.to_bytes()) < 4096 * 1024 * 16 + 200_000


def test_limits_cover_as_often_as_they_say() -> None:
    """The median of 4,000 values of one binary exponent, which 1,024 bins do not tell apart."""
    rng, inside = np.random.default_rng(3), 0
    for _ in range(200):
        found = QuantileState().update(1.0 + rng.random(4000)).compute()
        assert found.low is not None
        assert found.high is not None
        inside += found.low <= 1.5 <= found.high
    assert inside >= 182  # 190 are expected, and this few once in 1,000 times


def test_rows_are_left_out_and_refused_as_elsewhere() -> None:
    x = np.array([3.0, np.nan, 1.0, 2.0])
    found = QuantileState(nan_policy="omit").update(x, where=[True, True, True, False]).compute()
    assert (found.value, found.n, found.left_out) == (2.0, 2, {"where": 1, "nan": 1})
    state = QuantileState()
    with pytest.raises(ValueError, match=r"^x: expected finite values; got inf at index 1"):
        state.update([1.0, np.inf])
    assert state == QuantileState()
    with pytest.raises(ValueError, match=r"^x: expected at least one value that counts; got none"):
        state.compute()
    with pytest.raises(ValueError, match=r"^other: expected a state with q = 0\.5; got 0\.9$"):
        state.merge(QuantileState(0.9))
    with pytest.raises(ValueError, match=r"^q: expected"):
        QuantileState(1.5)
    with pytest.raises(ValueError, match=r"^q\[1\]: expected"):
        QuantileState([0.5, -1.0])
    same = QuantileState().update([0.25] * 5).compute()
    assert (same.value, same.low, same.method) == (0.25, None, "no spread")
    assert str(QuantileState([0.25, 0.75]).update([1.0, 2.0, 3.0]).compute()).splitlines()[1].startswith("1  2.5 ")
