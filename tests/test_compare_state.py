"""A paired comparison from totals is that of all rows, but for the sign flips, which need all differences."""

from __future__ import annotations

import json
import pickle
import struct
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard._engines import answer_of, job_of, of_partition
from steelyard.uncertainty import CompareState, EstimateState

from .states import body_of, options_of, sealed

N = 600
RNG = np.random.default_rng(6)
RIGHT = {"new": RNG.integers(0, 2, N), "baseline": RNG.integers(0, 2, N)}
GRADED = {"new": RNG.normal(size=N), "baseline": RNG.normal(size=N)}
SHARES = {"new": RNG.uniform(size=N).astype(np.float32), "baseline": RNG.uniform(size=N)}
USERS, LANGS = RNG.integers(0, 50, N), np.array(["de", "en", "fr"])[RNG.integers(0, 3, N)]
COUNTED = RNG.random(N) < 0.8


def in_parts(columns: dict[str, Any], parts: int = 7, options: Any = None, **more: Any) -> CompareState:
    """A state of shuffled rows in some parts."""
    every = columns | {name: column for name, column in more.items() if column is not None}
    pieces = np.array_split(np.random.default_rng(parts).permutation(N), parts)
    states = [CompareState(**options or {}).update(**{k: v[at] for k, v in every.items()}) for at in pieces]
    return sum(states[1:], states[0])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"method": "newcombe", "test": "exact"},
        {"method": "exact", "test": "chi-squared"},
        {"alternative": "less", "confidence_level": 0.9},
        {"higher_is_better": False},
    ],
)
def test_of_answers_it_is_the_comparison(options: dict[str, Any]) -> None:
    new, base = RIGHT.values()
    want = sy.compare(new, baseline=base, where=COUNTED, **options)
    found = in_parts(RIGHT, options=options, where=COUNTED).compute()
    assert found == want
    assert str(found) == str(want)
    assert (
        in_parts(
            {name: column.astype(bool) for name, column in RIGHT.items()}, options=options, where=COUNTED
        ).compute()
        == want
    )


@pytest.mark.parametrize(
    ("columns", "clusters"),
    [(GRADED, None), (GRADED, USERS), (SHARES, None), (SHARES, USERS), (RIGHT, USERS)],
    ids=["graded", "graded, clusters", "shares of two types", "shares, clusters", "answers, clusters"],
)
@pytest.mark.parametrize("alternative", ["two-sided", "greater"])
def test_of_scores_it_has_all_but_the_sign_flips(columns: dict[str, Any], clusters: Any, alternative: Any) -> None:
    new, base = columns.values()
    want = sy.compare(new, baseline=base, clusters=clusters, alternative=alternative)
    found = in_parts(columns, options={"alternative": alternative}, clusters=clusters).compute()
    for name in ("value", "standard_error", "low", "high"):
        a, b = getattr(found.difference, name), getattr(want.difference, name)
        assert a == pytest.approx(b, rel=1e-11, abs=1e-12), name
    for name in ("method", "reason", "n", "n_clusters", "confidence_level", "left_out"):
        assert getattr(found.difference, name) == getattr(want.difference, name)
    assert (found.wins, found.losses, found.ties) == (want.wins, want.losses, want.ties)
    assert [found.verdict(margin) for margin in (0.0, 0.05, 0.5)] == [
        want.verdict(margin) for margin in (0.0, 0.05, 0.5)
    ]
    assert found.test == "t"
    assert found.p_value == pytest.approx(want.p_value, rel=0.2)  # two tests of one hypothesis


def test_t_is_that_of_the_differences() -> None:
    stats = pytest.importorskip("scipy.stats", reason="scipy comes with the dev extra")
    for alternative in ("two-sided", "less", "greater"):
        found = in_parts(GRADED, options={"alternative": alternative}).compute()
        want = stats.ttest_rel(*GRADED.values(), alternative=alternative).pvalue
        assert found.p_value == pytest.approx(want, rel=1e-10)


@pytest.mark.parametrize("clusters", [None, USERS], ids=["rows", "clusters"])
def test_every_split_and_order_gives_the_same_bits(clusters: Any) -> None:
    for columns in (GRADED, SHARES, RIGHT):
        want = CompareState().update(**columns, clusters=clusters)
        assert all(in_parts(columns, parts, clusters=clusters) == want for parts in (2, 7, 64))


def test_groups_are_one_comparison_with_holms_p() -> None:
    table = {**RIGHT, "lang": LANGS}
    job = job_of({"new": "new", "baseline": "baseline"}, CompareState(), "lang")
    shares = [of_partition(job, {k: v[at::5] for k, v in table.items()}, at) for at in range(5)]
    assert answer_of(job, shares) == sy.compare(RIGHT["new"], baseline=RIGHT["baseline"], by=LANGS)


def test_values_without_spread_have_their_interval_and_the_p_of_equal_differences() -> None:
    found = CompareState().update([0.5] * 3, [0.4] * 3).compute()
    want = sy.compare([0.5] * 3, baseline=[0.4] * 3)
    assert (found.difference.low, found.difference.high) == (want.difference.low, want.difference.high)
    assert (found.p_value, found.test) == (want.p_value, "sign flips: no spread")
    assert want.p_value == 0.25
    for alternative, p in (("greater", 0.125), ("less", 1.0)):
        one_sided = CompareState(alternative=alternative).update([0.5] * 3, [0.4] * 3).compute()
        assert one_sided.p_value == p
    better = CompareState().update([1] * 20, [0] * 20, clusters=range(20)).compute()
    assert (better.verdict(), better.p_value) == ("better", 2.0**-19)
    tiny = CompareState().update([1e-200, 3e-200, 2e-200], [0.0] * 3).compute()
    assert tiny.p_value is not None
    one = CompareState().update([0.5], [3.0]).compute()
    assert (one.difference.low, one.p_value, one.verdict()) == (None, 1.0, "undecided")
    alone = CompareState().update([1, 0], [0, 0], clusters=["a", "a"]).compute()
    assert (alone.difference.standard_error, alone.p_value) == (None, 1.0)


def test_it_saves_merges_and_refuses() -> None:
    made = in_parts(GRADED, clusters=USERS)
    assert CompareState.from_bytes(made.to_bytes()) == made == pickle.loads(pickle.dumps(made)) == made.copy()
    assert repr(made) == f"<CompareState: {N} rows in 50 clusters>"
    assert made.copy().reset() == CompareState()
    nan = CompareState(nan_policy="omit").update([1.0, float("nan"), 0.5], [0.5, 1.0, 0.5]).compute()
    assert (nan.difference.n, nan.difference.left_out) == (2, {"nan": 1})
    before = made.to_bytes()
    for change, said in (
        (
            lambda: made.merge(CompareState(higher_is_better=False)),
            "other: expected a state with higher_is_better = True",
        ),
        (lambda: made.merge(EstimateState()), "other: expected a CompareState"),  # type: ignore[arg-type]
        (lambda: made.update([1.0], [2.0, 3.0]), "baseline: expected 1 rows, as new has; got 2"),
        (
            lambda: made.update([1.0, float("inf")], [2.0, 3.0], clusters=[1, 2]),
            "new: expected finite values; got inf at index 1",
        ),
        (lambda: made.update([1e308], [-1e308], clusters=[1]), "new - baseline: expected values whose"),
        (lambda: made.update([1.0], [2.0]), "clusters"),
        (lambda: CompareState(method="wald"), "method: expected one of"),
        (
            lambda: CompareState(method="tango").update([0.5], [0.1]).compute(),
            "method: expected None for graded scores",
        ),
        (lambda: CompareState().compute(), "new: expected at least one row that counts"),
    ):
        with pytest.raises((TypeError, ValueError)) as caught:
            change()
        assert str(caught.value).startswith(said)
    assert made.to_bytes() == before


def refused(data: bytes) -> str:
    with pytest.raises(ValueError, match=r"^data: expected ") as caught:
        CompareState.from_bytes(data)
    return str(caught.value)


def test_bytes_that_nobody_wrote() -> None:
    whole = in_parts(GRADED, clusters=USERS).to_bytes()
    written, rest = options_of(whole)
    assert sealed(CompareState, body_of(whole)) == whole
    for length in range(0, len(whole), 997):
        refused(whole[:length])
    for changed in (body_of(whole) + b"\0", body_of(whole)[:-1], b"", b"\xff" * 8):
        refused(sealed(CompareState, changed))
    assert refused(sealed(6, body_of(whole))) == "data: expected a CompareState; got a PreferenceState"
    assert "numerics" in refused(sealed(CompareState, body_of(whole), numerics=9))
    options = json.loads(written)
    for other in ({**options, "method": "wald"}, {**options, "x": 1}, {"method": None}):
        text = json.dumps(other, sort_keys=True, separators=(",", ":")).encode()
        refused(sealed(CompareState, struct.pack("<I", len(text)) + text + rest))
    # Columns of other rows than the differences.
    more = EstimateState().update(np.zeros(N + 1))
    plain = in_parts(GRADED)
    parts = [part.to_bytes(b"") for part in plain._totals.parts]
    parts[2] = more._totals.to_bytes(b"")
    body = struct.pack("<I", len(written)) + written + struct.pack("<I", 5)
    body += b"".join(struct.pack("<Q", len(part)) + part for part in parts)
    assert refused(sealed(CompareState, body)) == "data: expected columns of the same rows; got others"
