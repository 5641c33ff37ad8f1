"""The numbers of a report: for one model, or a pair, which functions of the package are called on which records."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import calibration, tokens, uncertainty
from .._intervals import holm, stricter
from .._numbers import count, percent
from .._options import Confidence
from .._power import detectable
from ..errors import RecordError, called, keyword, sentence, while_at
from .fragility import Pair, fragility
from .item_results import Fragility, Items
from .repeats import repeats
from .results import MOST_LOST, POWER, ModelResult, Options, PairResult
from .words import limits, lost

if TYPE_CHECKING:
    from .._estimate import Estimate
    from ..records import Run, Runs, Scores

# What is shown of the text that log-likelihoods are of: by the role that counts it, the names and units of perplexity.
TEXT_UNITS = {
    "n_words": {"word perplexity": "perplexity"},
    "n_bytes": {"byte perplexity": "perplexity", "bits per byte": "bits"},
}


def model(run: Run, options: Options, *, score_only: bool = False) -> ModelResult:
    """One model's score and, where its records hold them, calibration and perplexity."""
    with while_at(f"model {run.name!r}"), called({"x": f"the scores of {run.name!r}"}):
        return _model(run, options, score_only=score_only)


def _model(run: Run, options: Options, *, score_only: bool) -> ModelResult:
    score = mean_score(run, options) if run.score is not None and len(run) else None
    found = ModelResult(
        name=run.name,
        n=len(run),
        no_answer=run.no_answer,
        other_case=run.other_case,
        no_score=run.no_score,
        filled=run.missing,
        left_out=dict(run.left_out),
        merged=dict(run.merged),
        score=score,
    )
    if score_only:
        return found
    notes: list[str] = []
    reliability, perplexity = _reliability(run, options, notes), _perplexity(run, options, notes)
    of_ids = None if score is None else repeats(run, score, _item_clusters(run, options), options, notes)
    return replace(
        found,
        reliability=reliability,
        perplexity=perplexity,
        of_text=_of_text(run, options, notes),
        repeats=of_ids,
        notes=tuple(notes),
    )


def clusters_of(run: Run, options: Options) -> NDArray[Any] | None:
    """The clusters of a run's records; None where each record is its own."""
    from ..records.run import clusters_by

    return run.cluster if options.clusters is None else clusters_by(run, options.clusters)


def mean_score(run: Run, options: Options) -> Estimate:
    """The mean score of a run, every id counted once, with the clusters that were asked for."""
    return uncertainty.estimate(
        run.score,
        weights=run.weights,
        clusters=clusters_of(run, options),
        confidence_level=options.confidence_level,
    )


def _item_clusters(run: Run, options: Options) -> list[Any] | None:
    """The clusters of the records where they are larger than the ids themselves."""
    groups = clusters_of(run, options)
    if groups is None or run.ids is None or np.array_equal(groups, run.ids):
        return None
    clusters: list[Any] = groups.tolist()
    return clusters


def _reliability(run: Run, options: Options, notes: list[str]) -> calibration.Reliability | None:
    if run.confidence is None or run.score is None:
        return None
    known = run.known("confidence")
    _say_lost(run, known, "confidence", notes)
    if known.confidence is None or known.score is None or not len(known):
        return None
    if not np.isin(known.score, (0.0, 1.0)).all():
        notes.append(f"no calibration of {run.name}: it needs scores of 0 or 1, and these are graded")
        return None
    found = calibration.reliability(
        known.confidence,
        known.score == 1.0,
        n_bins=options.n_bins,
        weights=known.weights,
        clusters=clusters_of(known, options),
        confidence_level=options.confidence_level,
    )
    # What a confidence is the probability of: that the answer is right, not that a class or an event comes true.
    return replace(found, kind="answers")


def _perplexity(run: Run, options: Options, notes: list[str]) -> Estimate | None:
    """The perplexity per token; None where only the words or bytes of the text are known."""
    if run.loglikelihood is None:
        return None
    known = run.known("loglikelihood")
    _say_lost(run, known, "loglikelihood", notes)
    if not len(known) or not (known.tokens_known or (known.n_words is None and known.n_bytes is None)):
        return None
    found = _per(known, known.n_tokens, "perplexity", options)
    if known.tokens_known:
        return found
    return replace(found, reason=f"{found.reason}; without a column n_tokens each record counts as one token")


def _of_text(run: Run, options: Options, notes: list[str]) -> dict[str, Estimate]:
    """What the text tells apart from its tokens: perplexity per word and byte, and bits per byte."""
    found: dict[str, Estimate] = {}
    for role, units in TEXT_UNITS.items():
        if run.loglikelihood is None or getattr(run, role) is None:
            continue
        scored = run.known("loglikelihood")
        known = scored.known(role)
        _say_lost(scored, known, role, notes)
        if len(known):
            found |= {name: _per(known, getattr(known, role), unit, options) for name, unit in units.items()}
    return found


def _per(known: Run, per: Any, unit: Any, options: Options) -> Estimate:
    """The perplexity, or bits, per unit of ``per``, of records that all have a log-likelihood."""
    assert known.loglikelihood is not None
    groups = clusters_of(known, options)
    if groups is None:
        groups = np.arange(len(known))  # tokens of one record depend on each other: each record is a cluster
    nll = 0.0 - known.loglikelihood
    # With weights w perplexity is exp(sum(w nll) / sum(w tokens)): both columns are multiplied.
    weights = 1.0 if known.weights is None else known.weights
    found = tokens.perplexity(
        weights * nll, per=weights * per, clusters=groups, unit=unit, confidence_level=options.confidence_level
    )
    # The table shows how many units were read, not their weighted sum.
    return found if known.weights is None else replace(found, detail={**found.detail, "units": float(per.sum())})


def _say_lost(run: Run, known: Run, what: str, notes: list[str]) -> None:
    if lost := len(run) - len(known):
        notes.append(f"{run.name}: {count(lost)} of {count(len(run))} records have no {what}")


def pairs(
    runs: Runs, names: Sequence[tuple[str, str]], options: Options, *, required: bool
) -> tuple[tuple[PairResult, ...], tuple[str, ...]]:
    """Compare every pair on the ids that both models have, or each as two samples unless ``options.paired``.

    Returns the results, and notes on pairs that could not be compared. With ``required`` such a pair is an error.
    """
    notes: list[str] = []
    if not options.paired:
        scored = names if required else [pair for pair in names if all(runs[name].score is not None for name in pair)]
        return _adjusted([_unpaired(runs, *pair, options, m=len(scored)) for pair in scored]), ()
    if not required:
        names, notes = _comparable(runs, names)
    matched: list[tuple[str, str, Scores]] = []
    for new, base in names:
        try:
            matched.append((new, base, runs.scores(models=[base, new])))
        except RecordError as error:
            if required and any(runs[name].ids is None for name in (base, new)):
                also = f"or pass {keyword('paired')} where the models answered different questions"
                raise RecordError(f"{error}, {also}") from None
            if required:
                raise
            notes.append(f"{new} and {base} are not compared: {error}")
    found = [_compared(scores, new, runs[base], options, m=len(matched)) for new, base, scores in matched]
    for pair in found:
        _check_matched(pair, runs, options.min_matched)
    notes += [f"{new} and {base}: {note}" for new, base, scores in matched for note in scores.notes]
    return _adjusted(found), tuple(notes)


def _adjusted(found: Sequence[PairResult]) -> tuple[PairResult, ...]:
    """The pairs with p-values adjusted for their number by Holm."""
    adjusted = holm(np.array([pair.p_value for pair in found])).tolist()
    return tuple(replace(pair, p_adjusted=p) for pair, p in zip(found, adjusted, strict=True))


def _compared(scores: Scores, new: str, base: Run, options: Options, *, m: int) -> PairResult:
    """Compare one pair out of ``m`` on the ids that both have."""
    matched = len(scores[new])
    of_ids = {
        "matched": matched,
        "of_model": matched + scores.unmatched[new],
        "of_baseline": matched + scores.unmatched[base.name],
        "unmatched": scores.left_out.get("unmatched", 0),
        "other_targets": scores.other_targets,
    }
    data: dict[str, Any] = {"new": scores[new], "baseline": scores[base.name]}
    data["clusters"] = clusters_of_ids(scores, options)
    if options.sequential:
        order = scores.in_order(new)
        data |= {name: None if x is None else x[order] for name, x in data.items()}
        data |= {"sequential": True, "bounds": options.bounds}
    return _result((new, base.name), data, of_ids, options, m=m, scores=scores)


def _unpaired(runs: Runs, new: str, base: str, options: Options, *, m: int) -> PairResult:
    """Compare two samples, a pair out of ``m``; of an id with several records the mean counts."""
    sides = {"new": _sample(runs, new, options), "baseline": _sample(runs, base, options)}
    groups = {side: ids for side, (_, ids) in sides.items() if ids is not None}
    scores = {side: values for side, (values, _) in sides.items()}
    of_ids = {"matched": 0, "of_model": len(scores["new"]), "of_baseline": len(scores["baseline"])}
    of_ids |= {"unmatched": 0, "other_targets": 0}
    found = _result((new, base), {**scores, "clusters": groups or None, "paired": False}, of_ids, options, m=m)
    return replace(found, paired=False, if_paired=_sharper(runs, found, options))


def _sample(runs: Runs, name: str, options: Options) -> tuple[NDArray[Any], NDArray[Any] | None]:
    """The scores of one model, one per id or (without ids) per record, and their clusters, if any."""
    from ..records.scores import no_score, nothing_scored

    run = runs[name]
    if run.score is None:
        raise no_score(run)
    if not len(run):
        raise nothing_scored(run)
    if run.ids is None:
        return run.score, clusters_of(run, options)
    scores = runs.scores(models=[name])
    return scores[name], clusters_of_ids(scores, options)


def _sharper(runs: Runs, pair: PairResult, options: Options) -> Estimate | None:
    """The paired difference on the ids that two samples share, where its interval is narrower than theirs."""
    names = [pair.baseline, pair.model]
    try:
        scores = runs.scores(models=names)
        groups = clusters_of_ids(scores, options)
    except RecordError:
        return None  # no ids, or none that both have
    if scores.other_targets > MOST_LOST * len(scores[pair.model]):
        return None  # different questions with equal ids
    found = uncertainty.compare(
        scores[pair.model], scores[pair.baseline], clusters=groups, confidence_level=options.confidence_level
    ).difference
    narrow, wide = limits(found), limits(pair.difference)
    if narrow is None or (wide is not None and narrow[1] - narrow[0] >= wide[1] - wide[0]):
        return None
    return found


def _result(
    names: tuple[str, str],
    data: dict[str, Any],
    of_ids: dict[str, Any],
    options: Options,
    *,
    m: int,
    scores: Scores | None = None,
) -> PairResult:
    """One comparison out of ``m``, of the scores and clusters in ``data``. ``scores`` are those of matched ids, if any.

    It is made twice, at the level that the report shows and at the stricter one that its verdict reads, so that the
    verdicts of all ``m`` pairs hold together.
    """
    new, base = names
    words = {"new": f"the scores of {new!r}", "baseline": f"the scores of {base!r}"}
    words["new - baseline"] = f"the differences of {new!r} from {base!r}"

    def at(level: float) -> uncertainty.Comparison:
        with while_at(f"{new!r} against {base!r}"), called(words):
            found: uncertainty.Comparison = uncertainty.compare(
                **data, confidence_level=level, higher_is_better=options.higher_is_better
            )
            return found

    shown = at(options.confidence_level)
    simultaneous = shown if m == 1 else at(stricter(Confidence(options.confidence_level, "two-sided"), m).level)
    p = float(shown.p_value)
    return PairResult(
        model=new,
        baseline=base,
        difference=shown.difference,
        simultaneous=simultaneous.difference,
        p_value=p,
        p_adjusted=p,
        test=str(shown.test),
        wins=_whole(shown.wins),
        losses=_whole(shown.losses),
        ties=_whole(shown.ties),
        **of_ids,
        smallest_p=shown.difference.detail.get("smallest_p"),
        verdict=str(simultaneous.verdict(options.margin)),
        verdict_unadjusted=str(shown.verdict(options.margin)),
        detectable=_detectable(simultaneous),
        fragility=None if scores is None or options.sequential else _fragility(data, simultaneous, options),
        items=None if scores is None else _items(scores, new, shown, options),
    )


def _fragility(data: dict[str, Any], found: uncertainty.Comparison, options: Options) -> Fragility | None:
    pair = Pair(data["new"], data["baseline"], data["clusters"], found.difference.confidence_level)
    return fragility(pair, found, options)


def _items(scores: Scores, new: str, found: uncertainty.Comparison, options: Options) -> Items | None:
    """The items that flipped, with their ids and the columns to show."""
    rows = found.items
    if rows is None or scores.ids is None:
        return None
    index = scores.in_order(new)[rows["index"]] if options.sequential else rows["index"]
    texts = {
        role: {column: values for name in names for column, values in scores.texts(name, index, keyword(role)).items()}
        for role, names in (("by", options.by), ("show", options.show))
    }
    return Items(
        losses=_whole(found.losses) or 0,
        id=scores.ids[index],
        new=rows["new"],
        baseline=rows["baseline"],
        difference=rows["difference"],
        groups=texts["by"],
        shown=texts["show"],
    )


def _whole(of_rows: Any) -> int | None:
    return None if of_rows is None else int(of_rows)


def _detectable(found: uncertainty.Comparison) -> float | None:
    """The difference that the verdict could see; None where it is larger than 0/1 scores can differ."""
    seen = detectable(found.difference, POWER)
    binary = str(found.difference.method) in ("Tango", "Newcombe")
    return None if binary and seen is not None and seen > 1.0 else seen


def _check_matched(pair: PairResult, runs: Runs, min_matched: float | None) -> None:
    """Refuse a pair with few ids in common: more often the ids are mistaken than such a comparison is wanted."""
    if min_matched is None or pair.matched_share >= min_matched:
        return
    sides = [(runs[pair.model], pair.of_model), (runs[pair.baseline], pair.of_baseline)]
    got = "; ".join(f"{run.name!r} has {count(n)}{lost(run.left_out)}" for run, n in sides)
    fix = (
        f"name the column that both have with {keyword('id')}, pass {keyword('min_matched', 0)} to go on, or "
        f"{keyword('paired')} where they answered different questions"
    )
    files = ", ".join(dict.fromkeys(file for run, _ in sides for file in run.files))
    expected = f"at least {percent(min_matched)} of the smaller side's ids to match"
    raise RecordError(sentence(files, expected, f"{count(pair.matched)}: {got}", fix))


def _comparable(runs: Runs, names: Sequence[tuple[str, str]]) -> tuple[list[tuple[str, str]], list[str]]:
    """The pairs whose models have scores and ids, and a note that names all models without ids."""
    without = [run.name for run in runs if run.score is not None and run.ids is None]
    kept = [pair for pair in names if all(runs[name].score is not None and name not in without for name in pair)]
    if not without or len(runs) == 1:
        return kept, []
    fix = (
        f"name the column that identifies a record with {keyword('id')}, or pass {keyword('id', 'row')} where the "
        f"files have the same rows, or {keyword('paired')} where they answered different questions"
    )
    return kept, [f"not compared, since their records have no id: {', '.join(without)}; {fix}"]


def clusters_of_ids(scores: Scores, options: Options) -> NDArray[Any] | None:
    """Clusters of the matched ids; None where each id is a cluster of its own."""
    return scores.cluster if options.clusters is None else scores.column(options.clusters)
