"""What repeated answers say: pass@k and maj@k, and how much of the error more answers would remove."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .._estimate import Estimate
from .._intervals import mean
from .._options import Confidence, confidence_of
from .._repeats import Counts, majority_at, pass_at
from .._rows import Selection
from ..errors import value_error
from .results import Options, Repeats

if TYPE_CHECKING:
    from ..records import Run


class Answers(NamedTuple):
    """The answers to every id: which rows they are, and the cluster of the id where it is not the id itself."""

    rows: list[list[int]]
    clusters: list[Any] | None


def repeats(
    run: Run, score: Estimate, clusters: Sequence[Any] | None, options: Options, notes: list[str]
) -> Repeats | None:
    """What the repeats of a run say; None where no id repeats and nothing was asked for."""
    if run.score is None or not (run.merged or options.pass_at):
        return None
    if run.ids is None:
        raise value_error(
            "pass_at", "records with ids, which say which answers are to one problem", f"none in {run.name!r}"
        )
    answers = _answers(run.ids.tolist(), clusters)
    sizes = [len(rows) for rows in answers.rows]
    found = Repeats(len(sizes), min(sizes), max(sizes), **_split(run.score, answers.rows, score))
    return found if not options.pass_at else _with_chances(run, answers, found, options, notes)


def _answers(ids: Sequence[str], clusters: Sequence[Any] | None) -> Answers:
    of_id: dict[str, list[int]] = {}
    for row, one in enumerate(ids):
        of_id.setdefault(one, []).append(row)
    rows = list(of_id.values())
    return Answers(rows, None if clusters is None else [clusters[of[0]] for of in rows])


# -- the parts of the error -----------------------------------------------------------------------------


def _split(score: NDArray[np.float64], rows: Iterable[Sequence[int]], estimate: Estimate) -> dict[str, Any]:
    """How much of the variance of the score comes from the items and how much from the repeats."""
    error = estimate.standard_error
    values = score.tolist()
    of_ids = [[values[row] for row in of] for of in rows]
    spreads = [_variance(of) for of in of_ids if len(of) > 1]
    if error is None or not spreads:
        return {}
    usual = math.fsum(spreads) / len(spreads)
    parts = [(_variance(of) if len(of) > 1 else usual) / len(of) for of in of_ids]
    of_repeats = math.fsum(parts) / (len(of_ids) * len(of_ids))
    whole = float(error) * float(error)
    of_items = max(whole - of_repeats, 0.0)
    return {
        "standard_error": math.sqrt(whole),
        "of_items": math.sqrt(of_items),
        "of_repeats": math.sqrt(of_repeats),
        "twice_repeats": math.sqrt(of_items + min(of_repeats, whole) / 2),
        "twice_items": math.sqrt(whole / 2),
    }


def _variance(values: Sequence[float]) -> float:
    """The variance with the divisor n - 1, by exact sums."""
    mean = math.fsum(values) / len(values)
    return math.fsum((value - mean) * (value - mean) for value in values) / (len(values) - 1)


# -- pass@k and maj@k -----------------------------------------------------------------------------------


def _with_chances(run: Run, answers: Answers, found: Repeats, options: Options, notes: list[str]) -> Repeats:
    assert run.score is not None
    if not np.isin(run.score, (0.0, 1.0)).all():
        notes.append(f"no pass@k of {run.name}: it needs scores of 0 or 1, and these are graded")
        return found
    if max(options.pass_at) > found.fewest:
        got = f"{max(options.pass_at)}, and the records of {run.name!r} have {found.fewest} for some id"
        raise value_error("pass_at", "at most as many as every id has answers", got, f"ask for at most {found.fewest}")
    right = run.score == 1.0
    tried = np.array([len(rows) for rows in answers.rows], np.uint64)
    solved = np.array([int(np.count_nonzero(right[rows])) for rows in answers.rows], np.uint64)

    def of_ids(chances: NDArray[np.float64]) -> Estimate:
        return _mean(chances, answers.clusters, confidence_of(options.confidence_level, "two-sided"))

    passes = {k: of_ids(pass_at(solved, tried, k)) for k in options.pass_at}
    votes = _votes(run, answers.rows)
    if votes is None:
        return replace(found, pass_at=passes)
    wrong, ends = votes
    majorities = {k: of_ids(majority_at(solved, tried, wrong, ends, k)) for k in options.pass_at}
    return replace(found, pass_at=passes, majority_at=majorities)


def _mean(chances: NDArray[np.float64], clusters: Sequence[Any] | None, confidence: Confidence) -> Estimate:
    """The mean over the ids, a sample of problems whose chances are known without bias.

    Wilson's interval with p (1 - p)/V effective rows, as of a score: its limits stay in [0, 1].
    """
    rows = Selection(None, clusters, "raise").rows("chances", chances)
    found = mean(chances, confidence, rows, name="chances", kind="ties")
    return found if found.low is None else replace(found, reason="chances of the ids, from 0 to 1")


def _votes(run: Run, rows: Iterable[Sequence[int]]) -> tuple[Counts, Counts] | None:
    """How often each wrong answer was given, id after id, and where those of each id end.

    None where the score does not compare answers with targets: which wrong answers agree is not known then.
    """
    predictions = run.predictions()
    if predictions is None or run.score is None:
        return None
    counted = ((run.score == 0.0) & ~run._no_answer).tolist()
    wrong: list[int] = []
    ends: list[int] = []
    for of in rows:
        wrong += Counter(predictions[row] for row in of if counted[row]).values()
        ends.append(len(wrong))
    return np.array(wrong, np.uint64), np.array(ends, np.uint64)
