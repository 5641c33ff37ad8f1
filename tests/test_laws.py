"""Laws that hold for any data: of states, of intervals, of comparisons. What one room alone promises stands in its file."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import reduce
from itertools import pairwise
from operator import add
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import steelyard as sy
from steelyard.calibration import ReliabilityState
from steelyard.optim import GlobalNormState
from steelyard.tokens import PerplexityState, TokenState
from steelyard.uncertainty import ConfidenceSequenceState, EstimateState, confidence_sequence

# -- states ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Law:
    """A state, the function that it must equal, and any data for both.

    Attributes
    ----------
    rows : options -> what draws one batch: the first arguments, and the keywords with one value per row
    options : what draws the options of the constructor
    same_for_splits : whether any split of the rows gives the same bits (GlobalNormState promises less)
    same_as_function : whether the function gives the same bits, not only the same within its rounding
    """

    state: Callable[..., Any]
    function: Callable[..., Any]
    rows: Callable[[dict[str, Any]], st.SearchStrategy[tuple[tuple[Any, ...], dict[str, Any]]]]
    options: st.SearchStrategy[dict[str, Any]]
    others: list[dict[str, Any]] = field(default_factory=list)
    same_for_splits: bool = True
    same_as_function: bool = True


INTERVALS = {
    "confidence_level": st.sampled_from([0.5, 0.9, 0.95, 0.999]),
    "alternative": st.sampled_from(["two-sided", "less", "greater"]),
}


def maybe_nan(options: dict[str, Any], high: float, width: int) -> st.SearchStrategy[float]:
    """Values of [0, high], and NaN where the options leave it out."""
    values = st.floats(0, high, width=width)
    return values | st.just(math.nan) if options.get("nan_policy") == "omit" else values


@st.composite
def documents(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """NLL [B, T], each row of a document that may come again; a part of the tokens may not count."""
    dtype, width = draw(st.sampled_from([(np.float32, 32), (np.float64, 64)]))
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 4)))
    nll = draw(hnp.arrays(dtype, shape, elements=maybe_nan(options, 100, width)))
    where = draw(hnp.arrays(np.bool_, shape))
    ids = draw(hnp.arrays(np.int64, shape[0], elements=st.integers(0, 3)))
    words = draw(hnp.arrays(np.int64, shape[0], elements=st.integers(1, 9)))
    return (nll,), {"where": where, "clusters": ids, "per": words}


@st.composite
def logits(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Logits [B, T, V] and targets, each row of a document that may come again; a part of the tokens may not count."""
    dtype, width = draw(st.sampled_from([(np.float16, 16), (np.float32, 32), (np.float64, 64)]))
    shape = draw(st.tuples(st.integers(1, 8), st.integers(1, 4)))
    x = draw(hnp.arrays(dtype, (*shape, 3), elements=st.floats(-50, 50, width=width)))
    targets = draw(hnp.arrays(np.int64, shape, elements=st.integers(0, 2)))
    where = draw(hnp.arrays(np.bool_, shape))
    return (x, targets), {"where": where, "clusters": draw(hnp.arrays(np.int64, shape[0], elements=st.integers(0, 3)))}


def mean_of_tokens(
    x: Any, targets: Any, *, columns: Any, where: Any, clusters: Any, temperature: float, **options: Any
) -> sy.Estimate:
    t = sy.token_scores(x, targets, columns=columns, temperature=temperature)
    ids = np.repeat(clusters, targets.shape[1])
    return sy.estimate(getattr(t, columns).reshape(-1), where=where.reshape(-1), clusters=ids, **options)


@st.composite
def predictions(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    dtype, width = draw(st.sampled_from([(np.float16, 16), (np.float32, 32), (np.float64, 64)]))
    n = draw(st.integers(1, 20))
    probs = draw(hnp.arrays(dtype, n, elements=maybe_nan(options, 1, width)))
    return (probs, draw(hnp.arrays(np.bool_, n))), {"where": draw(hnp.arrays(np.bool_, n))}


@st.composite
def predictions_in_clusters(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    rows, keywords = draw(predictions(options))
    ids = draw(st.sampled_from([np.arange(4), np.array(["a", "b", "doc/3", "d"])]))
    names = draw(hnp.arrays(np.int64, len(rows[0]), elements=st.integers(0, 3)))
    return rows, {**keywords, "clusters": ids[names]}


def weighted(data: Any) -> Callable[[dict[str, Any]], Any]:
    """The data with weights, some of them 0."""

    @st.composite
    def drawn(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        rows, keywords = draw(data(options))
        weights = draw(hnp.arrays(np.float64, len(rows[0]), elements=st.sampled_from([0.0, 1e-300, 1 / 3, 1.0, 7.5])))
        return rows, {**keywords, "weights": weights}

    return drawn


@st.composite
def gradients(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    dtype, width = draw(st.sampled_from([(np.float32, 32), (np.float64, 64)]))
    high = 2.0**60
    return (draw(hnp.arrays(dtype, st.integers(1, 20), elements=st.floats(-high, high, width=width))),), {}


@st.composite
def values(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """Answers, or numbers of any size, a part of which may not count."""
    n = draw(st.integers(1, 20))
    dtype, width = draw(st.sampled_from([(np.float16, 16), (np.float32, 32), (np.float64, 64)]))
    numbers = st.sampled_from([0.0, 1.0]) | st.floats(-1e4, 1e4, width=width)
    if options.get("method") == "wilson":
        numbers = st.sampled_from([0.0, 1.0])
    if options.get("nan_policy") == "omit":
        numbers |= st.just(math.nan)
    return (draw(hnp.arrays(dtype, n, elements=numbers)),), {"where": draw(hnp.arrays(np.bool_, n))}


@st.composite
def values_in_clusters(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    rows, keywords = draw(values(options))
    ids = draw(st.sampled_from([np.arange(4), np.array(["a", "b", "doc/3", "d"])]))
    names = draw(hnp.arrays(np.int64, len(rows[0]), elements=st.integers(0, 3)))
    return rows, {**keywords, "clusters": ids[names]}


def designed(*words: str) -> Callable[[dict[str, Any]], Any]:
    """Values in clusters with weights (some of them 0), or in strata, or both."""

    @st.composite
    def drawn(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
        (x,), keywords = draw(values_in_clusters(options))
        # Products of weights with values near the least of float64 are refused.
        x = np.where(np.abs(x) < 2.0**-20, np.zeros_like(x), x)
        weights = draw(hnp.arrays(np.float64, len(x), elements=st.sampled_from([0.0, 0.25, 1.0, 7.5])))
        strata = np.array([str(one) in ("0", "2", "a", "doc/3") for one in keywords["clusters"]]).astype(np.int64)
        return (x,), {
            **keywords,
            **{word: of for word, of in (("weights", weights), ("strata", strata)) if word in words},
        }

    return drawn


@st.composite
def answers(draw: Any, options: dict[str, Any]) -> tuple[tuple[Any, ...], dict[str, Any]]:
    """0/1 answers, a part of which may not count."""
    n = draw(st.integers(1, 20))
    numbers = st.sampled_from([0.0, 1.0, *([math.nan] if options.get("nan_policy") == "omit" else [])])
    return (draw(hnp.arrays(np.float64, n, elements=numbers)),), {"where": draw(hnp.arrays(np.bool_, n))}


class CountedAnswers(ConfidenceSequenceState):
    """A confidence sequence of counts, which merges."""

    def __init__(self, method: Any = "beta-binomial", **options: Any) -> None:
        super().__init__(method=method, **options)


MEANS = st.fixed_dictionaries(
    INTERVALS | {"method": st.sampled_from([None, "t", "wilson"]), "nan_policy": st.sampled_from(["raise", "omit"])}
)
OTHER_MEANS: list[dict[str, Any]] = [
    {"method": "t"}, {"nan_policy": "omit"}, {"confidence_level": 0.9}, {"alternative": "less"}
]  # fmt: skip
LAWS = {
    "estimate": Law(EstimateState, sy.estimate, values, MEANS, OTHER_MEANS, same_as_function=False),
    "estimate in clusters": Law(
        EstimateState, sy.estimate, values_in_clusters, MEANS, OTHER_MEANS, same_as_function=False
    ),
    **{
        f"estimate with {' and '.join(words)}": Law(
            EstimateState, sy.estimate, designed(*words), MEANS, OTHER_MEANS, same_as_function=False
        )
        for words in (("weights",), ("strata",), ("weights", "strata"))
    },
    "confidence sequence of counts": Law(
        CountedAnswers,
        lambda x, **options: confidence_sequence(x, method="beta-binomial", **options),
        answers,
        st.fixed_dictionaries(
            {"confidence_level": st.sampled_from([0.5, 0.95]), "nan_policy": st.sampled_from(["raise", "omit"])}
        ),
        [{"nan_policy": "omit"}, {"confidence_level": 0.9}],
    ),
    "perplexity": Law(
        PerplexityState,
        sy.perplexity,
        documents,
        st.fixed_dictionaries(
            INTERVALS
            | {
                "unit": st.sampled_from(["perplexity", "bits", "nats"]),
                "nan_policy": st.sampled_from(["raise", "omit"]),
            }
        ),
        [{"unit": "bits"}, {"nan_policy": "omit"}, {"confidence_level": 0.9}, {"alternative": "less"}],
    ),
    "means of tokens": Law(
        TokenState,
        mean_of_tokens,
        logits,
        # Where all values are equal, a column that is known to be a share is treated as one by both.
        st.fixed_dictionaries(INTERVALS | {"columns": st.just("correct"), "temperature": st.sampled_from([0.5, 1.0])}),
        [{"columns": "rank"}, {"temperature": 2.0}, {"confidence_level": 0.9}, {"alternative": "less"}],
        same_as_function=False,
    ),
    "reliability": Law(
        ReliabilityState,
        sy.reliability,
        predictions,
        st.fixed_dictionaries(
            INTERVALS | {"n_bins": st.sampled_from([1, 3, 15]), "nan_policy": st.sampled_from(["raise", "omit"])}
        ),
        [{"n_bins": 10}, {"nan_policy": "omit"}, {"confidence_level": 0.9}, {"alternative": "less"}],
    ),
    "reliability in clusters": Law(
        ReliabilityState,
        sy.reliability,
        predictions_in_clusters,
        st.fixed_dictionaries(
            INTERVALS | {"n_bins": st.sampled_from([1, 3, 15]), "nan_policy": st.sampled_from(["raise", "omit"])}
        ),
        [{"n_bins": 10}, {"nan_policy": "omit"}, {"confidence_level": 0.9}, {"alternative": "less"}],
    ),
    **{
        f"{name} and weights": Law(
            ReliabilityState,
            sy.reliability,
            weighted(data),
            st.fixed_dictionaries(
                INTERVALS | {"n_bins": st.sampled_from([1, 3, 15]), "nan_policy": st.sampled_from(["raise", "omit"])}
            ),
            [{"n_bins": 10}, {"nan_policy": "omit"}],
        )
        for name, data in (("reliability", predictions), ("reliability in clusters", predictions_in_clusters))
    },
    "global_norm": Law(GlobalNormState, sy.global_norm, gradients, st.just({}), same_for_splits=False),
}
laws = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS)


def bits(answer: Any) -> Any:
    """Something that is equal exactly where every field of an answer is, bit for bit."""
    if isinstance(answer, sy.calibration.Reliability):
        numbers = [repr(answer.noise_floor), *((name, column.tobytes()) for name, column in answer.table.items())]
        errors = answer.ece, answer.rmsce, answer.mce, answer.gap, answer.frequency
        return errors, numbers, answer.n, answer.n_clusters, answer.left_out
    return answer.hex() if isinstance(answer, float) else answer


def answer(compute: Callable[[], Any]) -> Any:
    """The bits of an answer, or the sentence where no row counts."""
    try:
        return bits(compute())
    except ValueError as error:
        return str(error)


def part(rows: tuple[tuple[Any, ...], dict[str, Any]], which: Any) -> tuple[tuple[Any, ...], dict[str, Any]]:
    data, keywords = rows
    return tuple(x[which] for x in data), {name: x[which] for name, x in keywords.items()}


def state_of(law: Law, options: dict[str, Any], *batches: tuple[tuple[Any, ...], dict[str, Any]]) -> Any:
    state = law.state(**options)
    for data, keywords in batches:
        assert state.update(*data, **keywords) is state
    return state


def close(a: sy.Estimate, b: sy.Estimate) -> bool:
    """Whether two estimates say the same but for the rounding of their sums."""
    scale = max(abs(float(b.value)), abs(float(b.standard_error or 0.0)), 1e-300)
    figures = [(getattr(a, name), getattr(b, name)) for name in ("value", "standard_error", "low", "high")]
    # A limit is a few hundred standard errors away where there are two clusters and a level of .999.
    near = [x is y is None or math.isclose(x, y, rel_tol=1e-9, abs_tol=1e-9 * scale) for x, y in figures]
    said = [(of.n, of.n_clusters, of.method, of.reason, of.left_out) for of in (a, b)]
    return all(near) and said[0] == said[1]


@laws
@given(st.data())
def test_merging_is_a_commutative_monoid(law: Law, data: st.DataObject) -> None:
    options = data.draw(law.options)
    a, b, c = (state_of(law, options, data.draw(law.rows(options))) for _ in range(3))
    before = [state.to_bytes() for state in (a, b, c)]
    assert ((a + b) + c).to_bytes() == (a + (b + c)).to_bytes()
    assert (a + b).to_bytes() == (b + a).to_bytes()
    nothing = law.state(**options)
    assert (a + nothing).to_bytes() == (nothing + a).to_bytes() == a.to_bytes()
    assert [state.to_bytes() for state in (a, b, c)] == before, "+ leaves its operands alone"
    together = (a + b).to_bytes()
    assert a.merge(b) is a
    assert a.to_bytes() == together
    assert a.reset() is a
    assert a.to_bytes() == nothing.to_bytes()


@laws
@given(st.data())
def test_a_function_is_its_state(law: Law, data: st.DataObject) -> None:
    options = data.draw(law.options)
    rows, keywords = data.draw(law.rows(options))
    said = answer(lambda: law.function(*rows, **keywords, **options))
    found = answer(lambda: law.state(**options).update(*rows, **keywords).compute())
    if law.same_as_function or isinstance(said, str):
        assert (found == said) if law.same_as_function else isinstance(found, str)
        return
    assert close(found, said), f"{found}\n{said}"


@laws
@given(st.data())
def test_any_split_and_order_of_rows_gives_the_same_bits(law: Law, data: st.DataObject) -> None:
    options = data.draw(law.options)
    batch = data.draw(law.rows(options))
    n = len(batch[0][0])
    owner = data.draw(hnp.arrays(np.int64, n, elements=st.integers(0, 2)))
    parts = [state_of(law, options, part(batch, owner == k)) for k in range(3)]
    whole, merged = state_of(law, options, batch), reduce(add, parts)
    one_by_one = state_of(law, options, *(part(batch, [i]) for i in range(n - 1, -1, -1)))
    if law.same_for_splits:
        assert merged.to_bytes() == one_by_one.to_bytes() == whole.to_bytes()
        assert answer(merged.compute) == answer(one_by_one.compute) == answer(whole.compute)
    else:
        forward = state_of(law, options, *(part(batch, [i]) for i in range(n)))
        assert forward.to_bytes() == one_by_one.to_bytes(), "updates come in any order"
        for state in (merged, one_by_one):
            assert math.isclose(state.compute(), whole.compute(), rel_tol=1e-15 * (n + 2))


@laws
@given(st.data())
def test_bytes_bring_the_state_back(law: Law, data: st.DataObject) -> None:
    options = data.draw(law.options)
    first, second = data.draw(law.rows(options)), data.draw(law.rows(options))
    state = state_of(law, options, first)
    again = law.state.from_bytes(state.to_bytes())  # type: ignore[attr-defined]
    assert again == state
    assert again.to_bytes() == state.to_bytes()
    assert answer(again.compute) == answer(state.compute)
    for one in (again, state):
        one.update(*second[0], **second[1])
    assert again.to_bytes() == state.to_bytes()


@laws
def test_states_of_other_options_or_kinds_do_not_merge(law: Law) -> None:
    for other in law.others:
        mine, its = law.state(), law.state(**other)
        for a, b in ((mine, its), (its, mine)):
            with pytest.raises(ValueError, match=r"^other: expected "):
                a.merge(b)
            with pytest.raises(ValueError, match=r"^other: expected "):
                a + b
    foreign = GlobalNormState() if law.state is not GlobalNormState else PerplexityState()
    with pytest.raises(TypeError, match=r"^other: expected a "):
        law.state().merge(foreign)
    with pytest.raises(TypeError):
        law.state() + foreign
    for start in (1, 0.0, "", None):  # sum() begins with the whole number 0, and nothing else is a state of no data
        with pytest.raises(TypeError, match=r"unsupported operand|can only concatenate"):
            start + law.state()
    with pytest.raises(ValueError, match=r"^data: expected "):
        law.state.from_bytes(foreign.to_bytes())  # type: ignore[attr-defined]


# -- rows and their order ----------------------------------------------------------------------------------

scores = st.lists(st.integers(-20, 20), min_size=3, max_size=40)
answers = st.lists(st.booleans(), min_size=3, max_size=60)


def shuffled(data: st.DataObject, n: int) -> np.ndarray:
    return np.array(data.draw(st.permutations(range(n))))


@given(answers, st.data())
def test_the_order_of_answers_does_not_matter(x: list[bool], data: st.DataObject) -> None:
    """Counts are exact, so any order gives the same bits, and those of the counts alone."""
    array = np.array(x)
    found = sy.estimate(array)
    assert sy.estimate(array[shuffled(data, len(x))]) == found
    counted = sy.proportion(int(array.sum()), len(x))
    same = ("value", "standard_error", "low", "high", "n")
    assert [getattr(found, name) for name in same] == [getattr(counted, name) for name in same]


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=60), st.data())
def test_the_order_of_pairs_does_not_matter(rows: list[tuple[bool, bool]], data: st.DataObject) -> None:
    new, base = np.array(rows).T
    order = shuffled(data, len(rows))
    found, again = sy.compare(new, baseline=base), sy.compare(new[order], baseline=base[order])
    assert again.to_dict() == found.to_dict()
    assert again.difference == found.difference


@given(st.integers(0, 2**32), st.integers(2, 12), st.data())
def test_a_shift_of_a_row_of_logits_changes_no_score(stream: int, n: int, data: st.DataObject) -> None:
    """The softmax knows differences alone. Eighths and whole shifts leave nothing to round, so not one bit changes."""
    rng = np.random.Philox(key=stream)
    logits = ((rng.random_raw(n * 40) % np.uint64(161)).astype(np.float32) - 80).reshape(n, 40) / 8
    targets = (rng.random_raw(n) % np.uint64(40)).astype(np.int64)
    shifts = data.draw(hnp.arrays(np.float32, (n, 1), elements=st.integers(-999, 999)))
    found, moved = sy.token_scores(logits, targets), sy.token_scores(logits + shifts, targets)
    assert moved.nll.tobytes() == found.nll.tobytes()
    np.testing.assert_allclose(moved.log_z, found.log_z + shifts[:, 0], rtol=1e-15, atol=1e-12)
    order = shuffled(data, n)
    assert sy.token_scores(logits[order], targets[order]).nll.tobytes() == found.nll[order].tobytes()


# -- intervals ---------------------------------------------------------------------------------------------

LEVELS = (0.5, 0.8, 0.9, 0.95, 0.99, 0.999)


def assert_nested(make: Callable[[float], sy.Estimate]) -> None:
    """Each interval holds the value, and lies inside that of the next level."""
    for narrow, wide in pairwise(make(level) for level in LEVELS):
        assert narrow.value == wide.value
        if narrow.low is None:  # no spread, in values that may lie anywhere
            assert (wide.low, wide.high, narrow.high) == (None, None, None)
            continue
        assert wide.low <= narrow.low <= narrow.value <= narrow.high <= wide.high


@pytest.mark.parametrize("method", ["wilson", "clopper-pearson", "jeffreys"])
@given(st.integers(1, 300), st.data())
def test_a_surer_interval_of_a_proportion_is_wider(method: str, n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    limits = [sy.proportion(k, n, method=method, confidence_level=level) for level in LEVELS]
    for narrow, wide in pairwise(limits):
        assert 0 <= wide.low <= narrow.low <= narrow.high <= wide.high <= 1


@given(scores, st.booleans(), st.data())
def test_a_surer_interval_of_a_mean_is_wider(x: list[int], clustered: bool, data: st.DataObject) -> None:
    ids = [*range(3), *(data.draw(st.integers(0, 4)) for _ in x[3:])] if clustered else None
    assert_nested(lambda level: sy.estimate(np.array(x) / 8 + 2, clusters=ids, confidence_level=level))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=80))
def test_a_surer_interval_of_a_difference_is_wider(rows: list[tuple[bool, bool]]) -> None:
    new, base = np.array(rows).T
    assert_nested(lambda level: sy.compare(new, baseline=base, confidence_level=level).difference)


@given(hnp.arrays(np.float64, (4, 3), elements=st.floats(0, 20)))
def test_a_surer_interval_of_perplexity_is_wider(nll: np.ndarray) -> None:
    assert_nested(lambda level: sy.perplexity(nll, confidence_level=level))


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=80))
def test_calibration_errors_are_ordered_and_surer_limits_are_wider(rows: list[tuple[float, bool]]) -> None:
    p, y = np.array([p for p, _ in rows]), np.array([y for _, y in rows])
    found = [sy.reliability(p, y, confidence_level=level) for level in LEVELS]
    one = found[0]
    rounding = 1 + 1e-12
    assert one.ece.value <= one.rmsce.value * rounding <= one.mce.value * rounding**2 <= 1 * rounding**2
    assert int(one.table["count"].sum()) == len(rows)
    assert int(one.table["correct"].sum()) == int(y.sum())
    for narrow, wide in pairwise(found):
        for name in ("ece", "rmsce", "mce"):
            a, b = getattr(narrow, name), getattr(wide, name)
            assert 0 <= b.low <= a.low * rounding
            assert a.high <= b.high * rounding <= 1 * rounding**2


@given(x=scores.filter(lambda x: len(set(x)) > 1), seed=st.integers(0, 2**64 - 1))
def test_percentile_limits_lie_in_the_data_and_follow_the_seed(x: list[int], seed: int) -> None:
    boot, again = (sy.bootstrap(x, method="percentile", n_resamples=199, seed=seed) for _ in range(2))
    slack = 1e-12 * (max(x) - min(x))
    assert min(x) - slack <= boot.replicates.min() <= boot.low
    assert boot.low <= boot.high <= boot.replicates.max() <= max(x) + slack
    assert again == boot
    assert again.replicates.tobytes() == boot.replicates.tobytes()


# -- comparisons -------------------------------------------------------------------------------------------


def assert_mirrored(there: sy.uncertainty.Comparison, back: sy.uncertainty.Comparison) -> None:
    """What is won one way is lost the other way; only rounding may differ."""
    forth, turned = there.difference, back.difference
    close = {"rel_tol": 1e-12, "abs_tol": 1e-13}
    assert math.isclose(forth.value, -turned.value, **close)
    for a, b in ((forth.low, turned.high), (forth.high, turned.low)):
        assert (a is None) == (b is None)
        assert a is None or math.isclose(a, -b, **close)
    if forth.standard_error is None or turned.standard_error is None:
        assert forth.standard_error is turned.standard_error is forth.low
    else:
        assert forth.standard_error == pytest.approx(turned.standard_error, rel=1e-12, abs=1e-13)
    assert (there.wins, there.losses, there.ties) == (back.losses, back.wins, back.ties)


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=80))
def test_comparing_the_other_way_turns_the_sign_of_answers(rows: list[tuple[bool, bool]]) -> None:
    new, base = np.array(rows).T
    there, back = sy.compare(new, baseline=base), sy.compare(base, baseline=new)
    assert_mirrored(there, back)
    assert there.p_value == back.p_value
    assert there.wins + there.losses + there.ties == len(rows)


@given(st.lists(st.tuples(st.integers(-20, 20), st.integers(-20, 20)), min_size=3, max_size=30), st.booleans())
def test_comparing_the_other_way_turns_the_sign_of_scores(rows: list[tuple[int, int]], clustered: bool) -> None:
    new, base = np.array(rows).T / 8 + 0.5
    ids = np.arange(len(rows)) // 2 if clustered else None
    there, back = (sy.compare(a, baseline=b, clusters=ids) for a, b in ((new, base), (base, new)))
    assert_mirrored(there, back)
    assert there.p_value == back.p_value
    lower = sy.compare(new, baseline=base, clusters=ids, higher_is_better=False)
    assert (lower.wins, lower.losses, lower.ties) == (there.losses, there.wins, there.ties)
    assert lower.difference == there.difference


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=2, max_size=80))
def test_a_wider_margin_never_turns_a_model_worse(rows: list[tuple[bool, bool]]) -> None:
    new, base = np.array(rows).T
    diff = sy.compare(new, baseline=base)
    order = {"worse": 0, "undecided": 1, "not_worse": 2, "better": 3}
    verdicts = [order[str(diff.verdict(margin))] for margin in (0.0, 0.01, 0.1, 0.5, 0.99)]
    assert verdicts == sorted(verdicts)
    assert (verdicts[0] == 3) == (verdicts[-1] == 3) == (diff.difference.low is not None and diff.difference.low > 0)


# -- preferences and schedules -----------------------------------------------------------------------------


@given(hnp.arrays(np.float64, (4, 5), elements=st.integers(-400, 0)), st.integers(-64, 0))
def test_a_prompt_that_is_likelier_under_the_policy_changes_no_loss(columns: np.ndarray, shift: int) -> None:
    """DPO knows differences of log-probabilities alone: what both answers share cancels, here without rounding."""
    pc, pr, rc, rr = columns
    found = sy.preference_loss(pc, pr, rc, rr)
    assert sy.preference_loss(pc + shift, pr + shift, rc, rr).losses.tobytes() == found.losses.tobytes()
    assert sy.preference_loss(pc, pr, rc + shift, rr + shift).losses.tobytes() == found.losses.tobytes()
    assert np.array_equal(found.grad_chosen, -found.grad_rejected)


@given(st.integers(2, 400), st.data())
def test_a_schedule_rises_then_falls_between_its_rates(total: int, data: st.DataObject) -> None:
    warmup = data.draw(st.integers(0, total - 1))
    steps = np.arange(total + 5)
    for make in (sy.schedules.cosine, sy.schedules.linear):
        rates = make(0.5, total_steps=total, warmup_steps=warmup, end=0.125)(steps)
        assert (np.diff(rates[: warmup + 1]) >= 0).all()
        assert (np.diff(rates[warmup:]) <= 0).all()
        assert rates.max() == rates[max(warmup - 1, 0)] == 0.5
        assert (rates[total:] == 0.125).all()
        assert (rates > 0).all()
