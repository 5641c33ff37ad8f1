"""Many models on the same records, ranked."""

from __future__ import annotations

from collections.abc import Iterator

from ..._numbers import count, percent, plural
from ..._text import printable
from .. import figures
from ..results import Contents, Leaderboard
from ..tables import Column, Table
from ..words import digits_of, interval, limits, listed, number, span, with_interval
from . import estimates
from .block import Block, Finding

LEAD = (
    "All models on the records that they share, the best first. The ranks that a model may have follow from comparing "
    "all pairs, record by record: whether two intervals overlap does not say whether one model is better."
)
TITLE = "Leaderboard"
NAMED = 5  # so many models are named in a sentence; more are counted


def block(report: Contents) -> Block | None:
    """The models ordered by score, with their rank ranges."""
    if (board := report.leaderboard) is None:
        return None
    return Block(TITLE, LEAD, (_table(report, board),), tuple(_findings(report, board)), _picture(report, board))


def _table(report: Contents, board: Leaderboard) -> Table:
    scores = list(board.ranking.score)
    digits = digits_of(scores)
    best = board.ranking.best.tolist()
    word = "best" if sum(best) == 1 else "tied"
    rows = tuple(
        (_name(report, name), ranks, number(float(e), digits), interval(e, digits), word if tied else "")
        for name, ranks, e, tied in zip(board.ranking.names, board.ranges, scores, best, strict=True)
    )
    columns = (
        estimates.NAME,
        Column("rank", number=True),
        Column("score", number=True),
        estimates.INTERVAL,
        Column("with the best", note="Tied: no other model is surely better."),
    )
    return Table(f"{plural(len(rows), 'model')} by score", columns, rows, tuple(_notes(report, board)))


def _name(report: Contents, name: str) -> str:
    """The name of a model; the baseline is marked."""
    return f"{printable(name)}{' (baseline)' if name == report.options.baseline else ''}"


def _notes(report: Contents, board: Leaderboard) -> Iterator[str]:
    level = percent(report.options.confidence_level)
    rank = "Rank: the ranks that the tests of all pairs leave open"
    yield f"{rank}, all together at {level} ({board.ranking.test})."
    lost = f"; a model has up to {plural(board.unmatched, 'id')} more" if board.unmatched else ""
    yield f"Every model is scored on the same {plural(board.ranking.n, 'id')}{lost}."
    if board.apart:
        sizes = span(list(board.apart.values()))
        names = _named([printable(name) for name in board.apart])
        yield f"Not ranked, since they share too few ids with the others ({sizes}): {names}."
    yield from estimates.left_out(list(board.ranking.score)[:1])


def _named(names: list[str]) -> str:
    """The first names, and how many more there are."""
    more = [f"{count(len(names) - NAMED)} more"] if len(names) > NAMED else []
    return listed([*names[:NAMED], *more])


def _findings(report: Contents, board: Leaderboard) -> Iterator[Finding]:
    ranking = board.ranking
    names = [printable(name) for name in ranking.names]
    best = [name for name, tied in zip(names, ranking.best.tolist(), strict=True) if tied]
    first = ranking.score[0]
    figure = with_interval(first, digits_of([first]))
    of = f"of {plural(len(names), 'model')} on {plural(ranking.n, 'shared id')}"
    if len(best) == 1:
        yield Finding("better", f"{best[0]} is the best {of}: {figure}; every other model is surely worse.")
    else:
        others = _named([name for name in best if name != names[0]])
        yield Finding("undecided", f"{names[0]} scores best {of}: {figure}; it cannot be told from {others}.")
    baseline = report.options.baseline
    if baseline is not None and baseline in ranking.names:
        at = ranking.names.index(baseline)
        better = int(ranking.rank_low[at]) - 1
        worse = len(names) - int(ranking.rank_high[at])
        ranks = f"rank {board.ranges[at]} of {len(names)}"
        said = f"{count(better)} surely better, {count(worse)} surely worse"
        yield Finding("undecided", f"{printable(baseline)}, the baseline, has {ranks}: {said}.")


def _picture(report: Contents, board: Leaderboard) -> tuple[figures.Picture, ...]:
    bars = [
        figures.Bar(f"{_name(report, name)}  {ranks}", float(e), limits(e), None, "" if best else "undecided")
        for name, ranks, e, best in zip(
            board.ranking.names, board.ranges, board.ranking.score, board.ranking.best.tolist(), strict=True
        )
    ]
    label = "Scores of the models, the best first, with their intervals and ranks; the table has the numbers"
    return figures.intervals(bars, "board", label, axis="score (blue: tied with the best)")
