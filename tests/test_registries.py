"""The registries of named variants: defined once in the core, and repeated correctly everywhere else."""

from __future__ import annotations

import inspect
import re
from pathlib import Path
from typing import Any, get_args

import pytest

import steelyard as sy
import steelyard.reference.optim
import steelyard.reference.preference
import steelyard.reference.preference_sets
import steelyard.reference.schedules
import steelyard.reference.tokens
from steelyard import _options, reference
from steelyard._registries import REGISTRIES, Parameter
from steelyard._strata import Average
from steelyard.optim import schedules
from steelyard.optim.options import WeightDecay
from steelyard.optim.schedules import schedule
from steelyard.preference import losses, ranked, unpaired
from steelyard.preference.policy import Estimator
from steelyard.preference.policy import Loss as PolicyLossName
from steelyard.tokens import _asked
from steelyard.tokens.perplexity import Unit
from steelyard.uncertainty._statistics import Statistic
from steelyard.uncertainty.blocks import Kind
from steelyard.uncertainty.sampling import Sampling
from steelyard.uncertainty.sequences import Method

ROOT = Path(__file__).parents[1]
# The Literal that type checkers see for a table.
LITERALS: dict[str, Any] = {
    "bootstrap.blocks": Kind,
    "bootstrap.sampling": Sampling,
    "interval.alternative": _options.Alternative,
    "optim.decay": WeightDecay,
    "perplexity.unit": Unit,
    "preference.policy.kl_estimator": Estimator,
    "preference.policy.loss": PolicyLossName,
    "preference.divergence": losses.Divergence,
    "preference.loss": losses.Loss,
    "preference.ranked.loss": ranked.Loss,
    "preference.unpaired.loss": unpaired.Loss,
    "schedule.curve": schedule.Curve,
    "schedule.interpolate": schedule.Interpolate,
    "schedule.shape": schedule.Shape,
    "schedule.warmup": schedule.Warmup,
    "sequence.method": Method,
    "strata.average": Average,
    "tokens.columns": _asked.Column,
    "tokens.pair_columns": _asked.PairColumn,
    "uncertainty.statistic": Statistic,
}
# The public call that takes the name, whose docstring must tell every variant.
DOCSTRINGS: dict[str, Any] = {
    "adjust.method": sy.uncertainty.adjust,
    "answers.test": sy.compare,
    "bootstrap.blocks": sy.bootstrap,
    "bootstrap.method": sy.bootstrap,
    "bootstrap.sampling": sy.bootstrap,
    "cluster.method": sy.estimate,
    "independence.test": sy.estimate,
    "interval.alternative": sy.estimate,
    "multinomial.method": sy.proportion,
    "optim.decay": sy.AdamW,
    "paired.method": sy.compare,
    "perplexity.unit": sy.perplexity,
    "preference.policy.kl_estimator": sy.preference.policy_loss,
    "preference.policy.loss": sy.preference.policy_loss,
    "preference.divergence": sy.preference_loss,
    "preference.loss": sy.preference_loss,
    "preference.ranked.loss": sy.preference.ranked_loss,
    "preference.unpaired.loss": sy.preference.unpaired_loss,
    "proportion.method": sy.proportion,
    "schedule.curve": schedules.wsd,
    "schedule.interpolate": schedules.piecewise,
    "schedule.shape": schedules.Schedule,
    "schedule.warmup": schedules.Schedule,
    "scores.test": sy.compare,
    "sequence.method": sy.uncertainty.confidence_sequence,
    "strata.average": sy.estimate,
    "tokens.columns": sy.token_scores,
    "tokens.pair_columns": sy.token_scores,
    "uncertainty.statistic": sy.bootstrap,
    "unpaired.method": sy.compare,
}
# Parameters that a keyword takes together: `clip=(low, high)`.
TOGETHER = {"clip_low": "clip", "clip_high": "clip"}
# Tables whose names do not leave the core: what the binding tells a kernel.
INNER = {"optim.rule", "proportion.test", "scores.range", "tokens.folds"}


def test_every_table_of_the_source_is_listed() -> None:
    """``named!`` in the kernels' source and the list in ``registries.rs`` name the same tables."""
    found = set()
    for path in (ROOT / "rust/kernels/src").rglob("*.rs"):
        code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("//"))
        found |= set(re.findall(r'enum \w+: "([\w.]+)" \{', code))
    assert found == set(REGISTRIES)
    assert found


@pytest.mark.parametrize("key", sorted(set(REGISTRIES) - INNER))
def test_docstrings_tell_every_variant(key: str) -> None:
    document = DOCSTRINGS[key].__doc__
    missing = [name for name in REGISTRIES[key] if f'"{name}"' not in document]
    assert not missing


@pytest.mark.parametrize("key", sorted(LITERALS))
def test_literals_are_the_names(key: str) -> None:
    assert get_args(LITERALS[key]) == tuple(REGISTRIES[key])


@pytest.mark.parametrize("key", sorted(LITERALS))
def test_parameters_are_keywords_of_the_call(key: str) -> None:
    """Each by its name, with the default of the table; ``None`` where only some of the variants take it."""
    for variant in REGISTRIES[key].values():
        # What takes a number is made by a function of its name: `bootstrap(x, quantile(0.9))`.
        own = key in ("uncertainty.statistic", "bootstrap.sampling") and variant.parameters
        call = inspect.signature(getattr(sy.uncertainty, variant.name) if own else DOCSTRINGS[key]).parameters
        for parameter in variant.parameters.values():
            name = TOGETHER.get(parameter.name, parameter.name)
            default = None if call[name].default is inspect.Parameter.empty else call[name].default
            must_be_said = parameter.default is None and default is not None and not parameter.allows(default)
            assert must_be_said or default in (parameter.default, None), (variant.name, name)


def test_a_range_knows_its_ends() -> None:
    rate = Parameter("rate", 0.0, True, 0.5, False, 0.0)
    assert rate.expected == "a number that is at least 0 and below 0.5"
    assert rate.allows(0.0)
    assert not rate.allows(0.5)
    assert not rate.allows(-0.1)
    assert Parameter("beta", 0.0, False, float("inf"), False, 0.1).expected == "a number that is above 0 and finite"


def test_a_parameter_is_checked_against_the_table() -> None:
    assert _options.parameter("preference.loss", "dpo", "label_smoothing", 0.25) == 0.25
    assert _options.parameter("preference.loss", "dpo", "label_smoothing", None) == 0.0
    assert _options.parameter("preference.loss", "hinge", "label_smoothing", None) is None
    with pytest.raises(ValueError, match="label_smoothing: expected nothing: the loss 'hinge' does not use it; got 0"):
        _options.parameter("preference.loss", "hinge", "label_smoothing", 0.0)


def test_the_reference_knows_the_names() -> None:
    """Each by name: a default arm would take an unknown one for another."""
    assert set(reference.preference.LOSSES) == set(REGISTRIES["preference.loss"])
    assert set(reference.preference_sets.RANKED) == set(REGISTRIES["preference.ranked.loss"])
    assert set(reference.policy.DIVISORS) == set(REGISTRIES["preference.policy.loss"])
    assert set(reference.schedules.DECAYS) == set(REGISTRIES["schedule.shape"])
    assert set(reference.tokens.COLUMNS) == set(REGISTRIES["tokens.columns"])
    assert set(reference.tokens.PAIR_COLUMNS) == set(REGISTRIES["tokens.pair_columns"])


def test_every_shape_of_a_schedule_is_a_function() -> None:
    """Of its name, which takes what the shape takes and how it starts."""
    common, lists = {"start", "warmup", "offset", "convention"}, {"milestones", "points", "curve", "interpolate"}
    for shape, row in REGISTRIES["schedule.shape"].items():
        taken = set(inspect.signature(getattr(schedules, shape)).parameters)
        if shape != "piecewise":  # its rate is that of its highest point
            assert "lr" in taken
        assert taken - common - lists - {"lr"} == set(row.parameters)
