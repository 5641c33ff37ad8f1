"""Bad input raises TypeError or ValueError with one short sentence: the argument, what was expected, what was given."""

from __future__ import annotations

import inspect
import pickle
import tempfile
from collections.abc import Callable
from decimal import Decimal
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import steelyard as sy
from steelyard._registries import names
from steelyard.calibration import ReliabilityState
from steelyard.errors import shown
from steelyard.optim import GlobalNormState, adamw_
from steelyard.preference import PreferenceState
from steelyard.records import read
from steelyard.report import build
from steelyard.tokens import KLBase, PerplexityState, TokenScores, TokenState
from steelyard.uncertainty import (
    BootstrapState,
    CompareState,
    ConfidenceSequenceState,
    EstimateState,
    QuantileState,
)

N = 12
X = np.arange(N) / 16 + 0.1
Y = X[::-1].copy()
BINARY = (np.arange(N) % 3 == 0).astype(np.float64)
KEEP = np.arange(N) % 4 != 0
GROUPS = np.arange(N) // 3
LOGITS = (np.arange(30.0) % 7).reshape(2, 3, 5)
TARGETS = np.arange(6).reshape(2, 3) % 5
# A sentence of another library's that came through.
FOREIGN = (
    "panick", "internal error", "argument '", "truth value", "cannot be interpreted", "cannot be converted", "could not be", "not an instance", "not iterable",
    "has no attribute", "takes ", "positional", "unhashable", "ufunc", "inhomogeneous", "0-dimensional",
)  # fmt: skip


class Call(NamedTuple):
    """A public call that works, for one argument at a time to be replaced."""

    name: str
    function: Callable[..., Any]
    arguments: dict[str, Any]


def _step(params: Any, grads: Any, **options: Any) -> Any:
    return sy.AdamW(params, **options).step(grads)


def _load(state: Any) -> None:
    sy.AdamW(np.zeros(N)).load_state_dict(state)


INTERVAL = {"confidence_level": 0.9, "alternative": "two-sided"}
ROWS = {"where": KEEP, "clusters": GROUPS, "nan_policy": "raise"}
LOGPROBS = {"policy_chosen": -X, "policy_rejected": -X - 1, "reference_chosen": -Y, "reference_rejected": -Y - 2}
ADAM = {"lr": 1e-3, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.01, "max_norm": 1.0, "nonfinite": "raise"}
RATES = {"lr": 1.0, "total_steps": 10, "warmup_steps": 2, "start": 0.0, "end": 0.0}

SCORED = sy.token_scores(
    np.arange(40.0).reshape(4, 2, 5) % 7, [[0, 1], [2, -100], [3, 4], [0, 2]],
    columns=("confidence", "correct", "entropy", "varentropy"),
)  # fmt: skip

BASE_LOGITS = np.cos(np.arange(2 * 3 * 5.0)).reshape(2, 3, 5).astype(np.float32)
WRITTEN = KLBase.write(f"{tempfile.mkdtemp()}/base.kld", BASE_LOGITS, np.arange(16).reshape(2, 8) % 5)

CALLS = [
    Call("estimate", sy.estimate, {"x": X, "statistic": "mean", **ROWS, **INTERVAL, "method": "t", "progress": False}),
    Call("estimate weights", sy.estimate, {"x": X, "where": KEEP, "weights": Y, "method": "t"}),
    Call("estimate in strata", sy.estimate, {"x": X, "where": KEEP, "strata": GROUPS // 2, "average": "macro"}),
    Call("estimate by", sy.estimate, {"x": X, "where": KEEP, "clusters": GROUPS, "by": GROUPS // 2}),
    Call("estimate judged", sy.estimate, {"x": X, "judge": Y, "judge_mean": 0.5, "clusters": GROUPS}),
    Call("compare judged", sy.compare, {"new": np.where(KEEP, X, np.nan), "baseline": Y, "judge": {"new": X, "baseline": Y}}),
    Call(
        "krippendorff_alpha",
        sy.uncertainty.krippendorff_alpha,
        {"ratings": {"a": X, "b": Y}, "metric": "ordinal", "where": KEEP, "clusters": GROUPS, **INTERVAL},
    ),
    Call(
        "ratings",
        sy.uncertainty.ratings,
        {
            "a": GROUPS, "b": GROUPS + 1, "outcome": GROUPS % 2, "where": KEEP, "clusters": GROUPS, "weights": Y, "prior": 1.0,
            "ties": "davidson", "scale": "log", "method": "bootstrap", "n_resamples": 99, "seed": 0, "confidence_level": 0.9,
        },
    ),
    Call("proportion", sy.proportion, {"k": 5, "n": 10, "method": "wilson", "test": 0.5, **INTERVAL}),
    Call("proportion of pairs", sy.proportion, {"k": 5, "n": 10, "baseline": (4, 10), "both": 3, "test": "exact"}),
    Call(
        "bootstrap",
        sy.bootstrap,
        {"x": X, "statistic": "mean", "where": KEEP, "method": "basic", "n_resamples": 99, "seed": 0, **INTERVAL},
    ),
    Call("bootstrap clusters", sy.bootstrap, {"x": X, "clusters": GROUPS, "n_resamples": 999, "method": "basic"}),
    Call(
        "compare",
        sy.compare,
        {"new": X, "baseline": Y, **ROWS, **INTERVAL, "higher_is_better": True, "adjust": "holm", "progress": False},
    ),
    Call("compare models", sy.compare, {"new": {"a": X, "b": BINARY}, "baseline": Y}),
    Call("verdict", sy.compare(X, baseline=Y).verdict, {"margin": 0.1}),
    Call(
        "reliability",
        sy.reliability,
        {"probs": X, "targets": KEEP, "n_bins": 5, "classes": None, "where": KEEP, **INTERVAL, "progress": False},
    ),
    Call("reliability weights", sy.reliability, {"probs": X, "targets": KEEP, "weights": Y}),
    Call("reliability of rows", sy.reliability, {"probs": np.full((N, 4), 0.25), "targets": np.arange(N) % 4}),
    Call("ReliabilityState", ReliabilityState, {"n_bins": 5, "classes": [0, 1], "nan_policy": "omit", **INTERVAL}),
    Call("ReliabilityState.merge", lambda other: ReliabilityState().merge(other), {"other": ReliabilityState()}),
    Call("ReliabilityState.from_bytes", ReliabilityState.from_bytes, {"data": ReliabilityState().to_bytes()}),
    Call("token_scores", sy.token_scores, {"logits": LOGITS, "targets": TARGETS, "ignore_index": -1, "columns": "all"}),
    Call(
        "token_scores of two models",
        sy.token_scores,
        {"logits": LOGITS, "targets": TARGETS, "baseline": LOGITS, "where": TARGETS >= 0, "columns": ("kl", "js"),
         "label_smoothing": 0.1, "progress": False},
    ),
    Call(
        "token_scores of transformed logits",
        sy.token_scores,
        {"logits": LOGITS, "targets": TARGETS, "bias": np.zeros(LOGITS.shape[-1]), "scale": 2.0, "softcap": 30.0,
         "temperature": 0.5},
    ),
    Call(
        "token_scores_from_hidden",
        sy.token_scores_from_hidden,
        {"hidden": LOGITS, "weight": np.ones((9, LOGITS.shape[-1])), "targets": TARGETS, "where": TARGETS >= 0,
         "columns": "entropy", "bias": np.zeros(9), "scale": 2.0, "softcap": 30.0, "temperature": 0.5,
         "label_smoothing": 0.1, "ignore_index": None, "progress": False},
    ),
    Call(
        "preference.kl",
        sy.preference.kl,
        {"policy": -X, "reference": -Y, "estimator": "k2"} | ROWS | INTERVAL,
    ),
    Call(
        "preference.unpaired_loss",
        sy.preference.unpaired_loss,
        {"policy": -X, "reference": -Y, "labels": BINARY > 0, "loss": "bco", "beta": 0.1, "shift": 0.5,
         "desirable_weight": 1.0, "undesirable_weight": 2.0} | ROWS | INTERVAL | {"gradients": True, "progress": False},
    ),
    Call(
        "preference.ranked_loss",
        sy.preference.ranked_loss,
        {"policy": LOGITS[0], "labels": LOGITS[1], "loss": "lipo", "beta": 0.1, "where": LOGITS[0] < 9,
         "nan_policy": "omit"} | INTERVAL | {"gradients": True, "progress": False},
    ),
    Call(
        "preference.reward_loss",
        sy.preference.reward_loss,
        {"chosen": X, "rejected": Y, "margin": X, "center": 0.5} | ROWS | INTERVAL | {"gradients": True, "progress": False},
    ),
    Call(
        "token_scores of a shard",
        sy.token_scores,
        {"logits": LOGITS, "targets": TARGETS, "vocabulary": range(3, 3 + LOGITS.shape[-1]), "columns": "entropy",
         "where": TARGETS >= 0, "ignore_index": -5},
    ),
    Call(
        "token_scores_from_hidden of a shard",
        sy.token_scores_from_hidden,
        {"hidden": LOGITS, "weight": np.ones((9, LOGITS.shape[-1])), "targets": TARGETS, "vocabulary": range(9)},
    ),
    Call(
        "TokenShard.merge",
        sy.token_scores(LOGITS, TARGETS, vocabulary=range(LOGITS.shape[-1])).merge,
        {"other": sy.token_scores(LOGITS, TARGETS, vocabulary=range(LOGITS.shape[-1], 2 * LOGITS.shape[-1]))},
    ),
    Call(
        "TokenShard.compute",
        sy.token_scores(LOGITS, TARGETS, vocabulary=range(LOGITS.shape[-1])).compute,
        {"n_vocab": LOGITS.shape[-1]},
    ),
    Call("KLBase.figures", WRITTEN.figures, {"scores": sy.token_scores(BASE_LOGITS, WRITTEN.targets, baseline=WRITTEN)}),
    Call("sketch", sy.tokens.sketch, {"logits": LOGITS, "k": 2, "where": TARGETS >= 0, "progress": False}),
    Call("Sketch.kl", sy.tokens.sketch(LOGITS, 2).kl, {"logits": LOGITS + 0.5, "progress": False}),
    Call("TokenScores.by", SCORED.by, {"documents": np.arange(SCORED.nll.shape[0]), "n_bytes": None, "share": 0.5}),
    Call(
        "reliability of tokens",
        sy.reliability,
        {"probs": SCORED, "where": SCORED.counted, "weights": None, "clusters": np.arange(SCORED.nll.shape[0])},
    ),
    Call("TokenScores", TokenScores, {"nll": X, "log_z": X, "counted": KEEP, "entropy": X}),
    Call("perplexity", sy.perplexity, {"x": X, **ROWS, "per": X, "unit": "nats", **INTERVAL, "progress": False}),
    Call("perplexity of rows", sy.perplexity, {"x": X.reshape(3, 4), "clusters": ["a", "b", "c"], "per": [1, 2, 3]}),
    Call("PerplexityState", PerplexityState, {"unit": "bits", "nan_policy": "omit", **INTERVAL}),
    Call(
        "PerplexityState.update",
        lambda **options: PerplexityState().update(**options).compute(),
        {"x": LOGITS, "targets": TARGETS, "where": TARGETS > 0, "clusters": ["a", "b"], "per": [1, 2], "progress": False},
    ),
    Call("PerplexityState.merge", lambda other: PerplexityState().merge(other), {"other": PerplexityState()}),
    Call("PerplexityState.from_bytes", PerplexityState.from_bytes, {"data": PerplexityState().to_bytes()}),
    Call(
        "TokenState",
        TokenState,
        {"columns": ("nll", "kl"), "ignore_index": -1, "scale": 2.0, "softcap": 30.0, "temperature": 0.5,
         "label_smoothing": 0.1, **INTERVAL},
    ),
    Call(
        "TokenState.update",
        lambda **options: TokenState(("nll", "kl")).update(**options).compute(),
        {"logits": LOGITS, "targets": TARGETS, "baseline": LOGITS + 0.5, "where": TARGETS > 0, "clusters": ["a", "b"],
         "progress": False},
    ),
    Call("TokenState.merge", lambda other: TokenState().merge(other), {"other": TokenState()}),
    Call("TokenState.from_bytes", TokenState.from_bytes, {"data": TokenState().to_bytes()}),
    Call(
        "windows",
        sy.tokens.windows,
        {"n_tokens": 100, "context": 16, "stride": 16, "bos": "replace", "score": 8, "convention": None},
    ),
    Call("windows by a convention", sy.tokens.windows, {"n_tokens": 100, "context": 16, "convention": "gptq"}),
    Call("a prompt", sy.tokens.windows(N, context=4, bos="every")[1].prompt, {"ids": np.arange(N), "bos_id": 1}),
    Call("EstimateState", EstimateState, {"method": "t", "average": "macro", "nan_policy": "omit", **INTERVAL}),
    Call(
        "EstimateState.update",
        lambda **options: EstimateState().update(**options).compute(),
        {"x": X, "where": KEEP, "clusters": [1, 2] * 6, "progress": False},
    ),
    Call(
        "EstimateState.update in strata",
        lambda **options: EstimateState(average="macro").update(**options).compute(),
        {"x": X, "where": KEEP, "clusters": np.arange(N), "weights": Y, "strata": ["a", "b"] * 6, "progress": False},
    ),
    Call("CompareState", CompareState, {"method": "tango", "test": "exact", "nan_policy": "omit", "higher_is_better": False, **INTERVAL}),
    Call(
        "CompareState.update",
        lambda **options: CompareState().update(**options).compute(),
        {"new": X, "baseline": X[::-1], "where": [True] * len(X), "clusters": ["a", "b", "c"] * 4, "progress": False},
    ),
    Call("CompareState.merge", lambda other: CompareState().merge(other), {"other": CompareState()}),
    Call("CompareState.from_bytes", CompareState.from_bytes, {"data": CompareState().to_bytes()}),
    Call("EstimateState.merge", lambda other: EstimateState().merge(other), {"other": EstimateState()}),
    Call(
        "ConfidenceSequenceState",
        ConfidenceSequenceState,
        {"bounds": (0.0, 2.0), "method": "betting", "nan_policy": "omit", "confidence_level": 0.9},
    ),
    Call(
        "ConfidenceSequenceState.update",
        lambda **options: ConfidenceSequenceState(bounds=(-9.0, 9.0)).update(**options).compute(),
        {"x": X, "baseline": Y, "where": KEEP, "progress": False},
    ),
    Call(
        "ConfidenceSequenceState.merge",
        lambda other: ConfidenceSequenceState().merge(other),
        {"other": ConfidenceSequenceState()},
    ),
    Call("ConfidenceSequenceState.from_bytes", ConfidenceSequenceState.from_bytes, {"data": ConfidenceSequenceState().to_bytes()}),
    Call("ConfidenceSequenceState.path", ConfidenceSequenceState().update(KEEP).path, {"times": [3, 12], "progress": False}),
    Call(
        "ConfidenceSequenceState.stop_when",
        ConfidenceSequenceState(bounds=(-1.0, 1.0)).update(KEEP).stop_when,
        {"width": 0.1, "verdict": ("better", "worse"), "margin": 0.1, "higher_is_better": True},
    ),
    Call(
        "confidence_sequence",
        sy.uncertainty.confidence_sequence,
        {"x": X, "baseline": Y, "bounds": (-9.0, 9.0), "method": "betting", "where": KEEP, "nan_policy": "raise",
         "confidence_level": 0.9, "progress": False},
    ),
    Call("EstimateState of another statistic", EstimateState, {"statistic": "std", "nan_policy": "omit", **INTERVAL}),
    Call(
        "BootstrapState",
        BootstrapState,
        {"statistic": "std", "n_resamples": 99, "seed": 3, "method": "basic", "nan_policy": "omit", **INTERVAL},
    ),
    Call(
        "BootstrapState.update",
        lambda **options: BootstrapState(n_resamples=99).update(**options).compute(),
        {"x": X, "where": KEEP, "clusters": np.arange(N), "progress": False},
    ),
    Call("QuantileState", QuantileState, {"q": 0.9, "nan_policy": "omit", **INTERVAL}),
    Call(
        "QuantileState.update",
        lambda **options: QuantileState().update(**options).compute(),
        {"x": X, "where": KEEP, "progress": False},
    ),
    Call("QuantileState.merge", lambda other: QuantileState().merge(other), {"other": QuantileState()}),
    Call("QuantileState.from_bytes", QuantileState.from_bytes, {"data": QuantileState().to_bytes()}),
    Call("BootstrapState.merge", lambda other: BootstrapState().merge(other), {"other": BootstrapState()}),
    Call("BootstrapState.from_bytes", BootstrapState.from_bytes, {"data": BootstrapState(n_resamples=2).to_bytes()}),
    Call("EstimateState.from_bytes", EstimateState.from_bytes, {"data": EstimateState().to_bytes()}),
    Call(
        "preference_loss",
        sy.preference_loss,
        {**LOGPROBS, "loss": "dpo", "beta": 0.1, "label_smoothing": 0.1, **ROWS, "confidence_level": 0.9,
         "gradients": True, "progress": False},
    ),
    Call(
        "preference.agreement",
        sy.preference.agreement,
        {"a": X, "b": Y, **ROWS, **INTERVAL},
    ),
    Call(
        "preference.length_controlled_accuracy",
        sy.preference.length_controlled_accuracy,
        {"margins": X, "lengths": (np.arange(N), np.arange(N)[::-1]), **ROWS, **INTERVAL},
    ),
    Call("preference.explain", sy.preference.explain, {"name": "ipo"}),
    Call(
        "PreferenceState",
        PreferenceState,
        {"loss": "sigmoid", "beta": 0.1, "convention": "trl", "divergence": "alpha", "alpha": 0.5, "nan_policy": "omit",
         **INTERVAL},
    ),
    Call(
        "PreferenceState.update",
        lambda **options: PreferenceState().update(**options).compute(),
        {**LOGPROBS, "where": KEEP, "clusters": [1, 2] * 6, "progress": False},
    ),
    Call("PreferenceState.merge", lambda other: PreferenceState().merge(other), {"other": PreferenceState()}),
    Call("PreferenceState.from_bytes", PreferenceState.from_bytes, {"data": PreferenceState().to_bytes()}),
    Call("AdamW", _step, {"params": X, "grads": Y, **ADAM, "maximize": False, "amsgrad": True}),
    Call("adamw_", adamw_, {"params": X, "grads": Y, "exp_avg": Y, "exp_avg_sq": Y, "step": 1, **ADAM}),
    Call("load_state_dict", _load, {"state": sy.AdamW(np.zeros(N)).state_dict()}),
    Call("global_norm", sy.global_norm, {"grads": X, "norm_type": 2.0, "nonfinite": "raise", "detail": False}),
    Call(
        "clip_by_global_norm_",
        sy.clip_by_global_norm_,
        {"grads": X, "max_norm": 1.0, "norm_type": 2.0, "norm": None, "nonfinite": "skip"},
    ),
    Call(
        "clip_by_block_norm_",
        sy.optim.clip_by_block_norm_,
        {"grads": X, "max_norm": 1.0, "norm_type": 2.0, "nonfinite": "skip"},
    ),
    Call("clip_by_value_", sy.optim.clip_by_value_, {"grads": X, "clip_value": 1.0, "nonfinite": "skip"}),
    Call(
        "adaptive_clip_",
        sy.optim.adaptive_clip_,
        {"grads": X, "params": X.copy(), "clip_factor": 1.0, "eps": 1.0, "axes": "timm", "nonfinite": "skip"},
    ),
    Call("GlobalNormState.update", lambda grads: GlobalNormState().update(grads), {"grads": X}),
    Call("GlobalNormState.merge", lambda other: GlobalNormState().merge(other), {"other": GlobalNormState()}),
    Call("GlobalNormState.from_bytes", GlobalNormState.from_bytes, {"data": GlobalNormState().to_bytes()}),
    Call("cosine", sy.schedules.cosine, RATES),
    Call("constant", sy.schedules.constant, {"lr": 1.0, "warmup_steps": 2, "start": 0.0}),
    Call("a schedule", sy.schedules.linear(1.0, total_steps=9), {"step": 3}),
    Call("from_dict", sy.schedules.Schedule.from_dict, {"fields": sy.schedules.constant(1.0).to_dict()}),
    Call("threads", sy.threads, {"n": 1}),
    Call("show_config", sy.show_config, {"mode": "dicts"}),
]  # fmt: skip
ARGUMENTS = [(call, argument) for call in CALLS for argument in call.arguments]


class Unshowable:
    def __repr__(self) -> str:
        raise RuntimeError("no")


class Unarrayable:
    def __array__(self, *_: object, **__: object) -> Any:
        raise RuntimeError("no")


def junk() -> dict[str, Any]:
    """Values that people pass by mistake, and stranger ones."""
    return {
        "None": None, "text": "abc", "empty text": "", "number text": "95", "bytes": b"abc", "True": True, "zero": 0,
        "negative": -1, "half": 0.5, "NaN": np.nan, "inf": np.inf, "complex": 1j, "huge": 2**70, "giant": 10**400,
        "vast": 10**5000, "decimal": Decimal("0.5"), "object": object(), "unshowable": Unshowable(),
        "unarrayable": Unarrayable(), "module": np, "slice": slice(None), "ellipsis": ...,
        "empty list": [], "ragged": [[1.0, 2.0], [3.0]], "nested": [[1.0, 2.0], [3.0, 4.0]], "nulls": [1.0, None] * 6,
        "texts": ["1.0"] * N, "mixed": [1, "a"] * 6, "text and NaN": ["a", np.nan] * 6, "surrogates": ["\ud800"] * N,
        "huge ints": [2**70] * N, "tuple of arrays": (X, Y), "range": range(N), "set": {1, 2},
        "generator": (i for i in range(N)), "empty dict": {}, "dict": {"a": X, "b": None}, "dict of ints": {1: X},
        "long list": list(range(1000)),
        "masked": np.ma.masked_array(X, mask=KEEP), "objects": X.astype(object), "big-endian": X.astype(">f8"),
        "float16": X.astype(np.float16), "complexes": X.astype(complex), "wide": X.astype(np.longdouble),
        "0-d": np.array(0.5), "reversed": X[::-1], "Fortran": np.asfortranarray(X.reshape(3, 4)),
        "broadcast": np.broadcast_to(np.float64(0.5), (N,)), "read-only": _read_only(X), "booleans": KEEP,
        "dates": np.array(["2020-01-01"] * N, "M8[D]"), "spans": np.array([1] * N, "m8[s]"),
        "records": np.zeros(N, [("a", "f8")]), "void": np.zeros(N, "V4"), "NaN inside": np.where(KEEP, X, np.nan),
        "all NaN": np.full(N, np.nan), "inf inside": np.where(KEEP, X, -np.inf), "overflowing": np.full(N, 1e308),
        "one": X[:1], "two": X[:2], "none": X[:0], "no rows": np.zeros((0, 5)), "no columns": np.zeros((N, 0)),
        "too long": np.arange(N + 1.0), "too deep": np.zeros((1,) * 5), "unsigned": np.full(N, 2**64 - 1, np.uint64),
        "unaligned": np.frombuffer(b"\0" + X.tobytes(), np.uint8)[1:].view(np.float64),
    }  # fmt: skip


def _read_only(x: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    copy = x.copy()
    copy.setflags(write=False)
    return copy


def _fresh(value: Any) -> Any:
    return value.copy() if type(value) is np.ndarray and value.flags.writeable else value


def call(of: Call, arguments: dict[str, Any]) -> object:
    """Call by keyword, positional-only parameters by position."""
    keywords = {name: _fresh(value) for name, value in arguments.items()}
    parameters = inspect.signature(of.function).parameters.values()
    first = [keywords.pop(p.name) for p in parameters if p.kind is p.POSITIONAL_ONLY and p.name in keywords]
    return of.function(*first, **keywords)


def check(of: Call, arguments: dict[str, Any]) -> str | None:
    """Call; the message, where it refused as it should. Any other exception is the test's failure."""
    try:
        result = call(of, arguments)
    except (TypeError, ValueError) as error:
        message = str(error)
        assert "\n" not in message
        assert len(message) < 500, message
        assert ": expected " in message, message
        assert not [words for words in FOREIGN if words in message], message
        return message
    assert isinstance(repr(result), str)
    return None


@pytest.mark.parametrize("of", CALLS, ids=lambda of: of.name)
def test_every_call_works_before_it_is_broken(of: Call) -> None:
    assert check(of, of.arguments) is None


@pytest.mark.parametrize(("of", "argument"), ARGUMENTS, ids=[f"{of.name}: {argument}" for of, argument in ARGUMENTS])
@pytest.mark.filterwarnings("ignore::steelyard.errors.SteelyardWarning")
def test_each_argument_refuses_junk_in_one_sentence(of: Call, argument: str) -> None:
    refused = [check(of, of.arguments | {argument: value}) for value in junk().values()]
    assert any(refused), "an argument that takes anything is not looked at"


@given(st.data())
def test_several_bad_arguments_get_one_sentence(data: st.DataObject) -> None:
    of = data.draw(st.sampled_from(CALLS))
    things = junk()
    spoilt = data.draw(st.dictionaries(st.sampled_from(sorted(of.arguments)), st.sampled_from(sorted(things))))
    check(of, of.arguments | {argument: things[key] for argument, key in spoilt.items()})


def _raises(error: type[Exception], start: str, function: Callable[[], object]) -> None:
    with pytest.raises(error) as raised:
        function()
    assert str(raised.value).startswith(start), str(raised.value)


BAD_LEVELS = [
    (0, ValueError, "got 0"), (1, ValueError, "got 1"), (2, ValueError, "got 2; pass 0.02"), (np.nan, ValueError, "got nan"),
    (95, ValueError, "got 95; pass 0.95"), ("95", TypeError, "got str '95'"), (True, TypeError, "got bool True"),
    (None, TypeError, "got None"),
]  # fmt: skip


@pytest.mark.parametrize(("level", "error", "got"), BAD_LEVELS)
@pytest.mark.parametrize("of", [of for of in CALLS if "confidence_level" in of.arguments], ids=lambda of: of.name)
def test_confidence_levels(of: Call, level: object, error: type[Exception], got: str) -> None:
    message = f"confidence_level: expected a number inside (0, 1); {got}"
    _raises(error, message, lambda: call(of, of.arguments | {"confidence_level": level}))


GOLDEN: list[tuple[type[Exception], str, Callable[[], object]]] = [
    (ValueError, "statistic: expected one of mean, ratio, sum, weighted_mean, geometric_mean, perplexity, variance, std, skewness, kurtosis, correlation, slope, rmse, r2, accuracy, precision, recall, f1, balanced_accuracy, mcc, kappa, brier, log_loss, bleu, chrf, chrf++, median, quantile, auc, gini; got 'mad'; use steelyard.bootstrap", lambda: sy.estimate(X, "mad")),
    (TypeError, "statistic: expected a name, such as 'mean' or 'median'; got float64 array of shape (12,)", lambda: sy.estimate(X, X)),
    (TypeError, "clusters: expected an array; got rows of unequal length", lambda: sy.estimate(X, clusters=[[1], 2])),
    (TypeError, "clusters: expected ids that are whole numbers below 2**63 or texts; got",
     lambda: sy.perplexity(X, clusters=[2**70] * N)),
    (ValueError, "clusters: expected an id for every row; got none at index 1",
     lambda: sy.estimate(X, clusters=["a", float("nan")] * 6)),
    (TypeError, "clusters: expected ids of one kind: numbers, texts, bytes or dates; got Python objects (int, str)",
     lambda: sy.estimate(X, clusters=[1, "1"] * 6)),
    (ValueError, "clusters: expected ids of valid Unicode; got '\\ud800'",
     lambda: sy.perplexity(X, clusters=["\ud800"] * N)),
    (TypeError, "n_bins: expected a whole number of bins; got str 'x'", lambda: sy.reliability(X, KEEP, n_bins="x")),
    (ValueError, "n_bins: expected a whole number of bins from 1 to 10000; got 1000000000",
     lambda: sy.reliability(X, KEEP, n_bins=10**9)),
    (ValueError, "classes: expected labels; got none at index 1", lambda: ReliabilityState(classes=[0.0, float("nan")])),
    (ValueError, "n_resamples: expected a whole number from 1 to", lambda: sy.bootstrap(X, n_resamples=10**12)),
    (ValueError, "n_resamples: expected a whole number from 1 to", lambda: sy.bootstrap(X, n_resamples=-1)),
    (TypeError, "seed: expected a whole number; got float 1.5", lambda: sy.bootstrap(X, seed=1.5)),
    (ValueError, "seed: expected a whole number from 0 to", lambda: sy.bootstrap(X, seed=2**64)),
    (TypeError, f"loss: expected one of {', '.join(names('preference.loss'))}; got None",
     lambda: sy.preference_loss(X, X, X, X, loss=None)),
    (TypeError, "gradients: expected True or False; got int 1", lambda: sy.preference_loss(X, X, X, X, gradients=1)),
    (TypeError, "label_smoothing: expected a number; got str '0.1'",
     lambda: sy.preference_loss(X, X, X, X, label_smoothing="0.1")),
    (TypeError, "lr: expected a number; got str '0.001'", lambda: sy.AdamW(X.copy(), lr="0.001")),
    (TypeError, "eps: expected a number; got bool True", lambda: sy.AdamW(X.copy(), eps=True)),
    (TypeError, "betas[1]: expected a number; got list [0.9]", lambda: sy.AdamW(X.copy(), betas=(0.9, [0.9]))),
    (TypeError, "amsgrad: expected True or False; got None", lambda: sy.AdamW(X.copy(), amsgrad=None)),
    (TypeError, "exp_avg: expected a NumPy array", lambda: adamw_(X.copy(), Y, None, Y.copy(), step=1)),
    (TypeError, "state: expected a mapping, as state_dict() returns; got int 3", lambda: _load(3)),
    (TypeError, "nll: expected an aligned float64 array; got list of 12", lambda: TokenScores(list(X), X, KEEP)),
    (ValueError, "log_z: expected the shape of nll, (12,); got shape (3,)", lambda: TokenScores(X, X[:3], KEEP)),
    (ValueError, "ignore_index: expected a whole number or None from",
     lambda: sy.token_scores(LOGITS, TARGETS, ignore_index=2**70)),
    (ValueError, "n: expected a whole number of threads from 1 to 65536; got 0", lambda: sy.threads(0)),
    (TypeError, "mode: expected one of stdout, dicts; got None", lambda: sy.show_config(None)),
    (TypeError, "data: expected bytes; got list", lambda: GlobalNormState.from_bytes([1])),
    (TypeError, "key: expected a name or a position; got list ['a']", lambda: sy.estimate({"a": X})[["a"]]),
]  # fmt: skip


@pytest.mark.parametrize(("error", "message", "function"), GOLDEN, ids=[message[:40] for _, message, _ in GOLDEN])
def test_golden_sentences(error: type[Exception], message: str, function: Callable[[], object]) -> None:
    _raises(error, message, function)


def test_a_rate_that_was_spoilt_later_is_refused_and_nothing_written() -> None:
    params = X.copy()
    optimizer = sy.AdamW(params)
    _raises(ValueError, "lr: expected a number that is at least 0; got -1.0", lambda: setattr(optimizer, "lr", -1.0))
    optimizer.lr = lambda step: -1.0
    _raises(ValueError, "lr: expected a number that is at least 0; got -1.0", lambda: optimizer.step(Y))
    assert params.tobytes() == X.tobytes()


STATES: list[Any] = [
    ReliabilityState(5).update(X, KEEP),
    PerplexityState().update(X.reshape(3, 4)),
    PerplexityState(unit="bits").update(X, clusters=["a", "b", "c"] * 4),
    GlobalNormState().update(X),
    EstimateState().update(X),
    EstimateState(method="t").update(X, clusters=["a", "b", "c"] * 4),
    ConfidenceSequenceState(method="beta-binomial").update(KEEP),
    EstimateState("std").update(X),
    EstimateState("ratio").update((X, X + 1.0), clusters=["a", "b", "c"] * 4),
    EstimateState().update(X, clusters=np.arange(N), weights=np.arange(N) + 0.5),
    EstimateState("std", average="macro").update(X, clusters=np.arange(N), strata=["a", "b"] * 6),
    BootstrapState(n_resamples=99).update(X + np.arange(N), first_row=0),
    QuantileState().update(X),
]


@pytest.mark.parametrize("state", STATES, ids=lambda state: type(state).__name__)
def test_states_add_up_copy_and_travel(state: Any) -> None:
    whole = sum([state, state, state])
    assert whole == state + state + state
    assert whole.compute() == (state.copy().merge(state).merge(state)).compute()
    before = state.to_bytes()
    copy = state.copy()
    copy.merge(copy)
    assert copy == state + state
    assert state.to_bytes() == before
    assert pickle.loads(pickle.dumps(state)) == state
    assert type(state).from_bytes(memoryview(before)) == state


@pytest.mark.parametrize("state", STATES, ids=lambda state: type(state).__name__)
def test_every_cut_and_a_sample_of_flipped_bits_are_refused(state: Any) -> None:
    data = state.to_bytes()
    damaged = [data[:end] for end in range(len(data))] + [data + b"\0"]
    for bit in range(0, 8 * len(data), 3):
        changed = bytearray(data)
        changed[bit // 8] ^= 1 << bit % 8
        damaged.append(bytes(changed))
    for found in damaged:
        _raises(ValueError, "data: expected ", lambda found=found: type(state).from_bytes(found))


@pytest.mark.parametrize("state", STATES, ids=lambda state: type(state).__name__)
def test_a_state_of_another_kind_is_named(state: Any) -> None:
    others = (
        ReliabilityState, PerplexityState, GlobalNormState, EstimateState, ConfidenceSequenceState, BootstrapState,
        QuantileState,
    )  # fmt: skip
    for other in others:
        if not isinstance(state, other):
            got = f"data: expected a {other.__name__}; got a {type(state).__name__}"
            _raises(ValueError, got, lambda other=other: other.from_bytes(state.to_bytes()))


def test_an_exception_of_progress_is_the_callers_and_changes_nothing() -> None:
    def stop(done: int, total: int) -> None:
        raise KeyError("mine")

    updates: list[tuple[Any, tuple[Any, ...]]] = [
        (ReliabilityState(5).update(X, KEEP), (X, KEEP)),
        (PerplexityState().update(X.reshape(3, 4)), (X.reshape(3, 4),)),
        (EstimateState().update(X), (X,)),
        (ConfidenceSequenceState().update(KEEP), (KEEP,)),
        (CompareState().update(X, X[::-1]), (X, X)),
    ]
    for state, data in updates:
        before = state.to_bytes()
        with pytest.raises(KeyError, match="mine"):
            state.update(*data, progress=stop)
        assert state.to_bytes() == before


def test_a_norm_beyond_the_largest_double_is_infinite() -> None:
    big = np.full(N, 1e308)
    assert GlobalNormState().update(big).compute() == sy.global_norm(big) == np.inf


def test_proportions_on_several_axes_are_shown_entry_by_entry() -> None:
    table = sy.proportion([[1, 2], [3, 4]], 10)
    assert [float(one) for one in table] == [0.1, 0.2, 0.3, 0.4]
    assert str(table).splitlines()[2] == "1, 0  0.30 [0.11, 0.60] (95 %, Wilson, n = 10)"


def test_a_pickled_optimizer_goes_on_with_its_own_arrays() -> None:
    optimizer = sy.AdamW({"w": X.copy()}, amsgrad=True)
    optimizer.step({"w": Y})
    twin = pickle.loads(pickle.dumps(optimizer))
    assert twin.step({"w": X}) == optimizer.step({"w": X})
    mine, its = optimizer.state_dict(), twin.state_dict()
    assert all(mine[key].tobytes() == its[key].tobytes() for key in mine)
    assert twin._params[0] is not optimizer._params[0]
    assert twin._params[0].tobytes() == optimizer._params[0].tobytes()


def test_a_report_of_what_is_no_run_is_refused() -> None:
    for thing in (None, [], "a.jsonl", X):
        _raises(TypeError, "runs: expected what steelyard.records.read returns; got ", lambda t=thing: build(t))
    for wrong in (3, "ab", True):
        _raises(TypeError, "names: expected a sequence of names", lambda n=wrong: read(__file__, names=n))


def test_what_came_is_said_in_a_few_words() -> None:
    assert shown(None) == "None"
    assert shown("x") == "str 'x'"
    assert shown([1] * 5) == "list of 5"
    assert shown(np.zeros((2, 3))) == "float64 array of shape (2, 3)"
