"""The parts of an audit, each from the columns of the pairs that enter it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ... import _core, _intervals
from ..._arrays import to_float64
from ..._estimate import Estimate
from ..._strides import coded
from ..length_control import length_controlled_accuracy
from ..losses import preference_loss
from ..result import PreferenceLoss
from ..work import margins_of
from .answers import Pair
from .copies import Copies, prompt_codes
from .measured import Measured, halves, total
from .results import Group, Lengths, Rewards, Scores, Texts
from .scale import logistic, noise, scale
from .unpaired import Labelled

__all__ = ["Columns", "groups", "lengths", "readings", "rewards", "scores", "texts", "texts_of_answers"]

Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
NEAR = 0.1  # of the standard deviation of score margins


@dataclass(frozen=True)
class Columns:
    """Numbers of the pairs that enter the estimates, one entry a pair."""

    lengths: tuple[Floats, Floats] | None
    unit: str
    scores: Floats | None
    """The margins, NaN where there are none."""
    by: Measured

    def narrowed(self, keep: Mask) -> Columns:
        """The columns of some of the pairs."""
        lengths = None if self.lengths is None else (self.lengths[0][keep], self.lengths[1][keep])
        return Columns(lengths, self.unit, None if self.scores is None else self.scores[keep], self.by.of(keep))


def texts(pairs: Sequence[Pair], found: Copies, by: Measured) -> Texts:
    """What the texts of all well-formed pairs show."""
    return _texts(
        [pair.prompt for pair in pairs], found, by,
        implicit=sum(pair.implicit for pair in pairs),
        empty=sum(not (pair.chosen.strip() and pair.rejected.strip()) for pair in pairs),
        identical=sum(pair.chosen.strip() == pair.rejected.strip() for pair in pairs),
    )  # fmt: skip


def texts_of_answers(of: Labelled, found: Copies, by: Measured) -> Texts:
    """What the texts of single answers show."""
    return _texts(of.prompts, found, by, implicit=0, empty=sum(not text.strip() for text in of.texts), identical=0)


def _texts(
    prompts: Sequence[str | None], found: Copies, by: Measured, *, implicit: int, empty: int, identical: int
) -> Texts:
    sizes = np.bincount(coded(np.array(prompt_codes(prompts), np.int64))[0])
    disagree = np.array(found.disagreement, np.float64)
    return Texts(
        prompts=len(sizes),
        shared_prompts=int(np.count_nonzero(sizes > 1)),
        most_of_prompt=int(sizes.max()),
        implicit_prompts=implicit,
        without_prompt=sum(prompt is None for prompt in prompts),
        empty=empty,
        identical=identical,
        duplicates=found.duplicates,
        repeated=found.repeated,
        repeated_rows=found.repeated_rows,
        contradictions=found.contradictions,
        contradicting_rows=len(found.contradicting),
        noise=None if not found.repeated else _of_disagreement(by.of(found.of).share(disagree)),
    )


def _of_disagreement(d: Estimate) -> Estimate:
    """The share of wrong labels of which two disagree with this probability."""

    def wrong(share: float) -> float:
        return 0.5 * (1.0 - math.sqrt(max(0.0, 1.0 - 2.0 * share)))

    def limit(share: Any) -> float | None:
        return None if share is None else wrong(float(share))

    value = float(d.value)
    spread = math.sqrt(max(0.0, 1.0 - 2.0 * value))
    error = None if d.standard_error is None or spread == 0.0 else float(d.standard_error) / (2.0 * spread)
    return replace(
        d, value=wrong(value), low=limit(d.low), high=limit(d.high), standard_error=error, n_effective=None,
        reason="(1 - sqrt(1 - 2 D))/2 of the share D of repeated labels that disagree", detail={"disagreement": value},
    )  # fmt: skip


def lengths(of: Columns) -> Lengths | None:
    """What the lengths tell of the labels."""
    if of.lengths is None:
        return None
    chosen, rejected = of.lengths
    known = ~(np.isnan(chosen) | np.isnan(rejected))
    if not known.any():
        return None
    difference, by = (chosen - rejected)[known], of.by.of(known)
    return Lengths(
        unit=of.unit, longer=by.share(halves(difference)), difference=by.mean(difference),
        equal=int(np.count_nonzero(difference == 0)),
    )  # fmt: skip


def scores(of: Columns) -> Scores | None:
    """What scores in the data tell of the labels."""
    if of.scores is None:
        return None
    known = ~np.isnan(of.scores)
    if not known.any():
        return None
    margins, by = of.scores[known], of.by.of(known)
    n = float(len(margins))
    spread = margins - total(margins) / n
    near = NEAR * math.sqrt(total(spread * spread) / n)
    return Scores(
        agreement=by.share(halves(margins)), margin=by.mean(margins), ties=int(np.count_nonzero(margins == 0)),
        near=near, near_ties=by.share((np.abs(margins) <= near).astype(np.float64)), pairs=len(margins),
    )  # fmt: skip


def rewards(
    columns: Mapping[str, Any], keep: Mask, of: Columns, beta: float, left_out: dict[str, int]
) -> tuple[Rewards, Floats, list[str]]:
    """What log-probabilities of all rows say of the pairs that ``keep`` marks; and their margins, and notes.

    ``of`` has the columns of those pairs alone.
    """
    # The call checks the log-probabilities: their signs, their types, infinities.
    free = "reference_chosen" not in columns
    out = preference_loss(
        **columns, loss="cpo" if free else "dpo", beta=beta, where=keep, gradients=False, dtype="float64",
        confidence_level=of.by.confidence.level,
    )  # fmt: skip
    x, y = (_log_ratio(columns, side)[keep] for side in ("chosen", "rejected"))
    u, by, notes = x - y, of.by, []
    controlled = None
    if of.lengths is not None:
        known = ~(np.isnan(of.lengths[0]) | np.isnan(of.lengths[1]))
        controlled = _length_controlled(u[known], (of.lengths[0][known], of.lengths[1][known]), by.of(known))
        if controlled is None:
            notes.append(
                "no length-controlled accuracy: of pairs of different lengths, the same answer is always the longer one"
            )
    wrong, why = noise(u, by)
    notes += [f"no label noise from the rewards: {why}"] if why else []
    found = Rewards(
        beta=beta,
        accuracy=by.share(halves(u)),
        margin=by.mean(_margins(out, keep)),
        chosen_shift=None if free else by.mean(x),
        rejected_shift=None if free else by.mean(y),
        displaced=None if free else by.share(((x < 0) & (u > 0)).astype(np.float64)),
        length_controlled=controlled,
        fitted_beta=scale(u, by),
        noise=wrong,
        overconfidence=by.mean(logistic(beta * np.abs(u)) - halves(u)),
        pairs=len(u),
        left_out=left_out,
    )
    return found, u, notes


def _length_controlled(margins: Floats, lengths: tuple[Floats, Floats], by: Measured) -> Estimate | None:
    """The accuracy with lengths balanced; None where one kind of pair is missing."""
    longer = np.sign(lengths[0] - lengths[1])
    if (longer > 0).any() != (longer < 0).any():
        return None
    return length_controlled_accuracy(margins, lengths, clusters=by.codes, confidence_level=by.confidence.level)


def _margins(out: PreferenceLoss, keep: Mask) -> Floats:
    """The reward margins of the pairs that count."""
    assert out.rewards_chosen is not None
    assert out.rewards_rejected is not None
    return np.ascontiguousarray(margins_of(out.rewards_chosen, out.rewards_rejected)[keep])


def _log_ratio(columns: Mapping[str, Any], side: str) -> Floats:
    policy = to_float64(columns[f"policy_{side}"])
    reference = columns.get(f"reference_{side}")
    return policy if reference is None else policy - to_float64(reference)


def readings(
    columns: Mapping[str, Any], keep: Mask, margins: Floats, tokens: tuple[Floats, Floats] | None, of: Columns
) -> dict[str, Floats]:
    """Scores of the pairs (chosen less rejected) as each loss that is a likelihood of the label reads them.

    ``tokens`` are the lengths of all rows in tokens, if they are known for every pair that is kept.
    """
    policy = {name: column for name, column in columns.items() if name.startswith("policy")}
    free = len(policy) == len(columns)

    def read(data: Mapping[str, Any], **options: Any) -> Floats:
        out = preference_loss(**data, beta=1.0, where=keep, gradients=False, dtype="float64", **options)
        return _margins(out, keep)

    found: dict[str, Floats] = {} if free else {"dpo": margins}
    if not free:
        divergences = ("forward-kl", "js", "alpha")
        found |= {f"dpo, {one}": read(columns, divergence=one) for one in divergences}
        if tokens is not None:
            found["sigmoid_norm"] = read(columns, loss="sigmoid_norm", lengths=tokens)
    found["cpo"] = margins if free else read(policy, loss="cpo")
    if tokens is not None:
        found["simpo"] = read(policy, loss="simpo", gamma=0.0, lengths=tokens)
        found["orpo"] = read(policy, loss="orpo", lengths=tokens)
    if of.lengths is not None and not (np.isnan(of.lengths[0]) | np.isnan(of.lengths[1])).any():
        chosen, rejected = of.lengths
        found["length alone"] = _core.math_log((chosen + 1.0) / (rejected + 1.0))
    return found


def groups(names: Sequence[str], of: Columns, margins: Floats) -> Iterator[Group]:
    """The sources of the pairs; ``margins`` are NaN where they are not known."""
    order = sorted(dict.fromkeys(names))
    if not order:
        return
    strict = _intervals.stricter(of.by.confidence, len(order))
    at = {name: k for k, name in enumerate(order)}
    codes = np.array([at[name] for name in names], np.int64)
    for k, name in enumerate(order):
        own = codes == k
        some = of.narrowed(own)
        by = some.by.at(strict)
        yield Group(
            name=name,
            pairs=int(np.count_nonzero(own)),
            longer=None if some.lengths is None else _share(some.lengths[0] - some.lengths[1], by),
            agreement=None if some.scores is None else _share(some.scores, by),
            accuracy=_share(margins[own], by),
        )


def _share(margins: Floats, by: Measured) -> Estimate | None:
    """The share above 0, ties half, of those that are known."""
    known = ~np.isnan(margins)
    return by.of(known).share(halves(margins[known])) if known.any() else None
