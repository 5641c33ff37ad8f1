"""The public interface: the names of each module, the keywords of calls, and the behaviour of results."""

from __future__ import annotations

import dataclasses
import inspect
import json
import pickle
import re
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard._progress import reporter
from steelyard._registries import names

TOP = {
    "AdamW", "global_norm", "clip_by_global_norm_", "schedules", "token_scores", "token_scores_from_hidden",
    "perplexity", "reliability", "estimate", "proportion", "bootstrap", "compare", "preference_loss", "scan", "Estimate", "threads",
    "show_config", "errors",
}  # fmt: skip
ROOMS = {
    "optim": {"adamw_", "StepInfo", "GlobalNormState"},
    "tokens": {
        "KLBase",
        "KLFigures",
        "Sketch",
        "TokenScores",
        "TokenGradients",
        "TokenShard",
        "PerplexityState",
        "TokenState",
        "Window",
        "Windows",
        "sketch",
        "tensors",
        "windows",
    },
    "calibration": {"Reliability", "ReliabilityState"},
    "uncertainty": {
        "CompareState",
        "Comparison",
        "Ranking",
        "Ratings",
        "BootstrapEstimate",
        "BootstrapState",
        "EstimateState",
        "ConfidenceSequenceState",
        "SequencePath",
        "confidence_sequence",
        "PowerAnalysis",
        "QuantileState",
        "krippendorff_alpha",
        "ratings",
    },
    "preference": {
        "AdaptiveKL",
        "Advantages",
        "Audit",
        "Explanation",
        "PolicyLoss",
        "PreferenceLoss",
        "PreferenceState",
        "RankedLoss",
        "RewardLoss",
        "UnpairedLoss",
        "advantages",
        "agreement",
        "audit",
        "explain",
        "kl",
        "length_controlled_accuracy",
        "penalised_reward",
        "policy_loss",
        "ranked_loss",
        "reward_loss",
        "unpaired_loss",
    },
}
# Names kept for capabilities that most calls of this release do not have.
LATER = {"strata", "by", "average", "max_t", "convention", "strategy", "mode"}
ROWS = {"where", "nan_policy"}
INTERVAL = {"confidence_level", "alternative"}
TAKES = {
    "estimate": ROWS | INTERVAL | {"clusters", "progress", "weights", "by", "strata", "average", "test"},
    "bootstrap": ROWS
    | INTERVAL
    | {
        "clusters",
        "progress",
        "weights",
        "by",
        "strata",
        "average",
        "blocks",
        "sampling",
        "method",
        "n_resamples",
        "seed",
    },
    "compare": ROWS
    | INTERVAL
    | {"statistic", "per", "clusters", "progress", "baseline", "by", "strata", "average", "paired", "method", "test"}
    | {"n_resamples", "judge", "sequential", "bounds"},
    "proportion": INTERVAL | {"method", "test", "baseline", "both"},
    "perplexity": ROWS | INTERVAL | {"clusters", "progress", "per", "unit", "by", "strata", "average"},
    "reliability": ROWS | INTERVAL | {"clusters", "progress", "n_bins", "classes", "weights", "by"},
    "preference_loss": ROWS
    | INTERVAL
    | {
        "clusters",
        "progress",
        "loss",
        "beta",
        "label_smoothing",
        "shift",
        "temperature",
        "gamma",
        "alpha",
        "sft",
        "lengths",
        "divergence",
        "convention",
        "margin",
        "weights",
        "columns",
        "dtype",
    },
    "token_scores": {
        "baseline",
        "ignore_index",
        "where",
        "columns",
        "bias",
        "scale",
        "softcap",
        "temperature",
        "label_smoothing",
        "vocabulary",
        "progress",
    },
    "token_scores_from_hidden": {"ignore_index", "where", "columns", "bias", "scale", "softcap", "temperature"}
    | {"label_smoothing", "vocabulary", "gradients", "progress"},
    "AdamW": {"lr", "betas", "eps", "weight_decay", "max_norm", "nonfinite", "maximize", "amsgrad", "convention"},
}

TAKES["estimate"] |= {"judge", "judge_mean"}


def test_every_name_stands_where_the_documentation_says() -> None:
    assert {name for name in sy.__all__ if name != "__version__"} == TOP | set(ROOMS)
    for room, wanted in ROOMS.items():
        module = getattr(sy, room)
        assert wanted <= set(module.__all__)
        here = {name for name in TOP if getattr(getattr(sy, name), "__module__", "").startswith(f"steelyard.{room}")}
        assert here <= set(module.__all__)


@pytest.mark.parametrize("name", TAKES)
def test_calls_take_the_shared_words_and_none_of_later(name: str) -> None:
    parameters = set(inspect.signature(getattr(sy, name)).parameters)
    assert parameters >= TAKES[name]
    assert parameters & LATER <= TAKES[name]


@pytest.mark.parametrize("call", [sy.estimate, sy.bootstrap])
def test_statistic_is_no_keyword_yet(call: Callable[..., Any]) -> None:
    with pytest.raises(TypeError, match="statistic"):
        call([1.0, 2.0, 4.0], statistic="mean")


@pytest.mark.parametrize("call", [sy.estimate, sy.bootstrap])
def test_the_mean_is_named_by_position(call: Callable[..., sy.Estimate]) -> None:
    x = [1.0, 2.0, 4.0, 9.0]
    assert call(x, "mean").value == 4.0
    known = ", ".join(names("uncertainty.statistic"))
    with pytest.raises(ValueError, match=re.escape(f"statistic: expected one of {known}; got 'mode'")):
        call(x, "mode")


# -- results ---------------------------------------------------------------------------------------------------


def _figures() -> sy.tokens.KLFigures:
    """llama.cpp's figures for a model against a file."""
    logits = np.sin(np.arange(2 * 8 * 5.0)).reshape(2, 8, 5).astype(np.float32)
    with tempfile.TemporaryDirectory() as folder:
        base = sy.tokens.KLBase.write(f"{folder}/base", logits, np.arange(16).reshape(2, 8) % 5)
        return base.figures(sy.token_scores(logits[:, 4:7].round(1), base.targets, baseline=base))


def results() -> dict[str, Any]:
    """One of each kind of result, of one problem and of many."""
    x, table = np.array([1.0, 2.0, 4.0, 9.0]), np.array([[1.0, 3.0], [2.0, 5.0], [4.0, 4.0], [9.0, 0.0]])
    pairs = ([-1.0, -2.0], [-2.0, -1.5], [-1.2, -2.0], [-2.0, -2.0])
    groups = [0, 0, 1, 1]
    return {
        "estimate": sy.estimate(x),
        "estimates": sy.estimate(table, clusters=groups),
        "judged": sy.estimate([*x, 3.0, *[np.nan] * 6], judge=np.arange(11) % 4),
        "agreement": sy.uncertainty.krippendorff_alpha(table, metric="interval"),
        "ratings": sy.uncertainty.ratings([1, 2, 3, 1], [2, 3, 1, 3], [1, 1, 1, 0.5], ties="davidson"),
        "resampled ratings": sy.uncertainty.ratings([1, 2] * 40, [2, 1] * 40, [1, 1, 1, 0] * 20, method="bootstrap"),
        "one cluster": sy.estimate(x, clusters=[0, 0, 0, 0]),
        "proportions": sy.proportion([1, 2], [3, 2]),
        "pairs of proportions": sy.proportion([1, 2], [3, 2], baseline=(1, [3, 2]), both=1),
        "bootstrap": sy.bootstrap(x, n_resamples=999),
        "bootstraps": sy.bootstrap(table, n_resamples=999),
        "comparison": sy.compare(x, baseline=x[::-1]),
        "comparisons": sy.compare(table, baseline=x),
        "samples": sy.compare(x, baseline=[1.0, 3.0], paired=False),
        "perplexities": sy.compare(table, baseline=table[::-1], statistic="perplexity"),
        "perplexity": sy.perplexity(table, clusters=groups),
        "infinite perplexity": sy.perplexity(np.array([[1.0, np.inf], [2.0, 3.0]])),
        "tokens": sy.token_scores(table.astype(np.float32), [0, 1, -100, 0]),
        "power": sy.uncertainty.power([100, 200], 0.05, discordance=0.2),
        "needed": sy.uncertainty.sample_size(0.5, pilot=x),
        "figures": _figures(),
        "sketch": sy.tokens.sketch(table.astype(np.float32), 1),
        "windows": sy.tokens.windows(100, context=16, stride=8),
        "window": sy.tokens.windows(100, context=16, stride=8, bos="first")[0],
        "reliability": sy.reliability([0.2, 0.8, 0.9], [0, 1, 1], n_bins=4),
        "preference": sy.preference_loss(*pairs),
        "preferences": sy.preference_loss(*pairs, beta=[0.1, 0.5]),
        "explanation": sy.preference.explain("ipo"),
        "columns of preferences": sy.preference_loss(*pairs, beta=[0.1, 0.5], columns=True),
        "answers": sy.preference.unpaired_loss(*pairs[:2], [True, False], kl=[0.5, 0.25]),
        "sorted answers": sy.preference.unpaired_loss(*pairs[:2], [True, False], loss="aot_unpaired"),
        "ranked answers": sy.preference.ranked_loss(table, labels=table[::-1]),
        "rewards": sy.preference.reward_loss([1.0, 0.5], [0.0, 1.0]),
        "policy loss": sy.preference.policy_loss(
            -table, -table[::-1], x, reference_logprob=-table, lengths=[1, 2, 2, 0], clusters=groups
        ),
        "advantages": sy.preference.advantages(x, groups=groups),
        "advantages of tokens": sy.preference.advantages(table, method="gae", values=table[::-1]),
        "schedule": sy.schedules.cosine(1.0, total_steps=4),
        "step": sy.AdamW(np.ones(2)).step(np.ones(2)),
    }


NAMES = list(results())


def arrays(value: Any) -> Iterator[np.ndarray]:
    """Every array of a result, inside dictionaries and other results too, and those that it worked out later."""
    if isinstance(value, np.ndarray):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from arrays(item)
    elif dataclasses.is_dataclass(value):
        for item in vars(value).values():
            yield from arrays(item)


@pytest.mark.parametrize("name", NAMES)
def test_results_are_frozen_and_their_arrays_read_only(name: str) -> None:
    result = results()[name]
    with pytest.raises(dataclasses.FrozenInstanceError):
        setattr(result, dataclasses.fields(result)[0].name, 0)
    assert [a.shape for a in arrays(result) if a.flags.writeable] == []


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("tokens", "sketch", "window", "step")])
def test_results_are_json_ready(name: str) -> None:
    plain = results()[name].to_dict()
    assert json.loads(json.dumps(plain, allow_nan=False)) == json.loads(json.dumps(plain))
    assert all(isinstance(key, str) for key in plain)


@pytest.mark.parametrize("name", NAMES)
def test_results_travel_between_processes(name: str) -> None:
    result = results()[name]
    again = pickle.loads(pickle.dumps(result))
    assert type(again) is type(result)
    assert [a.tobytes() for a in arrays(again)] == [a.tobytes() for a in arrays(result)]
    assert not any(a.flags.writeable for a in arrays(again))
    if hasattr(result, "to_dict"):
        assert again.to_dict() == result.to_dict()


@pytest.mark.parametrize("name", NAMES)
def test_equality_of_results_is_of_bits(name: str) -> None:
    result, again = results()[name], results()[name]
    assert result is not again
    assert result == again == pickle.loads(pickle.dumps(result))
    assert hash(result) == hash(again)
    assert [other for other, value in results().items() if value == result] == [name]


@pytest.mark.parametrize("name", [name for name in NAMES if name not in ("schedule", "step")])
def test_one_bit_makes_results_unequal(name: str) -> None:
    result = results()[name]
    for item in dataclasses.fields(result):
        value = getattr(result, item.name)
        if isinstance(value, np.ndarray):
            flipped = value.copy()
            flipped.view(np.uint8).flat[0] ^= 1
            assert dataclasses.replace(result, **{item.name: flipped}) != result, item.name
        elif isinstance(value, float):
            assert dataclasses.replace(result, **{item.name: np.nextafter(value, 9).item()}) != result, item.name


def test_preference_losses_differ_where_their_estimates_do() -> None:
    pairs = ([-1.0, -2.0, -1.1], [-2.0, -1.5, -1.0], [-1.2, -2.0, -1.0], [-2.0, -2.0, -1.0])
    made = [sy.preference_loss(*pairs, **o) for o in ({}, {"clusters": [1, 1, 2]}, {"confidence_level": 0.9})]
    assert len(set(made)) == 3


def test_a_result_keeps_what_the_caller_changes_later() -> None:
    left_out = {"nan": 1}
    e = sy.Estimate(value=1.0, left_out=left_out)
    left_out["nan"] = 2
    assert e.left_out == {"nan": 1}


def test_one_cluster_is_singular() -> None:
    assert "1 cluster, no interval" in str(sy.estimate([1.0, 2.0], clusters=[7, 7]))
    assert "2 clusters" in str(sy.estimate([1.0, 2.0], clusters=[7, 8]))


def test_the_reference_can_be_read_without_another_import() -> None:
    assert callable(sy.reference.tokens.token_scores)


# -- docstrings ------------------------------------------------------------------------------------------------


def documented() -> Iterator[tuple[str, Any]]:
    for room in ROOMS:
        module = getattr(sy, room)
        for name in module.__all__:
            value = getattr(module, name)
            if inspect.ismodule(value):
                yield from ((f"{name}.{inner}", getattr(value, inner)) for inner in value.__all__)
            else:
                yield name, value


PUBLIC = dict(documented())


@pytest.mark.parametrize(("name", "value"), PUBLIC.items(), ids=list(PUBLIC))
def test_a_docstring_has_its_parts(name: str, value: Any) -> None:
    text = inspect.getdoc(value) or ""
    sections = ["Examples"]
    if inspect.isfunction(value):
        sections += ["Parameters", "Returns", "Raises"]
        # Every argument is described.
        lines = text.splitlines()
        described = {word.strip("* ") for line in lines if " : " in line for word in line.split(" : ")[0].split(",")}
        described |= {word.strip() for line in lines if not line.startswith(" ") for word in line.split(",")}
        assert set(inspect.signature(value).parameters) <= described
    elif not name.endswith("State"):
        sections += ["Parameters" if name in ("AdamW", "AutoClip", "ZClip") else "Attributes"]
    assert [section for section in sections if f"{section}\n---" not in text] == []


def test_progress_is_a_line_that_fills(capsys: pytest.CaptureFixture[str]) -> None:
    tell = reporter(True)
    assert tell is not None
    for done in (0, 10, 40):
        tell(done, 40)
    tell(0, 0)
    bars = [
        f"\r[{'#' * n}{' ' * (30 - n)}] {share}" for n, share in ((0, "  0%"), (7, " 25%"), (30, "100%"), (30, "100%"))
    ]
    assert capsys.readouterr().err == f"{bars[0]}{bars[1]}{bars[2]}\n{bars[3]}\n"
