"""Every pair of models on the records that both answered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ..._intervals import turned
from ..._numbers import count, percent, plural
from ..._text import printable
from .. import figures
from ..results import FEW_CLUSTERS, POWER, Contents, Options, PairResult
from ..tables import Column, Table
from ..words import (
    clusters,
    digits_of,
    error,
    interval,
    limits,
    number,
    probability,
    rows,
    size,
    span,
    verdict,
    with_interval,
)  # fmt: skip
from . import estimates
from .block import Block, Finding

LEAD = (
    "Every difference is taken id by id on the records that both models answered. "
    "That is the comparison to read: two intervals side by side do not answer which model is better."
)
UNPAIRED = (
    "The models answered different questions: the difference of their means, each of which has an error of its own. "
    "Two models on the same questions are told apart by fewer answers."
)
SEQUENTIAL = (
    "Sequential: ids count in the order of the model's file. Limits, p and verdicts of differences hold at every time "
    "at once: looks may be repeated as records come in, and collection may stop at any of them."
)
MOST_FRAGILE = 6  # of more pairs what would change their verdicts is on the page and in JSON alone
TWO_INTERVALS = " The thin line is the wider interval that the verdict reads, so that all verdicts hold together."


def block(report: Contents) -> Block | None:
    """For each baseline, what the other models differ by; how all of it was made stands under the last table."""
    if not report.pairs:
        return None
    chosen = report.leaderboard is None or report.options.baseline is not None
    of: dict[str, list[PairResult]] = {}
    for pair in report.pairs:
        of.setdefault(pair.baseline, []).append(pair)
    last = list(of)[-1]
    tables = [_table(report, pairs, tuple(_notes(report)) if name == last else ()) for name, pairs in of.items()]
    return Block(
        "Comparisons",
        (LEAD if report.options.paired else UNPAIRED) + (TWO_INTERVALS if report.several else ""),
        tuple(tables),
        findings=tuple(_finding(pair, report) for pair in report.pairs if chosen),
        pictures=_picture(report) if chosen else (),
        folded=not chosen,
    )


# -- the tables -----------------------------------------------------------------------------------------


def _table(report: Contents, pairs: Sequence[PairResult], notes: tuple[str, ...]) -> Table:
    """The pairs of one baseline. Columns that would be empty or the same in every row are left out."""
    digits = digits_of([pair.difference for pair in pairs])
    several, unmatched = report.several, any(pair.unmatched for pair in report.pairs)
    paired = report.options.paired
    cells = [
        (
            printable(pair.model),
            number(float(pair.difference), digits, signed=True),
            interval(pair.difference, digits),
            *([interval(pair.simultaneous, digits)] if several else []),
            error(pair.difference, digits),
            probability(pair.p_value),
            *([probability(pair.p_adjusted)] if several else []),
            *(
                [f"{count(pair.wins or 0)}/{count(pair.losses or 0)}", count(pair.ties or 0)]
                if paired
                else [_sizes(pair)]
            ),
            *([size(pair.difference), count(pair.unmatched)] if unmatched else []),
            number(pair.detectable, digits),
            verdict(pair.verdict),
        )
        for pair in pairs
    ]
    columns = (
        estimates.NAME,
        Column("diff", number=True),
        estimates.INTERVAL,
        *([Column(f"at {_strict(report)}", number=True, brief=False)] if several else []),
        estimates.ERROR,
        Column("p", number=True, brief=not several),
        *([Column("p (Holm)", number=True)] if several else []),
        *([Column("won/lost", number=True), Column("tied", number=True, brief=False)] if paired else []),
        *([] if paired else [Column("n, against", number=True)]),
        *([Column(title, number=True, brief=False) for title in ("matched", "unmatched")] if unmatched else []),
        Column("could see", number=True, brief=False),
        Column("verdict"),
    )
    how = "paired by id" if paired else "unpaired"
    return Table(f"Difference from {printable(pairs[0].baseline)}, {how}", columns, tuple(cells), notes)


def _notes(report: Contents) -> Iterator[str]:
    """How rows were matched, how the verdicts were read and the intervals made."""
    if report.options.paired:
        matched = span([rows(pair.difference) for pair in report.pairs])
        unmatched = span([pair.unmatched for pair in report.pairs])
        yield f"{matched} ids matched, {unmatched} unmatched. Won/lost: ids on which the model scored better/worse."
    else:
        yield "Unpaired: two samples of different questions. N, against: the answers of the model and of the baseline."
    if report.options.sequential:
        yield SEQUENTIAL
    yield from _verdict_notes(report)
    yield from estimates.made_by(pair.difference for pair in report.pairs)
    tests = " or ".join(dict.fromkeys(pair.test for pair in report.pairs))
    yield f"p: {tests}" + (f", adjusted for {len(report.pairs)} comparisons by Holm." if report.several else ".")
    yield from _smallest_p(report.pairs)
    yield from _detectable(report.pairs)
    yield from estimates.left_out(pair.difference for pair in report.pairs)


def _verdict_notes(report: Contents) -> Iterator[str]:
    """Which interval a verdict reads; and which verdicts the interval that is shown would have changed."""
    margin = f"margin {report.options.margin:g}"
    if report.several:
        shown, strict = percent(report.options.confidence_level), _strict(report)
        yield f"Verdicts ({margin}) read intervals at {strict}, so that they hold together; those shown are at {shown}."
        for pair in report.pairs:
            if pair.verdict_unadjusted != pair.verdict:
                found = f"{printable(pair.model)} - {printable(pair.baseline)} is {_simultaneous(pair)} at {strict}"
                alone = verdict(pair.verdict_unadjusted)
                yield f"{found}: {verdict(pair.verdict)}; at {shown} alone it would be {alone}."
    else:
        yield f"The verdict ({margin}) reads the interval."
    if report.options.paired and not report.options.sequential and len(report.pairs) <= MOST_FRAGILE:
        yield from (_fragility(pair) for pair in report.pairs if limits(pair.simultaneous) is not None)
    if any(limits(pair.simultaneous) is None for pair in report.pairs):
        yield "Without an interval a verdict is undecided."


def _fragility(pair: PairResult) -> str:
    """How few items the verdict rests on."""
    name = f"{printable(pair.model)} - {printable(pair.baseline)}"
    if (found := pair.fragility) is None:
        return f"{name} stays {verdict(pair.verdict)} however many of its losses, or of its wins, were ties."
    all_ = (pair.losses if found.of == "losses" else pair.wins) or 0
    first = "" if str(pair.difference.method) == "Tango" else "the largest "  # losses of 0/1 scores are all equal
    ties = "was a tie" if found.items == 1 else "were ties"
    some = f"{first}{count(found.items)} of its {count(all_)} {found.of}"
    if all_ == found.items:
        some = f"its only {'loss' if found.of == 'losses' else 'win'}" if all_ == 1 else f"all its {found.of}"
    changed = f"{some} {ties}"
    return f"{name} would be {verdict(found.verdict)} if {changed}."


def _smallest_p(pairs: Sequence[PairResult]) -> Iterator[str]:
    """The smallest p that is possible, where there are few signs to flip."""
    said: dict[str, None] = {}
    for pair in pairs:
        if pair.smallest_p is not None:
            e = pair.difference
            found = clusters(e)
            what, all_ = ("pair", rows(e)) if found is None else ("cluster", found)
            signs = int(e.detail["signs"])
            few = plural(all_, what) if signs == all_ else f"{count(signs)} of {plural(all_, what)} differ"
            rough = ", and the interval is rough" if limits(e) is not None and all_ < FEW_CLUSTERS else ""
            said.setdefault(f"Only {few}: no p below {probability(pair.smallest_p)} is possible{rough}.")
    yield from said


def _detectable(pairs: Sequence[PairResult]) -> Iterator[str]:
    """Which differences the comparisons could have seen."""
    found = [pair.detectable for pair in pairs if pair.detectable is not None]
    if found:
        digits = digits_of([pair.difference for pair in pairs])
        low, high = number(min(found), digits), number(max(found), digits)
        seen = low if low == high else f"{low} to {high}"
        yield f"Could see: with a true difference of {seen} a verdict is clear with a probability of {percent(POWER)}."


def _strict(report: Contents) -> str:
    """The level of the intervals that verdicts read."""
    return percent(round(report.pairs[0].simultaneous.confidence_level, 4))


def _simultaneous(pair: PairResult) -> str:
    """The interval that the verdict reads."""
    return interval(pair.simultaneous, digits_of([pair.difference]))


# -- in sentences ---------------------------------------------------------------------------------------


def _finding(pair: PairResult, report: Contents) -> Finding:
    e = pair.difference
    figure = with_interval(e, digits_of([e]), signed=True)
    strict = f" (at {_strict(report)} {_simultaneous(pair)})" if report.several and limits(e) is not None else ""
    shown = probability(pair.p_adjusted)
    relation = shown.replace("<", "< ") if shown.startswith("<") else f"= {shown}"
    p = f"p {relation}{' (Holm)' if report.several else ''}"
    found = clusters(e)
    ids = plural(rows(e), "shared id") + ("" if found is None else f" in {plural(found, 'cluster')}")
    if not pair.paired:
        ids = f"unpaired, {_sizes(pair)} answers"
    return Finding(verdict(pair.verdict), f"{_claim(pair, report.options)}: {figure}{strict}, {p}, {ids}.")


def _sizes(pair: PairResult) -> str:
    """The numbers of answers of two samples, with the clusters they are in, if any."""
    detail = pair.difference.detail
    sizes = [count(detail[f"n_{side}"]) for side in ("new", "baseline")]
    if clusters(pair.difference) is not None:
        groups = [count(detail[f"clusters_{side}"]) for side in ("new", "baseline")]
        sizes = [f"{n} in {of}" for n, of in zip(sizes, groups, strict=True)]
    return " against ".join(sizes)


def _claim(pair: PairResult, options: Options) -> str:
    """What the verdict amounts to with its margin, read from the interval that decides it."""
    name, base, margin = printable(pair.model), printable(pair.baseline), f"{options.margin:g}"
    most = f" by more than {margin}" if options.margin else ""
    loss = _largest_loss(pair, options)
    match verdict(pair.verdict):
        case "undecided" if loss is not None:
            return f"{name} is worse than {base}, but not surely{most} (undecided)"
        case "undecided":
            return f"{name} against {base} is undecided{f' with a margin of {margin}' if options.margin else ''}"
        case "not worse" if loss is not None:
            bound = number(loss, digits_of([pair.difference]))
            return f"{name} is worse than {base} by at most {bound}, within the margin {margin} (non-inferior)"
        case word:
            return f"{name} is {word} than {base}{'' if word == 'better' else most}"


def _largest_loss(pair: PairResult, options: Options) -> float | None:
    """The largest loss in the interval that decides, where that holds losses alone."""
    if (found := limits(pair.simultaneous)) is None:
        return None
    low, high = turned(*found, higher_is_better=options.higher_is_better)
    return -low if high < 0.0 else None


# -- the picture ----------------------------------------------------------------------------------------


def _picture(report: Contents) -> tuple[figures.Picture, ...]:
    """The differences with their intervals; the name of the baseline stands on the axis if all have the same one."""
    single = len({pair.baseline for pair in report.pairs}) == 1
    short = figures.without_owner(one for pair in report.pairs for one in (pair.model, pair.baseline))
    bars = []
    for pair in report.pairs:
        new, base = (figures.shortened(short[one], 22) for one in (pair.model, pair.baseline))
        name = pair.model if single else f"{new} − {base}"
        wider = limits(pair.simultaneous) if report.several else None
        bars.append(figures.Bar.of(name, pair.difference, wider, pair.verdict))
    against = f" (model − {printable(report.pairs[0].baseline)})" if single else ""
    options = report.options
    return figures.intervals(
        bars,
        "differences",
        f"{'Paired differences' if options.paired else 'Differences'}, with intervals; the tables have the numbers",
        axis=f"difference in score{against}",
        zero=True,
        loss=-options.margin if options.higher_is_better else options.margin,
    )
