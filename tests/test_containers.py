"""One rule for every container: the same values give the same answer, or are refused in the same sentence.

A list of Python's with None in it is what the others are held against.
"""

from __future__ import annotations

import datetime
import inspect
from collections.abc import Callable
from operator import attrgetter
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import steelyard as sy

Values = list[Any]
Build = Callable[[Values], Any]


def library(name: str) -> Any:
    return pytest.importorskip(name, reason=f"{name} comes with the dev extra")


def kind_of(values: Values) -> type:
    """The type of a list's values; of nothing but None, float."""
    return next((type(value) for value in values if value is not None), float)


def filled(values: Values, blank: Any = None) -> Values:
    zero = {int: 0, bool: False, float: 0.0, str: "", datetime.date: datetime.date(2020, 1, 1)}[kind_of(values)]
    return [(zero if blank is None else blank) if value is None else value for value in values]


def objects(values: Values) -> np.ndarray:
    return np.fromiter(values, object, len(values))


def masked(values: Values) -> Any:
    return np.ma.array(filled(values), mask=[value is None for value in values])


def pandas_nullable(values: Values) -> Any:
    pd = library("pandas")
    names = {int: "Int64", bool: "boolean", float: "Float64", str: "string", datetime.date: object}
    return pd.Series(values, dtype=names[kind_of(values)])


def pandas_objects(values: Values) -> Any:
    pd = library("pandas")
    return pd.Series([pd.NA if value is None else value for value in values], dtype=object)


def pandas_categories(values: Values) -> Any:
    return library("pandas").Series(values, dtype="category")


def pandas_arrow(values: Values) -> Any:
    pd, pa = library("pandas"), library("pyarrow")
    return pd.Series(values, dtype=pd.ArrowDtype(arrow_type(pa, values)))


def arrow_type(pa: Any, values: Values) -> Any:
    types = {int: pa.int64(), bool: pa.bool_(), float: pa.float64(), str: pa.string(), datetime.date: pa.date32()}
    return types[kind_of(values)]


def polars(values: Values) -> Any:
    pl = library("polars")
    types = {int: pl.Int64, bool: pl.Boolean, float: pl.Float64, str: pl.String, datetime.date: pl.Date}
    return pl.Series(values, dtype=types[kind_of(values)])


def native(values: Values) -> Any:
    """NumPy's own array, which has a place for what is missing among floats alone."""
    if None in values and not any(type(value) is float for value in values):
        return objects(values)
    return np.array(values, kind_of(values) if kind_of(values) in (int, bool, float) else None)


def tensor(values: Values) -> Any:
    torch = pytest.importorskip("torch", reason="torch is not installed: its tensors are not tried")
    held = native(values)
    return torch.from_numpy(held) if held.dtype.kind in "ibf" else held


def arrow(values: Values) -> Any:
    pa = library("pyarrow")
    return pa.array(values, arrow_type(pa, values))


def arrow_slice(values: Values) -> Any:
    """Bits that do not begin with a byte, and values that do not begin with the buffer."""
    other = filled([value for value in values if value is not None][:1] or [0.5])
    return arrow([*other * 3, None, *values, None])[4:-1]


def arrow_chunks(values: Values) -> Any:
    pa = library("pyarrow")
    cut = len(values) // 2
    return pa.chunked_array([arrow_slice(values)[:cut], arrow(values)[cut:]], arrow_type(pa, values))


CONTAINERS: dict[str, Build] = {
    build.__name__: build
    for build in (
        native, objects, masked, tensor, pandas_nullable, pandas_objects, pandas_categories, pandas_arrow, polars, arrow, arrow_slice,
        arrow_chunks,
    )
}  # fmt: skip


def answer(call: Callable[[Any], Any], argument: Any) -> str:
    """What a call says: every number of its result, or its refusal."""
    try:
        return repr(call(argument))
    except (TypeError, ValueError) as error:
        return f"{type(error).__name__}: {error}"


def estimate(e: Any) -> tuple[Any, ...]:
    plain = [v.tolist() if isinstance(v, np.ndarray) else v for v in (e.value, e.low, e.high, e.n)]
    return (*plain, e.n_clusters, e.reason, dict(e.left_out))


BINARY = st.sampled_from([0, 1])
N = 6
X = [0.25, 1.0, 0.5, 4.0, 0.125, 2.0]
LOGP = [-1.0, -2.5, -3.0, -0.5, -4.0, -1.5]
NULLS = ("raise", "omit")
P = [0.5, 0.25, 0.75, 0.875, 0.125, 1.0]
WHOLE = st.integers(-3, 3)
BITS = st.booleans()
SHARES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])
NUMBERS = st.sampled_from([-1.5, 0.0, 0.25, 1.0, 3.0])
DAYS = st.dates(datetime.date(2024, 1, 1), datetime.date(2024, 1, 4))
TEXTS = st.sampled_from(["a", "b", "ab", ""])
IDS = st.sampled_from([-(2**62) - 1, 2**53, 2**53 + 1, 7, 8])


def groups(e: Any) -> tuple[Any, ...]:
    return e.names, [estimate(one) for one in e]


def reliability(r: Any) -> tuple[Any, ...]:
    return estimate(r.ece), r.table["count"].tolist(), r.left_out


def one_of(*kinds: Any) -> Any:
    """A column of one kind, with gaps."""
    return st.one_of(*(st.lists(st.none() | kind, min_size=N, max_size=N) for kind in kinds))


def state(kind: Any, x: Any, nan_policy: str = "raise", **rows: Any) -> tuple[Any, ...]:
    return estimate(kind(nan_policy=nan_policy).update(x, **rows).compute())


def difference(x: Any, **options: Any) -> tuple[Any, ...]:
    return estimate(sy.compare(x, baseline=X[::-1], **options).difference)


def loss(x: Any, **options: Any) -> tuple[Any, ...]:
    return estimate(sy.preference_loss(x, LOGP[::-1], LOGP, LOGP, **options).loss)


# The calls that take rows: what their values may be, values that have no gaps, and the call.
CALLS: dict[str, tuple[Any, Values, Callable[..., Any]]] = {
    "estimate": (one_of(WHOLE, BITS, NUMBERS), X, lambda x, **o: estimate(sy.estimate(x, **o))),
    "estimate by": (one_of(NUMBERS), X, lambda x, **o: groups(sy.estimate(x, **{"by": [1, 2, 1] * 2, **o}))),
    "EstimateState": (one_of(NUMBERS), X, lambda x, **o: state(sy.uncertainty.EstimateState, x, **o)),
    "EstimateState in clusters": (
        one_of(NUMBERS), X, lambda x, **o: state(sy.uncertainty.EstimateState, x, **{"clusters": list(range(6)), **o}),
    ),
    "uncertainty.confidence_sequence": (
        one_of(BITS, SHARES), P, lambda x, **o: estimate(sy.uncertainty.confidence_sequence(x, **o)),
    ),
    "bootstrap": (one_of(NUMBERS), X, lambda x, **o: estimate(sy.bootstrap(x, n_resamples=99, method="basic", **o))),
    "bootstrap by": (
        one_of(NUMBERS),
        X,
        lambda x, **o: groups(sy.bootstrap(x, n_resamples=99, method="basic", **{"by": [1, 2, 1] * 2, **o})),
    ),
    "compare": (one_of(NUMBERS), X, difference),
    "reliability": (one_of(SHARES), P, lambda p, **o: reliability(sy.reliability(p, [0, 1] * 3, **o))),
    "reliability by": (
        one_of(SHARES),
        P,
        lambda p, **o: {
            name: reliability(one) for name, one in sy.reliability(p, [0, 1] * 3, **{"by": [1, 2, 1] * 2, **o}).items()
        },
    ),
    "perplexity": (
        one_of(st.sampled_from([0.0, 0.5, 3.0])), X, lambda x, **o: estimate(sy.perplexity(x, **{"clusters": [0, 1] * 3, **o})),
    ),
    "preference_loss": (one_of(st.sampled_from([-1.0, -2.5, 0.0])), LOGP, loss),
    "preference.reward_loss": (
        one_of(NUMBERS), X, lambda x, **o: estimate(sy.preference.reward_loss(x, X[::-1], **o).loss),
    ),
}  # fmt: skip
# What may stand in a row word, and the calls that know it.
NAMES = one_of(IDS, TEXTS, DAYS)
WORDS: dict[str, tuple[Any, tuple[str, ...]]] = {
    "where": (one_of(BITS), tuple(CALLS)),
    "clusters": (NAMES, tuple(name for name in CALLS if name != "uncertainty.confidence_sequence")),
    "weights": (
        one_of(st.sampled_from([0.0, 0.5, 1.0, 2.0])),
        (
            "estimate",
            "estimate by",
            "EstimateState in clusters",
            "bootstrap",
            "bootstrap by",
            "reliability",
            "reliability by",
            "preference_loss",
        ),
    ),
    "by": (NAMES, ("estimate by", "bootstrap by", "compare", "perplexity", "reliability by")),
    "strata": (NAMES, ("estimate", "EstimateState in clusters", "bootstrap", "compare", "perplexity")),
    "judge": (one_of(NUMBERS), ("estimate", "compare")),
}


@pytest.mark.parametrize("name", CALLS)
def test_every_row_word_of_a_call_is_tried(name: str) -> None:
    function = name.partition(" ")[0]
    call = sy.uncertainty.EstimateState.update if function == "EstimateState" else attrgetter(function)(sy)
    known = set(WORDS) & set(inspect.signature(call).parameters)
    assert known == {word for word, (_, names) in WORDS.items() if function in {one.partition(" ")[0] for one in names}}


def by_word(call: Callable[..., Any], values: Values, word: str) -> Callable[..., Any]:
    return lambda column, nan: call(values, **{word: column}, nan_policy=nan)


def by_value(call: Callable[..., Any]) -> Callable[..., Any]:
    return lambda x, nan: call(x, nan_policy=nan)


# Each argument of each call that takes a column: what it may hold, and the call.
ARGUMENTS: dict[str, tuple[Any, Callable[..., Any]]] = {
    **{f"{name} x": (kinds, by_value(call)) for name, (kinds, _, call) in CALLS.items()},
    **{
        f"{name} {word}": (kinds, by_word(CALLS[name][2], CALLS[name][1], word))
        for word, (kinds, names) in WORDS.items()
        for name in names
    },
    "estimate texts and dates": (one_of(TEXTS, DAYS), lambda x, nan: estimate(sy.estimate(x, nan_policy=nan))),
    "estimate clusters of rows that count": (
        NAMES, lambda c, nan: estimate(sy.estimate(X, clusters=c, where=[v is not None for v in listed(c)])),
    ),
    "compare baseline": (one_of(BITS), lambda x, nan: estimate(sy.compare([0, 1] * 3, baseline=x, nan_policy=nan).difference)),
    "a column of a mapping": (one_of(NUMBERS), lambda x, nan: difference({"a": x, "b": X}, nan_policy=nan)),
    "reliability targets": (one_of(BINARY), lambda t, nan: reliability(sy.reliability(P, t, nan_policy=nan))),
    "reliability targets of bools": (one_of(BITS), lambda t, nan: reliability(sy.reliability(P, t, nan_policy=nan))),
    "reliability targets with classes": (
        one_of(st.sampled_from(["no", "yes"])),
        lambda t, nan: reliability(sy.reliability(P, t, classes=["no", "yes"], nan_policy=nan)),
    ),
    "reliability classes": (
        one_of(st.sampled_from(["no", "yes"])),
        lambda k, nan: reliability(sy.reliability(P, ["no", "yes"] * 3, classes=k[:2], nan_policy=nan)),
    ),
    "perplexity per": (one_of(st.sampled_from([1, 2, 5])), lambda n, nan: estimate(sy.perplexity(X, per=n, clusters=[0, 1] * 3))),
    "token_scores targets": (one_of(BINARY), lambda t, nan: sy.token_scores(np.eye(6)[:, :2], t).nll.tolist()),
    "labels beside a judge": (
        one_of(NUMBERS), lambda x, nan: estimate(sy.estimate(x, judge=X, nan_policy=nan)),
    ),
    "ratings outcome": (
        one_of(st.sampled_from([0.0, 0.5, 1.0])),
        lambda x, nan: sy.uncertainty.ratings([1, 2, 3] * 2, [2, 3, 1] * 2, x, prior=1.0).rating.tolist(),
    ),
    "krippendorff_alpha": (
        one_of(NUMBERS), lambda x, nan: estimate(sy.uncertainty.krippendorff_alpha({"a": x, "b": X}, metric="interval")),
    ),
    "proportion k": (one_of(st.integers(0, 4)), lambda k, nan: estimate(sy.proportion(k, 3))),
    "proportion test": (one_of(st.sampled_from([0.25, 0.5])), lambda p, nan: sy.proportion(2, 3, test=p).detail["p_value"].tolist()),
    "proportion both": (one_of(st.integers(0, 3)), lambda b, nan: estimate(sy.proportion(3, 6, baseline=(3, 6), both=b))),
    "proportion baseline": (one_of(st.integers(0, 4)), lambda k, nan: estimate(sy.proportion(3, 6, baseline=(k, 6)))),
    "proportion n": (one_of(st.integers(1, 4)), lambda n, nan: estimate(sy.proportion(2, n))),
    "preference_loss policy_rejected": (
        one_of(st.sampled_from([-1.0, -2.5, 0.0])),
        lambda c, nan: estimate(sy.preference_loss(LOGP, c, LOGP, LOGP[::-1], nan_policy=nan).loss),
    ),
    "preference.agreement a": (
        one_of(st.sampled_from([-1.0, 0.5, 0.0])),
        lambda c, nan: estimate(sy.preference.agreement(c, np.arange(6) - 2.5, nan_policy=nan)),
    ),
    "preference.length_controlled_accuracy lengths": (
        one_of(st.sampled_from([3, 5])),
        lambda c, nan: estimate(sy.preference.length_controlled_accuracy(np.arange(6) - 2.5, (c, [3] * 6))),
    ),
    "PreferenceState policy_chosen": (
        one_of(st.sampled_from([-1.0, -2.5, 0.0])),
        lambda c, nan: estimate(sy.preference.PreferenceState(nan_policy=nan).update(c, LOGP, LOGP, LOGP[::-1]).compute()["loss"]),
    ),
    "unpaired_loss policy": (
        one_of(st.sampled_from([-1.0, -2.5, 0.0])),
        lambda p, nan: estimate(sy.preference.unpaired_loss(p, LOGP, [True, False] * 3, kl=0, nan_policy=nan).loss),
    ),
    "unpaired_loss labels": (
        one_of(BITS),
        lambda good, nan: sy.preference.unpaired_loss(LOGP, LOGP[::-1], good, loss="bco").losses.tolist(),
    ),
    "unpaired_loss kl": (
        one_of(NUMBERS),
        lambda kl, nan: sy.preference.unpaired_loss(LOGP, LOGP, [True, False] * 3, kl=kl, nan_policy=nan).losses.tolist(),
    ),
    "reward_loss margin": (
        one_of(NUMBERS), lambda m, nan: estimate(sy.preference.reward_loss(X, X[::-1], margin=m, nan_policy=nan).loss),
    ),
    "preference_loss margin": (
        one_of(NUMBERS), lambda m, nan: sy.preference_loss(LOGP, LOGP[::-1], LOGP, LOGP, margin=m, nan_policy=nan).losses.tolist(),
    ),
    "preference_loss beta": (
        one_of(st.sampled_from([0.5, 1.0])), lambda b, nan: np.ravel(sy.preference_loss(LOGP, LOGP[::-1], LOGP, LOGP, beta=b).loss.value).tolist(),
    ),
}  # fmt: skip


def listed(column: Any) -> Values:
    """A column's values with None for what is missing, by the libraries' own hands."""
    pd = library("pandas")
    values = (
        column.tolist() if hasattr(column, "tolist") else column.to_pylist() if hasattr(column, "to_pylist") else column
    )
    return [None if v is None or pd.isna(v) else v for v in values]


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("argument", ARGUMENTS)
@settings(deadline=None, max_examples=15, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_the_same_values_get_the_same_answer(container: str, argument: str, data: st.DataObject) -> None:
    kinds, call = ARGUMENTS[argument]
    values = data.draw(kinds)
    held = CONTAINERS[container](values)
    for nan in NULLS:
        got, want = answer(lambda x, nan=nan: call(x, nan), held), answer(lambda x, nan=nan: call(x, nan), values)
        assert got == want


@pytest.mark.parametrize("name", CALLS)
@settings(deadline=None, max_examples=30)
@given(data=st.data())
def test_a_row_that_is_missing_counts_as_if_where_left_it_out(name: str, data: st.DataObject) -> None:
    kinds, _, call = CALLS[name]
    values = data.draw(kinds)
    here = [value is not None for value in values]
    words = {"clusters": data.draw(st.none() | NAMES)}
    words["weights"] = data.draw(st.none() | st.just([1.0, 2.0, 0.5] * 2)) if name in WORDS["weights"][1] else None
    if words["weights"] is not None:
        words["weights"] = [w if is_here else None for w, is_here in zip(words["weights"], here, strict=True)]
    words["by"] = data.draw(NAMES) if name.endswith(" by") else None
    given = {word: column for word, column in words.items() if column is not None}
    for column in given.values():
        first = next((value for value in column if value is not None), 1)
        column[:] = [first if value is None and is_here else value for value, is_here in zip(column, here, strict=True)]
    got, want = (
        answer(lambda x: call(x, **given, nan_policy="omit"), values),
        answer(lambda x: call(x, **given, where=here), values),
    )
    if "a row that counts in every group" not in got:  # where= drops a group, omit refuses to lose one
        assert got == want.replace("'where'", "'nan'").replace(" where)", " nan)")
