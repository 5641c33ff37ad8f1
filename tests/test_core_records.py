"""What the core returns of several parts has names, and those are the names that the stub says."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from steelyard import _core
from steelyard.preference.terms import loss_parameters

from .fake_tensors import FakeTensor, fresh_state, tensor_plan, tensor_step

STUB = ast.parse((Path(_core.__file__).parent / "_core.pyi").read_text())
CLASSES = {node.name: node for node in STUB.body if isinstance(node, ast.ClassDef)}
SURE: Any = {"confidence_level": 0.95, "alternative": "two-sided"}
X, ONES, TWO = np.array([0.5, 0.25, 1.0]), np.ones(3), np.array([1.0, 2.0])
COUNTS = np.array([1, 2])
BATTLES = np.array([0.0, 9.0, 8.0, 0.0, 0.0, 0.0, 0.0, 0.0])  # of two models, without ties
EDIT: Any = {"given": (ONES,), "arrays": (ONES,), "name": str, "stop_nonfinite": True}
PAIR: Any = {"new": X, "booleans": (False, False), "confidence_levels": [0.95], "alternative": "two-sided"}


def keys(name: str) -> set[str]:
    """The keys of a ``TypedDict`` of the stub, those of its bases among them."""
    own = {line.target.id for line in CLASSES[name].body if isinstance(line, ast.AnnAssign)}  # type: ignore[union-attr]
    bases = {base.id for base in CLASSES[name].bases if isinstance(base, ast.Name)} - {"TypedDict"}
    return own.union(*map(keys, bases))


def is_record(name: str) -> bool:
    bases = [base.id for base in CLASSES[name].bases if isinstance(base, ast.Name)]
    return "TypedDict" in bases or any(map(is_record, bases))


def totals() -> _core.EstimateTotals:
    of = _core.EstimateTotals()
    of.update(X)
    return of


def sequence() -> _core.SequenceTotals:
    of = _core.SequenceTotals(True)
    of.update(X, bounds=(0.0, 1.0))
    return of


def quantiles() -> _core.QuantileTotals:
    of = _core.QuantileTotals()
    of.update(X)
    return of


def perplexity() -> _core.PerplexityTotals:
    of = _core.PerplexityTotals()
    of.update(X, length=1, codes=np.arange(3), clusters=3)
    return of


def bins() -> _core.ReliabilityTotals:
    codes = np.arange(3)
    of = _core.ReliabilityTotals(5)
    of.update(X, np.array([0, 1, 1]), codes=codes, names=codes)
    return of


def summary() -> Any:
    return bins().summary(**SURE)


def plan() -> _core.OptimizerPlan:
    w, moments = np.ones(2), [[np.zeros(2)], [np.zeros(2)]]
    return _core.OptimizerPlan(paths=["a"], given=[w], params=[w], moments=moments, steps=0, options=None)


def step() -> Any:
    options: Any = {"groups": [{"lr": 0.1}], "of_row": None, "max_norm": None, "scan": True, "stop_nonfinite": True}
    return plan().step((ONES[:2],), lambda row: X, step=1, **options)


def changes() -> Any:
    options: Any = {"groups": [{"lr": 0.1}], "of_row": None, "max_norm": None, "scan": True, "stop_nonfinite": True}
    return plan().step((ONES[:2],), lambda row: X, step=1, detail=True, **options)["tensors"]


def tensor_outcome() -> Any:
    param = FakeTensor(np.ones(2), grad=np.ones(2))
    return tensor_step(tensor_plan(), [param], fresh_state([param]))


DPO = loss_parameters("dpo") | {"beta": 0.1}
ALONE = {"lengths": None, "margin": None, "weights": None}


def scored() -> Any:
    return _core.preference_loss(
        [-X] * 4, terms=[("dpo", 1.0)], parameters=DPO, beside=ALONE, gradients=True, single=False
    )


def swept() -> Any:
    return _core.preference_sweep([-X] * 4, terms=[("dpo", 1.0)], settings=[DPO], beside=ALONE, slopes=True)


def policy_scored() -> Any:
    options = {"loss": "ppo", "low": 0.8, "high": 1.2, "kl_weight": 0.0, "kl_estimator": "k3", "divisor": None}
    return _core.policy_loss([-X, -X], X, width=1, options=options, counted=(None, None), gradients=True)


def compared() -> Any:
    options: Any = {"count": 1, "leave_one_out": True, "scaled": False, "ddof": 1, "epsilon": 0.0}
    return _core.group_advantages(X, np.zeros(3, np.int64), **options)


def along_tokens() -> Any:
    return _core.token_advantages(X, X, width=3, last=None, counted=(None, None), gamma=1.0, lam=1.0)


def mean_interval() -> Any:
    return _core.mean_interval(mean=0.5, squares=1.0, n=3, low=0.0, high=1.0, step=0.0, rows=3.0, **SURE)


RECORDS: dict[str, Callable[[], Any]] = {
    "_AlongTokens": along_tokens,
    "_Compared": compared,
    "_PolicyScored": policy_scored,
    "_BinnedValues": lambda: quantiles().size(),
    "_Quantile": lambda: quantiles().quantile(0.5, *SURE.values()),
    "_Asked": lambda: _core.BootstrapTotals("mean", 3, 0).asked(),
    "_BinCounts": lambda: bins().bins(),
    "_Bins": lambda: summary()["bins"],
    "_BinClusters": lambda: summary()["clusters"],
    "_Stratified": lambda: _core.stratified_interval(
        sums=X, sizes=ONES, strata=np.zeros(len(X), np.int64), count=1, average="micro", **SURE
    ),
    "_Crossed": lambda: _core.crossed_interval(
        sums=X, sizes=ONES, a=np.array([0, 0, 1]), count_a=2, b=np.array([0, 1, 1]), count_b=2, **SURE
    ),
    "_Clustered": lambda: _core.clustered_interval(sums=X, sizes=ONES, **SURE),
    "_Clipped": lambda: _core.clamp_in_place(limit=9.0, **EDIT),
    "_ClippedNorm": lambda: _core.clip_in_place(max_norm=9.0, norm_type=2.0, norm=None, **EDIT),
    "_ClippedUnits": lambda: _core.clip_units_in_place(
        params=(X,), shapes=[(1, 3, False)], clip_factor=9.0, eps=0.0, **EDIT
    ),
    "_Comparison": lambda: _core.paired_comparison(**PAIR, base=ONES),
    "_Error": lambda: summary()["ece"],
    "_Level": lambda: _core.paired_comparison(**PAIR, base=ONES)["levels"][0],
    "_RatingsFit": lambda: _core.ratings_fit(BATTLES, models=2, davidson=False, prior=0.0),
    "_RatingsReplicates": lambda: _core.ratings_replicates(
        BATTLES, np.zeros(2), log_nu=-np.inf, models=2, davidson=False, prior=0.0, n_resamples=2, seed=0
    ),
    "_MaxT": lambda: _core.max_t(X, models=1, tie=0.0, seed=0),
    "_MeanInterval": mean_interval,
    "_Moments": lambda: _core.column_moments(X),
    "_NearCodes": lambda: _core.near_codes(np.arange(3)),
    "_NonFinite": lambda: {k: v for k, v in _core.sum_of_squares((X,)).items() if k not in ("sum", "exponent")},
    "_Norms": lambda: _core.global_norms((X,), norm_type=1.0),
    "_NotFinite": lambda: _core.column_moments(X / 0.0),
    "_Perplexity": lambda: perplexity().result(unit="nats", **SURE),
    "_PlanState": lambda: plan().state(copy=True),
    "_PlainLines": lambda: _core.json_lines(
        b'{"a": 1}\n', columns=["a"], dictionaries=[], list_mark=None, longest=200, beginning=40
    ),
    "_Proportions": lambda: _core.proportion_intervals(k=COUNTS, n=COUNTS, method="wilson", **SURE),
    "_ProportionTests": lambda: _core.proportion_tests(
        k=COUNTS, n=COUNTS, p0=np.full(len(COUNTS), 0.5), method="wilson", alternative="two-sided"
    ),
    "_MaxTBaseline": lambda: _core.max_t_baseline(np.ones((3, 2)), columns=2, tie=0.0, alternative="less", seed=0),
    "_Shuffled": lambda: _core.independence(X, X, test="permutation", alternative="less", seed=0),
    "_CountsCompared": lambda: _core.unpaired_counts(
        k=COUNTS, n=COUNTS, base_k=COUNTS, base_n=COUNTS, method="newcombe", test="mid-p", **SURE
    ),
    "_Refused": lambda: _core.paired_comparison(**PAIR, base=ONES / 0.0),
    "_RankedLosses": lambda: _core.ranked_losses(X, X, width=3, loss="lipo", beta=0.1),
    "_SortedSide": lambda: _core.sorted_losses(X, ONES, beta=0.1)[0],
    "_Terms": lambda: _core.logistic_losses(X, bounded=True),
    "_RowCounts": lambda: bins().left_out(),
    "_Scored": scored,
    "_Swept": swept,
    "_Side": lambda: _core.unpaired_comparison(**PAIR, base=ONES)["new"],
    "_SignFlip": lambda: _core.sign_flip(X, alternative="less"),
    "_Changes": changes,
    "_StepOutcome": step,
    "_SumOfSquares": lambda: _core.sum_of_squares((X,)),
    "_Blocks8": lambda: _core.to_blocks8(np.ones(300, np.float32), signed=True),
    "_Summary": summary,
    "_TensorOutcome": tensor_outcome,
    "_TokenCounts": lambda: perplexity().counts(),
    "_Unpaired": lambda: _core.unpaired_comparison(**PAIR, base=ONES),
    "_ValueCounts": lambda: totals().size(),
    "_DesignedCounts": lambda: _core.StatisticTotals("mean").size(),
    "_StratumOfClusters": lambda: _core.StatisticTotals("mean").strata(),
    "_SequenceCounts": lambda: sequence().size(),
    "_Looks": lambda: sequence().looks(COUNTS, method="betting", confidence_level=0.95),
}


def test_every_record_of_the_stub_is_made_here() -> None:
    assert set(RECORDS) == {name for name in CLASSES if is_record(name)}


@pytest.mark.parametrize("name", sorted(RECORDS))
def test_a_record_has_the_keys_that_the_stub_says(name: str) -> None:
    with np.errstate(divide="ignore"):
        found = RECORDS[name]()
    assert isinstance(found, Mapping)
    # A refusal has some of the keys: which, depends on its kind.
    assert set(found) == keys(name) or (name == "_Refused" and {"refused"} < set(found) < keys(name))


def test_no_more_than_two_things_come_back_without_names() -> None:
    """Nor do more than three go in: the mathematical functions are written ``beta_cdf(a, b, x)`` everywhere."""
    functions = [node for node in ast.walk(STUB) if isinstance(node, ast.FunctionDef)]
    for function in functions:
        for part in ast.walk(function.returns) if function.returns else ():
            if isinstance(part, ast.Subscript) and ast.unparse(part.value) == "tuple":
                assert isinstance(part.slice, ast.Tuple), function.name
                assert len(part.slice.elts) == 2, function.name
        given = [argument for argument in function.args.args if argument.arg not in ("self", "cls")]
        assert len(given) <= 3 or function.name == "resampling_counts", function.name
