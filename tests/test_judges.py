"""Few labels with a judge's scores of all rows: definitions, peers' figures, what falls back, bad input, coverage."""

from __future__ import annotations

import doctest
import re
from itertools import pairwise
from typing import Any, ClassVar

import numpy as np
import pytest
from scipy import stats

import steelyard as sy
from steelyard.errors import SteelyardWarning

from .cases import normalish
from .coverage import judges
from .test_docs import ROOT, blocks, failures

NAN = float("nan")


def sets(n: int, others: int, *, of: str = "rows", seed: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Labels (NaN for the last rows, or for four of five rows), scores, and clusters."""
    total = n + others
    at = np.arange(total)
    scores, noise = normalish(total, seed), normalish(total, seed + 1)
    has = at % 5 == 0 if of == "both" else at < n
    ids = at * at % 23 if of == "both" else np.where(has, at * at % 13, 13 + at * at % 23)  # of uneven sizes
    if of != "rows":
        scores = scores + normalish(36, seed + 3)[ids]
    labels = 2.0 + 0.8 * scores + 0.5 * noise
    return np.where(has, labels, NAN), scores, None if of == "rows" else ids


def root(matrix: np.ndarray) -> np.ndarray:
    """The inverse of the symmetric square root of a matrix, whose eigenvalues are above 0."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors @ np.diag(values**-0.5) @ vectors.T)


def defined(labels: np.ndarray, scores: np.ndarray, ids: np.ndarray | None) -> dict[str, float]:
    """The tuned mean by the matrices of CR2: a regression on the two kinds of rows, row by row."""
    has = ~np.isnan(labels)
    groups = np.arange(len(labels)) if ids is None else ids
    design = np.stack([has, ~has], axis=1).astype(float)
    hat = design @ np.diag(1 / design.sum(0)) @ design.T
    left = np.eye(len(labels)) - hat
    means = design / design.sum(0)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]

    def parts(values: np.ndarray, kind: int) -> np.ndarray:
        """What each cluster adds to the mean of one kind of rows, by CR2."""
        gone = left @ np.where(design[:, kind] > 0, values, 0.0)
        return np.array([means[m, kind] @ root(left[np.ix_(m, m)]) @ (gone[m] * design[m, kind]) for m in members])

    a, b, c = parts(np.nan_to_num(labels), 0), parts(scores, 0), parts(scores, 1)
    least = max(0.0, scores.var(ddof=1) / (~has).sum() - (c**2).sum())
    spread = ((b - c) ** 2).sum() + least
    weight = (a * (b - c)).sum() / spread
    apart = scores[has].mean() - scores[~has].mean()
    mine, theirs = ((a - weight * b) ** 2).sum(), weight**2 * ((c**2).sum() + least)
    variance = ((a - weight * (b - c)) ** 2).sum() + weight**2 * least
    # Bell and McCaffrey's degrees of freedom, where rows of either kind vary by what that kind's variance is.
    sizes = design.sum(0)
    omega = np.diag(design @ np.array([mine * sizes[0], theirs * sizes[1]]))
    pull = np.stack([left[:, m] @ (root(left[np.ix_(m, m)]) @ means[m].sum(1)) for m in members])
    covariance = pull @ omega @ pull.T
    df = np.trace(covariance) ** 2 / (covariance**2).sum()
    return {
        "value": labels[has].mean() - weight * apart,
        "variance": variance * df / (df - 1) * (1 + apart**2 / (spread * df)),
        "df": df - 1,
        "lambda": weight,
        "alone": (a**2).sum(),
    }


@pytest.mark.parametrize("of", ["rows", "apart", "both"])
@pytest.mark.parametrize(("n", "others"), [(12, 90), (60, 25)])
def test_the_mean_is_that_of_the_definition(of: str, n: int, others: int) -> None:
    labels, scores, ids = sets(n, others, of=of)
    want, got = defined(labels, scores, ids), sy.estimate(labels, judge=scores, clusters=ids)
    error, n_labelled = np.sqrt(want["variance"]), int((~np.isnan(labels)).sum())
    assert got.value == pytest.approx(want["value"], rel=1e-12)
    assert got.standard_error == pytest.approx(error, rel=1e-11)
    assert got.detail["df"] == pytest.approx(want["df"], rel=1e-10)
    assert got.detail["lambda"] == pytest.approx(want["lambda"], rel=1e-11)
    assert got.detail["effective_labels"] == pytest.approx(n_labelled * want["alone"] / want["variance"], rel=1e-10)
    assert got.high == pytest.approx(want["value"] + stats.t.isf(0.025, want["df"]) * error, rel=1e-10)
    assert (got.n, got.detail["n_labelled"]) == (len(labels), n_labelled)
    assert got.n_clusters == (None if ids is None else len(np.unique(ids)))


def test_a_known_mean_is_a_regression_at_it() -> None:
    """The control variate with an estimated slope: exactly the prediction of least squares there, n - 2 degrees."""
    labels, scores, _ = sets(14, 0)
    got = sy.estimate(labels, judge=scores, judge_mean=0.3)
    fit = stats.linregress(scores, labels)
    left = labels - fit.intercept - fit.slope * scores
    error = np.sqrt((left @ left) / 12 * (1 / 14 + (0.3 - scores.mean()) ** 2 / ((scores - scores.mean()) ** 2).sum()))
    assert got.value == pytest.approx(fit.intercept + 0.3 * fit.slope)
    assert (got.standard_error, got.detail["df"]) == pytest.approx((error, 12))
    assert (got.method, got.detail["lambda"]) == ("control variate t", pytest.approx(fit.slope))
    more = sy.estimate([*labels, NAN, NAN], judge=[*scores, 9.0, 9.0], judge_mean=0.3)
    assert (more.value, more.low, more.n, more.left_out) == (got.value, got.low, 14, {"no label": 2})


# ppi_py 0.2.3 (ppi-python on PyPI): ppi_mean_pointestimate(y, f, more) and ppi_mean_ci(y, f, more, alpha=0.05) of
# figures(n, others, answers), run with NumPy 2.4.6.
PUBLISHED = {
    (40, 400, False): (1.0833488341961908, 0.9284460473097679, 1.2382516210826138),
    (200, 2000, False): (1.0673219374894, 0.9981173844304974, 1.1365264905483028),
    (200, 2000, True): (0.49062473353632174, 0.44863227906730674, 0.5326171880053368),
    (200, 100, False): (1.0964022168370529, 0.9417358480418574, 1.2510685856322483),
}


def figures(n: int, others: int, answers: bool) -> tuple[np.ndarray, np.ndarray]:
    i = np.arange(n + others, dtype=float)
    scores = np.round(2 * np.sin(0.7 * i) + np.cos(0.31 * i * i), 3)
    labels = np.round(0.8 * scores + 0.5 * np.sin(1.3 * i * i + 1) + 1, 3)
    return (labels > 1).astype(float) if answers else labels, scores


@pytest.mark.parametrize("of", PUBLISHED)
def test_peers_figures(of: tuple[int, int, bool]) -> None:
    """Theirs by their conventions (the formula in tests/coverage/judges.py); ours within what the conventions move.

    They take the variance of the scores from all rows and divide by n; we take the labelled rows' own, count the error
    of lambda, and have Student's t.
    """
    n, _, answers = of
    labels, scores = figures(*of)
    value, low, high = PUBLISHED[of]
    theirs = judges.published(labels[:n], scores[:n], scores[n:])
    assert theirs == pytest.approx((low, high), rel=1e-12)
    assert sum(theirs) / 2 == pytest.approx(value, rel=1e-12)
    got = sy.estimate(np.where(np.arange(len(labels)) < n, labels, NAN), judge=scores)
    assert got.low is not None
    assert got.high is not None
    half = (high - low) / 2
    assert abs(got.value - value) < (0.06 if n < 100 else 0.015) * half
    assert 1 < (got.high - got.low) / (high - low) < (1.02 if n < 100 else 1.011)
    assert got.method == f"prediction-powered {'Wilson' if answers else 't'}"


def test_the_scale_of_the_scores_does_not_matter() -> None:
    labels, scores, ids = sets(30, 100, of="both")
    plain, turned = (sy.estimate(labels, judge=f, clusters=ids) for f in (scores, 7.0 - 40.0 * scores))
    assert (turned.value, turned.low, turned.high) == pytest.approx((plain.value, plain.low, plain.high), rel=1e-12)
    assert -40 * turned.detail["lambda"] == pytest.approx(plain.detail["lambda"])


def test_the_order_of_rows_does_not_matter() -> None:
    labels, scores, _ = sets(30, 100)
    order = np.random.default_rng(0).permutation(130)
    assert sy.estimate(labels[order], judge=scores[order]) == sy.estimate(labels, judge=scores)


def test_a_useful_judge_is_worth_labels() -> None:
    labels, scores, _ = sets(40, 4000)
    got, alone = sy.estimate(labels, judge=scores), sy.estimate(labels[:40])
    assert got.detail["effective_labels"] > 100
    assert (got.high - got.low) < 0.6 * (alone.high - alone.low)  # type: ignore[operator]
    assert got.n_effective == got.detail["effective_labels"]


def test_labels_that_chance_did_not_choose_are_doubted() -> None:
    labels, scores, _ = sets(40, 400)
    got = sy.estimate(labels, judge=scores)
    has = ~np.isnan(labels)
    spread = scores[has].var(ddof=1) / 40 + max(scores[~has].var(ddof=1), scores.var(ddof=1)) / 400
    assert got.detail["apart"] == pytest.approx((scores[has].mean() - scores[~has].mean()) / np.sqrt(spread), rel=1e-3)
    assert "chance" not in got.reason
    best = np.where(scores > np.sort(scores)[-40], np.nan_to_num(labels), NAN)
    with pytest.warns(SteelyardWarning, match=r"^judge: the labelled rows .* were they chosen by chance\?$"):
        doubted = sy.estimate(best, judge=scores).reason
    assert re.search(
        r"; the labelled rows have a mean score \d+\.\d standard errors from that of the others: were", doubted
    )
    with pytest.warns(SteelyardWarning, match="standard errors from judge_mean"):
        known = sy.estimate(labels[:40], judge=scores[:40], judge_mean=9.0)
    assert "standard errors from judge_mean" in known.reason
    with pytest.warns(SteelyardWarning, match="were they chosen by chance"):  # scores filled with 0 by mistake
        sy.compare(labels, baseline=0.0 * labels, judge=np.where(has, 5.0 + scores, 0.0))


NUMBERS = ("value", "standard_error", "low", "high", "n", "n_clusters", "n_effective", "method", "confidence_level")
MANY, FEW = np.arange(40) % 10 / 10, np.where(np.arange(40) < 4, np.arange(40) / 4.0, NAN)
SOME = np.where(np.arange(40) < 20, (np.arange(40) * 7) % 5 / 4, NAN)
ALONE: dict[str, tuple[np.ndarray, np.ndarray, dict[str, Any], str]] = {
    "no row without": (MANY, MANY[::-1], {}, "every row has a label"),
    "no row without, 0/1": (MANY > 0.4, MANY[::-1], {}, "every row has a label"),
    "no row without, clusters": (MANY, MANY[::-1], {"clusters": np.arange(40) // 3}, "every row has a label"),
    "no row without, weights": (MANY, MANY[::-1], {"weights": 1 + MANY}, "every row has a label"),
    "four labels": (FEW, MANY, {}, "fewer than 5 labels (or clusters of one size) do not tell how good the judge is"),
    "two labels": (np.where(FEW < 0.5, FEW, NAN), MANY, {}, "fewer than 5 labels (or clusters"),
    "one label": (np.where(FEW < 0.25, FEW, NAN), MANY, {}, "the labels do not vary"),
    "four without": (np.where(np.arange(40) < 36, MANY[::-1], NAN), MANY**2, {}, "fewer than 5 rows without a label"),
    "one cluster": (SOME, MANY, {"clusters": np.zeros(40)}, "fewer than 5 labels (or clusters"),
    "an uneven cluster": (SOME, MANY, {"clusters": np.maximum(np.arange(40) - 15, 0)}, "fewer than 5 labels"),
    "one cluster without": (SOME, MANY, {"clusters": np.minimum(np.arange(40), 20)}, "fewer than 5 rows without"),
    "a constant judge": (SOME, np.full(40, 0.1), {}, "the judge's scores of the labelled rows do not vary"),
    "constant with labels": (SOME, np.where(np.isnan(SOME), MANY, 0.1), {}, "the judge's scores of the labelled rows"),
    "clusters of equal scores": (SOME, np.arange(40) % 2, {"clusters": np.arange(40) // 2}, "scores of the labelled rows"),
    "clusters of equal labels": (
        np.where(np.arange(40) < 20, np.arange(40) % 2 / 10, NAN), MANY, {"clusters": np.arange(40) // 2}, "the labels do not",
    ),
    "equal labels": (np.where(np.isnan(SOME), NAN, 0.3), MANY, {}, "the labels do not vary"),
    "equal answers": (np.where(np.isnan(SOME), NAN, 1.0), MANY, {}, "the labels do not vary"),
    "a judge that is always right": (SOME, np.where(np.isnan(SOME), MANY, 3 - 2 * SOME), {}, "all labels exactly"),
    "no correlation": (np.where(np.arange(40) < 20, np.arange(40) % 2, NAN), np.arange(40) // 2 % 2, {}, "do not vary"),
}  # fmt: skip


@pytest.mark.parametrize("of", ALONE)
def test_without_the_judge_it_is_the_estimate_of_the_labels_alone(of: str) -> None:
    labels, scores, rows, why = ALONE[of]
    has = ~np.isnan(labels.astype(float))
    got = sy.estimate(labels, judge=scores, **rows)
    want = sy.estimate(labels[has], **{key: value[has] for key, value in rows.items()})
    assert [getattr(got, name) for name in NUMBERS] == [getattr(want, name) for name in NUMBERS]
    assert got.detail == want.detail | {"lambda": 0.0, "n_labelled": has.sum(), "effective_labels": has.sum()}
    assert got.reason.startswith(f"{want.reason}; lambda = 0: ")
    assert why in got.reason
    assert got.left_out == ({"no label": (~has).sum()} if not has.all() else {})


def test_five_labels_and_five_rows_without_are_enough() -> None:
    labels, scores, _ = sets(5, 5)
    assert sy.estimate(labels, judge=scores).method == "prediction-powered t"
    assert sy.estimate(labels[:9], judge=scores[:9]).detail["lambda"] == 0.0
    assert sy.estimate(labels[1:], judge=scores[1:]).detail["lambda"] == 0.0


def test_a_judge_of_answers_that_was_always_right_may_err() -> None:
    """Half of Wilson's upper limit for 0 of 20 is the share of rows that it is taken to miss by 1."""
    labels = np.where(np.arange(500) < 20, np.arange(500) % 3 > 0, NAN)
    got = sy.estimate(labels, judge=np.arange(500) % 3 > 0)
    z = stats.norm.isf(0.025)
    q = z**2 / (20 + z**2)
    assert got.standard_error == pytest.approx(np.sqrt(q / 40))
    assert (got.method, got.reason) == ("prediction-powered Wilson", "0/1 labels of 20 of 500 rows")
    one = sy.estimate(labels, judge=np.arange(500) % 3 > 0, confidence_level=0.975, alternative="greater")
    assert (one.low, one.high, one.standard_error) == (pytest.approx(got.low), 1.0, pytest.approx(got.standard_error))


@pytest.mark.filterwarnings("ignore:judge. the labelled rows have a mean score")
@pytest.mark.parametrize(("others", "value"), [(1.0, 0.999), (1.5, 1.0)])
def test_limits_of_answers_stay_in_0_1(others: float, value: float) -> None:
    """Where the other rows seem better than any labelled one, the sum passes 1: the share is cut off there."""
    labels = np.where(np.arange(300) < 30, np.arange(300) % 10 > 0, NAN)
    got = sy.estimate(labels, judge=np.where(np.arange(300) < 30, np.arange(300) % 10 > 2, others))
    assert got.value == pytest.approx(value, abs=1e-3)
    assert got.low is not None
    assert got.high is not None
    assert 0.8 < got.low < got.value <= got.high <= 1.0
    assert got.n_effective == 30


@pytest.mark.parametrize("kind", ["graded", "answers"])
def test_one_sided_limits_are_those_of_two_sides(kind: str) -> None:
    labels, scores, _ = sets(25, 200)
    labels = np.where(np.isnan(labels), NAN, labels > 2) if kind == "answers" else labels
    both = sy.estimate(labels, judge=scores, confidence_level=0.9)
    less, more = (sy.estimate(labels, judge=scores, alternative=side) for side in ("less", "greater"))  # type: ignore[arg-type]
    assert (more.low, less.high) == pytest.approx((both.low, both.high), rel=1e-12)
    assert (less.low, more.high) == ((0, 1) if kind == "answers" else (-np.inf, np.inf))
    widths = [sy.estimate(labels, judge=scores, confidence_level=level) for level in (0.3, 0.5, 0.8, 0.95, 0.999)]
    assert all(a.low > b.low and a.high < b.high for a, b in pairwise(widths))  # type: ignore[operator]


def test_rows_groups_and_weights() -> None:
    labels, scores, ids = sets(40, 160, of="both")
    counted, by = np.arange(200) % 7 > 0, np.arange(200) // 5 % 2
    some = sy.estimate(labels, judge=scores, clusters=ids, where=counted)
    assert some.left_out == {"where": 29}
    plain = sy.estimate(labels[counted], judge=scores[counted], clusters=ids[counted])  # type: ignore[index]
    assert (some.value, some.low, some.n) == (plain.value, plain.low, plain.n)
    gaps = sy.estimate(labels, judge=np.where(counted, scores, NAN), clusters=ids, nan_policy="omit")
    assert (gaps.value, gaps.low, gaps.left_out) == (some.value, some.low, {"nan": 29})
    both = sy.estimate(labels, judge=scores, by=by)
    for group in (0, 1):
        alone = sy.estimate(labels[by == group], judge=scores[by == group])
        assert (both[str(group)].value, both[group].low) == (alone.value, alone.low)
    assert both.detail["simultaneous_low"][0] < both.low[0]  # type: ignore[index]
    one = sy.estimate(labels, judge=scores, weights=np.full(200, 3.0))
    plain = sy.estimate(labels, judge=scores)
    assert (one.value, one.low) == pytest.approx((plain.value, plain.low))
    weights = 0.5 + np.arange(200) % 4
    got, has = sy.estimate(labels, judge=scores, weights=weights), ~np.isnan(labels)
    w, v = weights[has] / weights[has].sum(), weights[~has] / weights[~has].sum()
    apart = w @ scores[has] - v @ scores[~has]
    assert got.value == pytest.approx(w @ labels[has] - got.detail["lambda"] * apart)
    assert got.method == "weighted prediction-powered t"
    nested = sy.estimate(labels, judge=scores, clusters=(ids, np.arange(200)))
    assert nested.low == sy.estimate(labels, judge=scores, clusters=ids).low


def test_types_of_labels_and_scores() -> None:
    labels, scores, _ = sets(20, 60)
    labels, scores = labels.astype(np.float32), scores.astype(np.float32)
    want = sy.estimate(labels.astype(float), judge=scores.astype(float))
    assert sy.estimate(labels, judge=scores) == want
    assert sy.estimate(labels.tolist(), judge=scores.tolist()) == want
    assert sy.estimate([None if y != y else y for y in labels.tolist()], judge=scores) == want


# -- comparisons -----------------------------------------------------------------------------------------------


def models(n: int = 50, others: int = 400) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels of two models, and a judge's scores of both."""
    i = np.arange(n + others)
    base, new = (i * 37) % 11 > 3, (i * 37 + i % 4) % 11 > 2
    has = i < n
    judged = [np.where((i * 13) % 9 == 0, ~side, side).astype(float) for side in (new, base)]
    return np.where(has, new, NAN), np.where(has, base, NAN), judged[0], judged[1]


def test_a_comparison_is_the_mean_of_the_differences() -> None:
    new, base, of_new, of_base = models()
    got = sy.compare(new, baseline=base, judge={"new": of_new, "baseline": of_base})
    assert got == sy.compare(new, baseline=base, judge=of_new - of_base)
    mean, alone = sy.estimate(new - base, judge=of_new - of_base), sy.compare(new[:50], baseline=base[:50])
    assert got.difference.value == mean.value
    assert got.difference.detail["lambda"] == mean.detail["lambda"]
    assert (got.wins, got.losses, got.ties) == (alone.wins, alone.losses, alone.ties)
    t = mean.value / got.difference.standard_error  # type: ignore[operator]
    assert got.p_value == pytest.approx(2 * stats.t.sf(abs(t), got.difference.detail["df"]))
    assert got.test == "prediction-powered t"
    assert got.difference.reason == "differences of 0/1 labels of 50 of 450 rows"
    assert got.verdict(0.5) in ("better", "not_worse")
    with pytest.raises(ValueError, match=r"^margin: expected less than 1"):
        got.verdict(1.5)
    both = {"m": new, "b": base}
    by_name = sy.compare(both, baseline="b", judge={"b": of_base, "m": of_new})
    assert by_name == sy.compare(both, baseline="b", judge={"new": of_new, "baseline": of_base})
    swapped = sy.compare({"baseline": new, "new": base}, baseline="new", judge={"baseline": of_new, "new": of_base})
    assert swapped.difference.value == by_name.difference.value
    with pytest.raises(ValueError, match=r"got the keys \['m', 'c'\]; 'm' and 'b' are taken as well$"):
        sy.compare(both, baseline="b", judge={"m": of_new, "c": of_base})

    class Matched(dict[str, Any]):
        """Scores of records, which know how many rows could not be matched."""

        left_out: ClassVar = {"unmatched": 3}

    matched = sy.compare(Matched(m=new, b=base), baseline="b", judge=of_new - of_base)
    assert matched.difference.left_out == {"unmatched": 3}
    named = sy.compare({"m": new, "b": base}, baseline="b", judge=of_new - of_base, clusters=np.arange(450) // 3)
    assert (named.names, named.baseline) == (("m",), "b")
    assert named.difference.method == ("clustered prediction-powered t",)


def test_swapping_the_sides_turns_the_comparison() -> None:
    new, base, of_new, of_base = models()
    new, base = new + 0.25 * np.cos(np.arange(450.0)), base + 0.25 * np.sin(np.arange(450.0))
    there, back = (
        sy.compare(new, baseline=base, judge=of_new - of_base),
        sy.compare(base, baseline=new, judge=of_base - of_new),
    )
    assert (back.difference.value, back.difference.low) == pytest.approx(
        (-there.difference.value, -there.difference.high)
    )  # type: ignore[operator]
    assert back.p_value == pytest.approx(there.p_value)
    sides = [
        sy.compare(new, baseline=base, judge=of_new - of_base, alternative=side).p_value for side in ("less", "greater")
    ]  # type: ignore[arg-type]
    assert sum(sides) == pytest.approx(1)
    assert 2 * min(sides) == pytest.approx(there.p_value)


def test_a_comparison_without_the_judge_is_that_of_the_labelled_rows() -> None:
    new, base, of_new, _ = models()
    for constant in (of_new * 0, np.where(np.isnan(new), of_new, 1.0)):
        got, want = sy.compare(new, baseline=base, judge=constant), sy.compare(new[:50], baseline=base[:50])
        assert (got.p_value, got.test, got.wins, got.ties) == (want.p_value, want.test, want.wins, want.ties)
        assert [getattr(got.difference, name) for name in NUMBERS] == [
            getattr(want.difference, name) for name in NUMBERS
        ]
        assert got.difference.left_out == {"no label": 400}
    whole = sy.compare(new[:50], baseline=base[:50], judge=of_new[:50])
    assert (whole.difference.low, whole.p_value) == (want.difference.low, want.p_value)


def test_differences_that_are_equal_but_for_rounding_do_not_vary() -> None:
    base = np.where(np.arange(60) < 30, np.arange(60) * 0.1, NAN)
    got = sy.compare(base + 0.1, baseline=base, judge=np.arange(60) % 7)
    assert "the labels do not vary" in got.difference.reason
    assert got.difference.method == "no spread"


def test_labels_of_one_model_alone_are_counted() -> None:
    new, base, of_new, of_base = models()
    more = base.copy()
    more[50:57] = 1.0
    got = sy.compare(new, baseline=more, judge=of_new - of_base)
    assert got.difference.detail.pop("half_labelled") == 7
    assert got.difference == sy.compare(new, baseline=base, judge=of_new - of_base).difference


def test_the_error_of_a_judge_of_answers_counts_in_differences() -> None:
    i = np.arange(400)
    new, base = (np.where(i < 40, side, NAN) for side in (i % 5 > 0, i % 3 > 0))
    got = sy.compare(new, baseline=base, judge=(i % 5 > 0).astype(float) - (i % 3 > 0)).difference
    z = stats.norm.isf(0.025)
    assert got.standard_error == pytest.approx(np.sqrt(z**2 / (40 + z**2) / 80))


# -- bad input -------------------------------------------------------------------------------------------------

Y, F = np.where(np.arange(30) < 12, np.arange(30) % 5, NAN), np.arange(30) % 7 / 2
BAD: list[tuple[str, dict[str, Any]]] = [
    ("judge: expected 30 scores, one for each row of x; got 29; rows without a label have NaN there", {"judge": F[1:]}),
    ('judge: expected finite values; got nan at index 3; pass nan_policy="omit"', {"judge": np.where(F == 1.5, NAN, F)}),
    ("judge: expected finite values; got inf at index 2; leave it out", {"judge": np.where(F == 1, np.inf, F)}),
    ("judge: expected numbers; got texts", {"judge": ["a"] * 30}),
    ("x: expected finite values; got inf at index 4; leave it out", {"x": np.where(Y == 4, np.inf, Y)}),
    ("x: expected a label (a number that is not NaN) on one row at least; got none on 30 rows", {"x": Y * NAN}),
    ("x: expected one column with judge=; got several; estimate one column at a time", {"x": np.stack([Y, Y], 1)}),
    ("judge: expected None but for statistic='mean'; got a judge with 'median'", {"statistic": "median"}),
    ("method: expected None with judge=, which has one kind of interval; got 't'", {"method": "t"}),
    ("strata: expected None with judge=; got strata; by= gives", {"strata": np.arange(30) % 2}),
    ("clusters: expected one kind with judge=; got two in", {"clusters": {"a": np.arange(30), "b": np.arange(30) // 2}}),
    ("judge_mean: expected None without judge=; got float 0.5", {"judge": None, "judge_mean": 0.5, "x": F}),
    ("judge_mean: expected a finite number; got nan", {"judge_mean": NAN}),
    ("judge_mean: expected a number; got str 'x'", {"judge_mean": "x"}),
    ("x: expected values whose sum of squares stays finite", {"x": Y * 1e200}),
    ("judge: expected values whose sum of squares stays finite", {"judge": F * 1e200}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "changed"), BAD, ids=[message for message, _ in BAD])
def test_bad_input_of_estimate(message: str, changed: dict[str, Any]) -> None:
    given = {"x": Y, "statistic": "mean", "judge": F} | changed
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        sy.estimate(given.pop("x"), given.pop("statistic"), **given)


WRONG: list[tuple[str, dict[str, Any]]] = [
    ("judge: expected 30 scores, one for each row of new; got 4", {"judge": F[:4]}),
    ("judge['baseline']: expected 30 scores, one for each row of new; got 4", {"judge": {"new": F, "baseline": F[:4]}}),
    ('judge: expected a mapping {"new": ..., "baseline": ...} of scores, or one', {"judge": {"new": F}}),
    ("judge: expected finite values; got nan at index 0", {"judge": F * NAN}),
    ("judge: expected None but for statistic='mean'; got a judge with 'rmse'", {"statistic": "rmse"}),
    ("judge: expected None with paired=False; got a judge; estimate each side", {"paired": False}),
    ("by: expected None with judge=; got both by= and judge=", {"by": np.arange(30) % 2}),
    ("strata: expected None with judge=; got both strata= and judge=", {"strata": np.arange(30) % 2}),
    ("method: expected None with judge=, since it chooses", {"method": "tango"}),
    ("test: expected None with judge=, since it chooses", {"test": "exact"}),
    ("new: expected one model with judge=; got 2 models; compare one at a time", {"new": {"a": Y, "b": Y}}),
    ("baseline: expected an array of labels, or a model's name, with judge=; got None", {"baseline": None}),
    ("new - baseline: expected a label (a number that is not NaN) on one row at least", {"baseline": Y * NAN}),
    ("new: expected 31 labels, as baseline has; got 30; rows without a label", {"baseline": np.zeros(31)}),
    ("new: expected finite values; got inf at index 1", {"new": np.where(Y == 1, np.inf, Y)}),
    ("new: expected finite values; got inf at index 0", {"new": np.where(Y >= 0, np.inf, Y), "baseline": np.where(Y >= 0, np.inf, Y)}),
    ("judge: expected finite values; got inf at index 0", {"judge": {"new": F + np.inf, "baseline": F + np.inf}}),
]  # fmt: skip


@pytest.mark.parametrize(("message", "changed"), WRONG, ids=[message for message, _ in WRONG])
def test_bad_input_of_compare(message: str, changed: dict[str, Any]) -> None:
    given = {"new": Y, "baseline": Y[::-1][np.r_[18:30, 0:18]], "judge": F} | changed
    with pytest.raises((TypeError, ValueError), match=re.escape(message)):
        sy.compare(given.pop("new"), **given)


# -- coverage --------------------------------------------------------------------------------------------------


def test_intervals_cover_where_the_published_ones_do_not() -> None:
    """Two designs of the table in docs/coverage.md, 300 sets: .95 scatters by .013."""
    for draw, truth, limit in ((judges.rows(0.9), 0.0, 0.90), (judges.answers(0.7, 0.2), 0.7, 0.72)):
        alone, both, theirs = judges.held(draw, truth, 15, 300)
        assert min(alone[0], both[0]) > 0.91
        assert theirs[0] < limit + 0.02
        assert both[1] < alone[1]


def test_the_page_on_judges_is_true() -> None:
    session = "\n".join(blocks("python", ROOT / "docs" / "judges.md"))
    ran, said = failures(doctest.DocTestParser().get_doctest(session, {}, "judges.md", None, 0))
    assert ran > 5
    assert said == ""
