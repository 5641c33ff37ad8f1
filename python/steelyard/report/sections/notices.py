"""What was read, guessed and left out: cautions that stand above everything else, and remarks that stand below."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ..._numbers import count, percent, plural
from ..._text import printable
from ...config import show_config
from ...errors import keyword
from ...records.roles import NO_SCORE, ROLES
from ..results import MOST_LOST, Contents, ModelResult
from ..words import digits_of, interval, limits, listed, lost, rows

MOST_FILES = 6  # of more files the sums are shown
NAMED_FILES = 5  # so many are named at the top; more are counted


def asked(report: Contents) -> list[tuple[str, str]]:
    """What the report is of and which options it was made with, in pairs of a term and what stands for it.

    Nothing here depends on the clock or the machine, so that the page has the same bytes each time.
    """
    options, config = report.options, show_config(mode="dicts")
    files = [printable(file) for file in report.sources]
    shown = [*files[:NAMED_FILES], *([f"{count(len(files) - NAMED_FILES)} more"] if len(files) > NAMED_FILES else [])]
    direction = "higher" if options.higher_is_better else "lower"
    scored = any(model.score is not None for model in report.models)
    verdicts = f", margin {options.margin:g}, {direction} is better" if scored else ""
    said = {
        "files": listed(shown) if shown else "",
        "columns": "; ".join(f"{role}: {printable(column)}" for role, column in report.columns.items()),
        "baseline": printable(options.baseline) if options.baseline is not None else "",
        "clusters": printable(options.clusters) if options.clusters is not None else "",
        "groups": ", ".join(map(printable, options.by)),
        "options": f"{percent(options.confidence_level)} intervals{verdicts}",
        "date": printable(options.date) if options.date is not None else "",
        "made by": f"steelyard {config['version']}, numerics {config['numerics']}",
    }
    return [(term, text) for term, text in said.items() if text]


def cautions(report: Contents) -> list[str]:
    """Where much of what was read does not count: nobody should have to find that in a column."""
    return [
        f"Caution: {text}"
        for text in (*_lost_records(report), *_unmatched(report), *_other_targets(report), *_if_paired(report))
    ]


def _lost_records(report: Contents) -> Iterator[str]:
    """Models of which many records do not count, or count as wrong for the way they are written."""
    for file, counts in report.left_out.items():
        if (nameless := counts.get(ROLES["model"].absent, 0)) > MOST_LOST * report.read[file]:
            of = f"{count(nameless)} of the {plural(report.read[file], 'record')} of {printable(file)}"
            yield f"{of} name no model and are left out."
    for m in report.models:
        others = {why: n for why, n in m.left_out.items() if why != NO_SCORE}
        if sum(others.values()) > MOST_LOST * (m.n + sum(m.left_out.values())):
            whole = plural(m.n + sum(m.left_out.values()), "record")
            yield f"{printable(m.name)}'s score is of {count(m.n)} of {whole}{lost(others)}."
        if m.other_case > MOST_LOST * m.n:
            yield other_case(m)
        all_ = m.n + m.no_score
        if m.filled is None and m.no_score > MOST_LOST * all_:
            said = f"{count(m.no_score)} of {printable(m.name)}'s {plural(all_, 'record')}"
            bad_score = f"{keyword('missing')} and the number of a bad score"
            how = keyword("missing", "wrong") if report.options.higher_is_better else bad_score
            yield f"{said} have no score and are left out; if they are failures, count them with {how}."


def _unmatched(report: Contents) -> Iterator[str]:
    """Pairs that were compared on a part of what one of the two has."""
    for pair in report.pairs:
        if not pair.paired:
            continue
        name, all_ = max((pair.baseline, pair.of_baseline), (pair.model, pair.of_model), key=lambda side: side[1])
        if all_ - pair.matched > MOST_LOST * all_:
            of = f"{count(pair.matched)} of {printable(name)}'s {plural(all_, 'id')}"
            yield f"{printable(pair.model)} against {printable(pair.baseline)} is compared on {of} alone."


def _other_targets(report: Contents) -> Iterator[str]:
    """Pairs of which many ids have different targets."""
    for pair in report.pairs:
        if pair.other_targets > MOST_LOST * pair.matched:
            of = f"{count(pair.other_targets)} of {plural(pair.matched, 'shared id')}"
            names = f"{printable(pair.model)} against {printable(pair.baseline)}"
            yield f"{names}: {of} have different targets; these may be different questions."


def _if_paired(report: Contents) -> Iterator[str]:
    """Samples that share ids, whose paired comparison is sharper."""
    for pair in report.pairs:
        if (e := pair.if_paired) is None:
            continue
        digits = digits_of([e])
        shared = f"{printable(pair.model)} and {printable(pair.baseline)} share {plural(rows(e), 'id')}"
        width = f"{interval(e, digits)} instead of {interval(pair.difference, digits)}"
        if limits(pair.difference) is None:
            width = f"{interval(e, digits)} instead of no interval"
        yield (
            f"{shared}: paired by them the interval of the difference is {width}; leave out {keyword('paired')} if "
            "they answered the same questions."
        )


def other_case(model: ModelResult) -> str:
    """How many answers count as wrong only because they are written in another case than the target."""
    of = f"{count(model.other_case)} of {printable(model.name)}'s {plural(model.n, 'answer')}"
    return f"{of} would be right but for upper and lower case, and count as wrong."


def remarks(report: Contents) -> list[str]:
    """What was read, guessed and left out."""
    read = [f"Read {plural(n, 'record')} of {of}" for of, n in _by_file(report.read)]
    said = [f"Guessed: {'; '.join(map(printable, report.guesses))}"] if report.guesses else []
    of_reason: dict[str, dict[str, int]] = {}
    for file, counts in report.left_out.items():
        for why, n in counts.items():
            of_reason.setdefault(why, {})[file] = n
    many = max(map(len, of_reason.values()), default=0) > MOST_FILES
    for why, of_file in of_reason.items() if many else ():
        said += [f"Left out of {of}: {count(n)} {printable(why)}" for of, n in _by_file(of_file) if n]
    for file, counts in report.left_out.items() if not many else ():
        said += [f"Left out of {printable(file)}: {count(n)} {printable(why)}" for why, n in counts.items() if n]
    said += [f"Note: {printable(note)}" for note in report.notes]
    return read + (said or ["Nothing was guessed and no record was left out."])


def _by_file(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    """The count of each file, or, of many, the sum: the data of the report has them one by one."""
    if len(counts) <= MOST_FILES:
        return [(printable(file), n) for file, n in counts.items()]
    first, *_, last = counts
    return [(f"{count(len(counts))} files ({printable(first)} to {printable(last)})", sum(counts.values()))]
