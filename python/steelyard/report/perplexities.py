"""The perplexities of two models compared on the records that both have, for the report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import uncertainty
from .._intervals import holm, stricter
from .._options import Confidence
from ..errors import RecordError, called, while_at
from .measure import clusters_of_ids
from .perplexity_results import Documents, PerplexityPair
from .results import Options

if TYPE_CHECKING:
    from ..records import Run, Runs, Scores

Floats = NDArray[np.float64]


def perplexities(
    runs: Runs, names: Sequence[tuple[str, str]], options: Options
) -> tuple[tuple[PerplexityPair, ...], tuple[str, ...]]:
    """Compare the pairs (model, baseline) that have log-likelihoods of the same records; and what is said of it."""
    known = {run.name: own for run in runs if (own := _known(run)) is not None}
    notes: list[str] = []
    matched: list[tuple[str, str, Scores, _Lengths]] = []
    for new, base in names if options.paired else ():
        if new not in known or base not in known:
            continue
        try:
            nll = _matched(runs, known[base], known[new])
        except RecordError:
            continue  # without ids that match nothing is compared, which a note of the scores says
        lengths = _lengths(nll, known[base], known[new])
        pair = f"the perplexities of {new} and {base} are not compared"
        if not (np.isfinite(nll[new]).all() and np.isfinite(nll[base]).all()):
            notes.append(f"{pair}: a record has probability 0")
        elif lengths is None:
            notes.append(f"{pair}: they count other tokens")
        else:
            matched.append((new, base, nll, lengths))
    found = [_compared(new, base, nll, per, options, m=len(matched)) for new, base, nll, per in matched]
    adjusted = holm(np.array([pair.p_value for pair in found])).tolist()
    return tuple(replace(pair, p_adjusted=p) for pair, p in zip(found, adjusted, strict=True)), tuple(notes)


def _known(run: Run) -> Run | None:
    """The records with a log-likelihood; None where there is none."""
    if run.loglikelihood is None:
        return None
    known = run.known("loglikelihood")
    return known if len(known) else None


class _Lengths(NamedTuple):
    """How long the text of each record is, the same for two models, and in which unit."""

    unit: str
    per: Floats


def _matched(runs: Runs, base: Run, new: Run) -> Scores:
    """The NLL of the ids that both have; of an id with several records the mean."""
    nll = tuple(replace(run, score=_nll(run)) for run in (base, new))
    return replace(runs, runs=nll).scores(models=[base.name, new.name])


def _lengths(nll: Scores, base: Run, new: Run) -> _Lengths | None:
    """The first length that both models know and agree on: tokens, else bytes or words, which all tokenizers share.

    Records of which no length is known count as one token each. None where the models' lengths differ.
    """
    roles = [role for role in ("n_bytes", "n_words") if _has(base, role) and _has(new, role)]
    known = base.tokens_known and new.tokens_known
    for role in ["n_tokens", *roles] if known or not roles else roles:
        found = nll.graded([replace(run, score=getattr(run, role)) for run in (base, new)])
        if np.array_equal(found[new.name], found[base.name]):
            return _Lengths(role.removeprefix("n_").removesuffix("s"), found[base.name])
    return None


def _has(run: Run, role: str) -> bool:
    """Whether every record says how long its text is."""
    values = getattr(run, role)
    return values is not None and not np.isnan(values).any()


def _nll(run: Run) -> Floats:
    assert run.loglikelihood is not None
    return 0.0 - run.loglikelihood


def _compared(new: str, base: str, nll: Scores, lengths: _Lengths, options: Options, *, m: int) -> PerplexityPair:
    tokens = lengths.per
    groups = clusters_of_ids(nll, options)
    words = {"new": f"the log-likelihoods of {new!r}", "baseline": f"the log-likelihoods of {base!r}"}

    def at(level: float) -> uncertainty.Comparison:
        with while_at(f"the perplexities of {new!r} and {base!r}"), called(words):
            found: uncertainty.Comparison = uncertainty.compare(
                nll[new],
                baseline=nll[base],
                statistic="perplexity",
                per=tokens,
                clusters=np.arange(len(tokens)) if groups is None else groups,
                confidence_level=level,
            )
            return found

    shown = at(options.confidence_level)
    strict = shown if m == 1 else at(stricter(Confidence(options.confidence_level, "two-sided"), m).level)
    assert shown.ratio is not None
    assert strict.ratio is not None
    p = float(shown.p_value)
    return PerplexityPair(
        model=new, baseline=base, ratio=shown.ratio, difference=shown.difference, simultaneous=strict.ratio,
        p_value=p, p_adjusted=p, test=str(shown.test), verdict=str(strict.verdict()), unit=lengths.unit,
        documents=None if groups is None else _documents(groups, nll[new] - nll[base], tokens),
    )  # fmt: skip


def _documents(groups: NDArray[Any], difference: Floats, tokens: Floats) -> Documents:
    """The clusters, that with the largest change per token first."""
    names, codes = np.unique(groups, return_inverse=True)
    sums, sizes = (np.bincount(codes, x, len(names)).astype(np.float64) for x in (difference, tokens))
    known = sizes > 0
    names, sums, sizes = names[known], sums[known], sizes[known]
    change = sums / sizes
    order = np.argsort(-np.abs(change), kind="stable")
    return Documents(names[order].astype(np.str_), sizes[order], change[order])
