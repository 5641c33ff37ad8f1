"""The keywords `by=`, `strata=` and `average=` of `perplexity`."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard import reference

RNG = np.random.Generator(np.random.Philox(7))
NLL = RNG.gamma(2.0, 1.0, (24, 5)) * np.repeat([0.5, 1.0, 2.0], 8)[:, None]
DOMAIN = np.repeat(["code", "law", "math"], 8)
DOCUMENT = np.array([f"{domain}{i // 2}" for i, domain in enumerate(DOMAIN)])
COUNTED = RNG.random((24, 5)) < 0.8
BYTES = RNG.integers(1, 9, (24, 5))
NATS: dict[str, Any] = {"unit": "nats"}


def alone(e: sy.Estimate) -> sy.Estimate:
    return replace(e, detail={key: value for key, value in e.detail.items() if not key.startswith("simultaneous")})


@pytest.mark.parametrize("clusters", [None, DOCUMENT, np.arange(120).reshape(24, 5) // 3 * 3])
@pytest.mark.parametrize("where", [None, COUNTED])
@pytest.mark.parametrize("per", [None, BYTES])
def test_each_group_is_the_perplexity_of_its_rows(clusters: Any, where: Any, per: Any) -> None:
    words = {"clusters": clusters, "where": where, "per": per}
    found = sy.perplexity(NLL, by=DOMAIN, **words)
    assert found.names == ("code", "law", "math")
    for name in found.names:
        mine = name == DOMAIN
        own = {word: value if value is None else value[mine] for word, value in words.items()}
        assert alone(found[name]) == sy.perplexity(NLL[mine], **own)
        strict = sy.perplexity(NLL[mine], confidence_level=1 - 0.05 / 3, **own)
        assert found[name].detail["simultaneous_high"] == strict.high


def test_tokens_of_one_sequence_have_groups_of_their_own() -> None:
    flat = {"clusters": np.repeat(DOCUMENT, 5), "by": np.repeat(DOMAIN, 5), "where": COUNTED.ravel()}
    assert sy.perplexity(NLL.ravel(), **flat) == sy.perplexity(NLL, clusters=DOCUMENT, by=DOMAIN, where=COUNTED)
    assert sy.perplexity(NLL.ravel(), by=np.repeat(DOMAIN, 5))["law"].low is None  # one cluster


def test_token_scores_have_groups() -> None:
    t = sy.token_scores(RNG.normal(size=(4, 3, 7)), RNG.integers(0, 7, (4, 3)))
    found = sy.perplexity(t, by=[1, 2, 1, 2])
    assert alone(found["1"]) == sy.perplexity(t.nll[::2])


@pytest.mark.parametrize("average", ["micro", "macro"])
@pytest.mark.parametrize("clusters", [None, DOCUMENT])
@pytest.mark.parametrize("where", [None, COUNTED])
def test_strata_give_the_stratified_mean_of_documents(average: Any, clusters: Any, where: Any) -> None:
    counted = np.ones((24, 5), bool) if where is None else where
    ids = np.arange(24) if clusters is None else np.unique(clusters, return_inverse=True)[1]
    sums = np.bincount(ids, (NLL * counted).sum(1))
    sizes = np.bincount(ids, counted.sum(1)).astype(float)
    strata = np.empty(len(sums), np.int64)
    strata[ids] = np.repeat([0, 1, 2], 8)
    m, variance, df = reference.intervals.stratified(sums, sizes, strata, average, z=1.96, width=np.nan)
    got = sy.perplexity(NLL, strata=DOMAIN, average=average, clusters=clusters, where=where, **NATS)
    assert got.value == pytest.approx(m, rel=1e-13)
    assert got.standard_error == pytest.approx(variance**0.5, rel=1e-11)
    assert got.detail["df"] == pytest.approx(df, rel=1e-10)
    exp = sy.perplexity(NLL, strata=DOMAIN, average=average, clusters=clusters, where=where)
    assert (exp.value, exp.low, exp.high) == pytest.approx(tuple(np.exp([got.value, got.low, got.high])), rel=1e-13)
    if average == "macro":
        own = sy.perplexity(NLL, by=DOMAIN, clusters=clusters, where=where)
        assert exp.value == pytest.approx(np.prod(own.value) ** (1 / 3), rel=1e-13)
        assert exp.method == "macro stratified clustered t"
        assert exp.reason == "tokens in clusters in 3 strata, each counting once"


def test_one_stratum_is_no_stratum() -> None:
    for average in ("micro", "macro"):
        got = sy.perplexity(NLL, strata=["all"] * 24, average=average, per=BYTES)  # type: ignore[arg-type]
        want = sy.perplexity(NLL, per=BYTES)
        assert (got.value, got.low, got.high) == pytest.approx((want.value, want.low, want.high), rel=1e-12)


def test_by_and_strata_nest() -> None:
    half = np.arange(24) % 2
    found = sy.perplexity(NLL, by=half, strata=DOMAIN, average="macro")
    assert alone(found["1"]) == sy.perplexity(NLL[half == 1], strata=DOMAIN[half == 1], average="macro")


def test_tokens_left_out_are_counted() -> None:
    strata: Any = [None if i == 3 else name for i, name in enumerate(DOMAIN)]
    where = COUNTED & (np.arange(24) != 7)[:, None]
    nll = np.where(np.arange(120).reshape(24, 5) == 40, np.nan, NLL)
    got = sy.perplexity(nll, strata=strata, nan_policy="omit", where=where, average="macro")
    keep = np.arange(24) != 3
    want = sy.perplexity(nll[keep], strata=DOMAIN[keep], nan_policy="omit", where=where[keep], average="macro")
    assert replace(got, left_out={}) == replace(want, left_out={})
    assert got.left_out == want.left_out | {"no stratum": int(where[3].sum())}
    assert got.n + sum(got.left_out.values()) == 120 - int((~where[3]).sum())
    groups = sy.perplexity(nll, by=strata, nan_policy="omit", where=where & (DOMAIN != "law")[:, None])
    assert groups.names == ("code", "math")
    assert groups["code"].left_out["no group"] == int(where[3].sum())


@pytest.mark.parametrize(
    ("message", "call"),
    [
        (
            "strata: expected at least two clusters in every stratum; got fewer in 'law', which has no variance; merge",
            lambda: sy.perplexity(NLL[:9], strata=DOMAIN[:9]),
        ),
        (
            "clusters: expected clusters that lie inside one stratum each; got one with rows in 'code' and in 'math'; if",
            lambda: sy.perplexity(NLL, strata=DOMAIN, clusters=np.arange(24) % 8),
        ),
        ("by: expected one id per row, shape (24,); got shape (3,)", lambda: sy.perplexity(NLL, by=[1, 2, 3])),
        ("by: expected one id per token, shape (5,)", lambda: sy.perplexity(NLL[0], by=[1, 2, 3])),
        ("by: expected an id for every row; got none at index 1", lambda: sy.perplexity(NLL[:2], by=["a", None])),
        ("average: expected strata= with it; got 'macro'", lambda: sy.perplexity(NLL, average="macro")),
        (
            "by: expected a token that counts in every group; got none in 'code'; leave the group out with where=",
            lambda: sy.perplexity(sy.token_scores(np.zeros((2, 2, 3)), [[-100, -100], [0, 1]], ignore_index=-100), by=["code", "law"]),
        ),
    ],
)  # fmt: skip
def test_what_is_refused(message: str, call: Any) -> None:
    with pytest.raises(ValueError, match="^" + re.escape(message)):
        call()


def test_a_stratum_without_spread_leaves_no_limits() -> None:
    nll = np.where((DOMAIN == "law")[:, None], 1.0, NLL)
    got = sy.perplexity(nll, strata=DOMAIN)
    assert (got.low, got.standard_error) == (None, None)
    assert "no spread is no certainty" in got.reason
