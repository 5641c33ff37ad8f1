"""What a report says: its tables, and its findings in sentences. Text only; how it is drawn is decided elsewhere."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from .._text import printable
from ..errors import keyword
from ..estimate import Estimate
from ..records.roles import NO_SCORE, ROLES
from ..records.run import of_ids
from .results import FEW_CLUSTERS, MOST_LOST
from .tables import Column, Table
from .words import MISSING, count, interval, listed, lost, number, percent, places, plural, probability

if TYPE_CHECKING:
    from ..calibration import Reliability
    from .results import Contents, ModelResult, Options, PairResult, Section

NAME = Column("model")
N = Column("n", number=True)
INTERVAL = Column("interval", number=True)
ERROR = Column("std. error", number=True, brief=False)
METHOD = Column("method", brief=False)


def headline(report: Contents) -> str:
    """One line: how many models, how many records, which level."""
    models = plural(len(report.models), "model")
    records = _span([model.n for model in report.models])
    noun = "record" if records == "1" else "records"
    each = " each" if len(report.models) > 1 else ""
    return f"{models}, {records} {noun}{each}, {percent(report.options.confidence_level)} intervals"


def tables(report: Contents) -> Iterator[Table]:
    """All tables, in the order in which they are read."""
    yield from scores(report)
    yield from comparisons(report)
    yield from calibration(report)
    yield from perplexity(report)


def made_by(estimates: Iterable[Estimate]) -> tuple[str, ...]:
    """How the intervals were made and why, each distinct sentence once."""
    said: dict[str, None] = {}
    for e in estimates:
        how = f"{_capital(_method(e))} interval" if e.low is not None and e.method else "No interval"
        said.setdefault(f"{how}: {e.reason}." if e.reason else f"{how}.")
    return tuple(said)


def _rough(entries: Iterable[tuple[str, Estimate]]) -> Iterator[str]:
    """Which intervals rest on few clusters."""
    clusters = [(name, one(e.n_clusters)) for name, e in entries if e.low is not None]
    few = [f"{printable(name)}: {count(n)}" for name, n in clusters if n is not None and n < FEW_CLUSTERS]
    if few:
        yield f"Fewer than {FEW_CLUSTERS} clusters ({', '.join(few)}): such an interval is rough."


def _method(e: Estimate) -> str:
    """The method's name in a sentence or a cell."""
    return "Student's t" if e.method == "t" else str(e.method)


def _capital(text: object) -> str:
    """The text with its first letter capital and the rest as it is."""
    return str(text)[:1].upper() + str(text)[1:]


def _left_out(estimates: Iterable[Estimate]) -> tuple[str, ...]:
    counts: dict[str, int] = {}
    for e in estimates:
        for why, n in e.left_out.items():
            counts[why] = counts.get(why, 0) + n
    return tuple(f"Left out: {count(n)} {printable(why)}." for why, n in counts.items() if n)


def _digits(estimates: Sequence[Estimate]) -> int:
    return places([one(e.standard_error) for e in estimates], [float(e) for e in estimates])


def one(value: object) -> float | None:
    """A field of an Estimate of one problem, as mypy cannot know it."""
    return None if value is None else float(value)  # type: ignore[arg-type]


def _n(e: Estimate) -> str:
    clusters = f" in {count(one(e.n_clusters) or 0)}" if e.n_clusters is not None else ""
    return f"{count(one(e.n) or 0)}{clusters}"


def scores(report: Contents) -> Iterator[Table]:
    """Each model's score, and what is missing beside it; a model none of whose records counts has a row too."""
    models = [m for m in report.models if m.score is not None or _nothing_counts(m)]
    if not models:
        return
    digits = _digits([m.score for m in models if m.score is not None])
    table = _of_estimates("Score of each model", NAME, "score", [(m.name, m.score, digits) for m in models])
    for title, counts in (("no answer", [m.no_answer for m in models]), ("no score", [m.no_score for m in models])):
        if any(counts):
            table = _beside(table, title, [count(n) for n in counts])
    cases = [_other_case(m) for m in models if 0 < m.other_case <= MOST_LOST * m.n]  # of more it is said first
    empty = [f"No record of {printable(m.name)} counts{lost(m.left_out)}." for m in models if m.score is None]
    yield replace(table, notes=(*table.notes, *empty, *_missing(models), *cases, *_merged(models)))


def _other_case(model: ModelResult) -> str:
    """How many answers are wrong for their case alone."""
    of = f"{count(model.other_case)} of {printable(model.name)}'s {plural(model.n, 'answer')}"
    return f"{of} would be right but for upper and lower case, and count as wrong."


def _nothing_counts(model: ModelResult) -> bool:
    """Whether a model should have a score and has no record for one."""
    return model.n == 0 and ROLES["loglikelihood"].absent not in model.left_out


def _beside(table: Table, title: str, cells: Sequence[str]) -> Table:
    """The table with another column of numbers, before how the interval was made."""
    rows = tuple((*row[:-2], cell, *row[-2:]) for row, cell in zip(table.rows, cells, strict=True))
    columns = (*table.columns[:-2], Column(title, number=True), *table.columns[-2:])
    return replace(table, rows=rows, columns=columns)


def _missing(models: Sequence[ModelResult]) -> Iterator[str]:
    """What became of missing answers and scores."""
    if any(m.no_answer for m in models):
        yield "No answer: a wrong answer, 0."
    if any(m.no_score for m in models):
        filled = {m.filled for m in models if m.no_score}
        yield "No score: " + " or ".join("left out" if one is None else f"counts as {one:g}" for one in filled) + "."


def _merged(models: Sequence[ModelResult]) -> Iterator[str]:
    """Which models have several records of an id, and that these count once."""
    of: dict[str, list[str]] = {}
    for m in models:
        if m.merged:
            records = f"{count(m.merged['records'])} records {of_ids(m.merged)}"
            of.setdefault(records, []).append(printable(m.name))
    for records, names in of.items():
        yield f"Every id counts once: {listed(names)} {'has' if len(names) == 1 else 'have'} {records}."


def _of_estimates(title: str, first: Column, value: str, entries: Sequence[tuple[str, Estimate | None, int]]) -> Table:
    """A line for each Estimate, with so many digits (None: of no record); ``first`` is the column of names."""
    known = [(name, e) for name, e, _ in entries if e is not None]
    estimates = [e for _, e in known]
    rows = [(printable(name), *_estimate_cells(e, digits)) for name, e, digits in entries]
    clustered = any(e.n_clusters is not None for e in estimates)
    columns = (
        first,
        Column("n in clusters" if clustered else "n", number=True),
        Column(value, number=True),
        INTERVAL,
        ERROR,
        METHOD,
    )
    return Table(title, columns, tuple(rows), (*made_by(estimates), *_rough(known), *_left_out(estimates)))


def _estimate_cells(e: Estimate | None, digits: int) -> tuple[str, ...]:
    """How many there are, the value, its interval and error, and the method."""
    if e is None:
        return (count(0), MISSING, MISSING, MISSING, MISSING)
    return (
        _n(e),
        number(one(e.value), digits),
        interval(one(e.low), one(e.high), digits),
        number(one(e.standard_error), digits),
        _method(e),
    )


def comparisons(report: Contents) -> Iterator[Table]:
    """For each baseline, what the other models differ by; how all of it was made stands under the last table."""
    baselines = list(dict.fromkeys(pair.baseline for pair in report.pairs))
    for baseline in baselines:
        pairs = [pair for pair in report.pairs if pair.baseline == baseline]
        yield _against(report, pairs, tuple(_pair_notes(report)) if baseline == baselines[-1] else ())


def _against(report: Contents, pairs: Sequence[PairResult], notes: tuple[str, ...]) -> Table:
    estimates = [pair.difference for pair in pairs]
    digits = _digits(estimates)
    several = len(report.pairs) > 1
    unmatched = any(pair.unmatched for pair in report.pairs)
    rows = [
        (
            printable(pair.model),
            number(one(e.value), digits, signed=True),
            interval(one(e.low), one(e.high), digits),
            *([interval(one(pair.simultaneous.low), one(pair.simultaneous.high), digits)] if several else []),
            number(one(e.standard_error), digits),
            probability(pair.p_value),
            *([probability(pair.p_adjusted)] if several else []),
            f"{count(pair.wins)}/{count(pair.losses)}",
            count(pair.ties),
            *([_n(e), count(pair.unmatched)] if unmatched else []),
            verdict(pair),
        )
        for pair, e in zip(pairs, estimates, strict=True)
    ]
    columns = (
        NAME,
        Column("diff", number=True),
        INTERVAL,
        *([Column(f"at {_strict(report)}", number=True, brief=False)] if several else []),
        ERROR,
        Column("p", number=True, brief=not several),
        *([Column("p (Holm)", number=True)] if several else []),
        Column("won/lost", number=True),
        Column("tied", number=True, brief=False),
        *([Column(title, number=True, brief=False) for title in ("matched", "unmatched")] if unmatched else []),
        Column("verdict"),
    )
    return Table(f"Difference from {printable(pairs[0].baseline)}, paired by id", columns, tuple(rows), notes)


def _pair_notes(report: Contents) -> Iterator[str]:
    """How rows were matched, how the verdicts were read and the intervals made."""
    matched = _span([int(one(pair.difference.n) or 0) for pair in report.pairs])
    unmatched = _span([pair.unmatched for pair in report.pairs])
    yield f"{matched} ids matched, {unmatched} unmatched. Won/lost: ids on which the model scored better/worse."
    margin = f"margin {report.options.margin:g}"
    m = len(report.pairs)
    if m > 1:
        shown = percent(report.options.confidence_level)
        strict = _strict(report)
        yield f"Verdicts ({margin}) read intervals at {strict}, so that they hold together; those shown are at {shown}."
        for pair in report.pairs:
            if pair.verdict_unadjusted != pair.verdict:
                found = f"{printable(pair.model)} - {printable(pair.baseline)} is {_simultaneous(pair)} at {strict}"
                alone = pair.verdict_unadjusted.replace("_", " ")
                yield f"{found}: {verdict(pair)}; at {shown} alone it would be {alone}."
    else:
        yield f"The verdict ({margin}) reads the interval."
    if any(pair.simultaneous.low is None for pair in report.pairs):
        yield "Without an interval a verdict is undecided."
    yield from made_by(pair.difference for pair in report.pairs)
    tests = " or ".join(dict.fromkeys(pair.test for pair in report.pairs))
    yield f"p: {tests}" + (f", adjusted for {m} comparisons by Holm." if m > 1 else ".")
    yield from _smallest_p(report.pairs)
    yield from _left_out(pair.difference for pair in report.pairs)


def _smallest_p(pairs: Sequence[PairResult]) -> Iterator[str]:
    """The smallest p that is possible, where there are few signs to flip."""
    said: dict[str, None] = {}
    for pair in pairs:
        if pair.smallest_p is not None:
            e = pair.difference
            what, n = ("pair", e.n) if e.n_clusters is None else ("cluster", e.n_clusters)
            signs, all_ = int(e.detail["signs"]), int(one(n) or 0)
            few = plural(all_, what) if signs == all_ else f"{count(signs)} of {plural(all_, what)} differ"
            rough = ", and the interval is rough" if e.low is not None and all_ < FEW_CLUSTERS else ""
            said.setdefault(f"Only {few}: no p below {probability(pair.smallest_p)} is possible{rough}.")
    yield from said


def _strict(report: Contents) -> str:
    """The level of the intervals that verdicts read."""
    return percent(round(report.pairs[0].simultaneous.confidence_level, 4))


def _simultaneous(pair: PairResult) -> str:
    """The interval that the verdict reads."""
    e = pair.simultaneous
    return interval(one(e.low), one(e.high), _digits([pair.difference]))


def _span(counts: Sequence[int]) -> str:
    """``1,319``, or ``1,200 to 1,319`` where they differ."""
    low, high = min(counts), max(counts)
    return count(low) if low == high else f"{count(low)} to {count(high)}"


def verdict(pair: PairResult) -> str:
    """The verdict in words."""
    return pair.verdict.replace("_", " ")


def calibration(report: Contents) -> Iterator[Table]:
    """Whether confidences mean what they say."""
    known = [(m.name, m.reliability) for m in report.models if m.reliability is not None]
    if not known:
        return
    estimates = [r.ece for _, r in known]
    digits = _digits(estimates)
    notes = (
        *_calibration_verdicts(known),
        *_clusters_note(estimates),
        *made_by(estimates),
        *_rough((name, r.ece) for name, r in known),
        *_left_out(estimates),
    )
    rows = tuple(_calibration_row(name, result, digits) for name, result in known)
    clustered = any(e.n_clusters is not None for e in estimates)
    yield Table("Calibration of each model", _calibration_columns(clustered), rows, notes)


def _calibration_verdicts(known: Iterable[tuple[str, Reliability]]) -> Iterator[str]:
    """Which models are what, each verdict once."""
    of: dict[str, list[str]] = {}
    for name, result in known:
        of.setdefault(_calibrated(result)[1], []).append(printable(name))
    for shown, names in of.items():
        yield f"{_capital(shown)}: {listed(names)}."


def _calibration_columns(clustered: bool) -> tuple[Column, ...]:
    ece = "ECE is the mean distance between confidence and accuracy over bins of equal width."
    gap = "Gap is confidence - accuracy."
    floor = "Floor is what the ECE of a calibrated model with these confidences would be on average."
    return (
        NAME,
        Column("n in clusters" if clustered else "n", number=True),
        Column("confidence", number=True),
        Column("accuracy", number=True),
        Column("ECE", number=True, note=ece),
        INTERVAL,
        Column("floor", number=True, brief=False, note=floor),
        Column("RMS", number=True, brief=False),
        Column("MCE", number=True, brief=False),
        Column("gap", number=True, brief=False, note=gap),
        Column("gap interval", number=True, brief=False),
    )


def _calibration_row(name: str, result: Reliability, digits: int) -> tuple[str, ...]:
    confidence, accuracy = confidence_and_accuracy(result)
    return (
        printable(name),
        _n(result.ece),
        number(confidence, min(digits, 4)),
        number(accuracy, min(digits, 4)),
        number(one(result.ece.value), digits),
        interval(one(result.ece.low), one(result.ece.high), digits),
        number(result.noise_floor, digits),
        number(one(result.rmsce.value), digits),
        number(one(result.mce.value), digits),
        number(one(result.gap.value), digits, signed=True),
        interval(one(result.gap.low), one(result.gap.high), digits),
    )


def _clusters_note(estimates: Sequence[Estimate]) -> Iterator[str]:
    """How many clusters there are, and what that means for the words."""
    clusters = [int(one(e.n_clusters) or 0) for e in estimates if e.n_clusters is not None]
    if clusters:
        noun = "cluster" if set(clusters) == {1} else "clusters"
        yield f"Records in {_span(clusters)} {noun}: those of one cluster may be right or wrong together."


def confidence_and_accuracy(result: Reliability) -> tuple[float, float]:
    """Mean confidence and accuracy."""
    accuracy = float(result.frequency)
    return float(result.gap) + accuracy, accuracy


def perplexity(report: Contents) -> Iterator[Table]:
    """Perplexity from the log-likelihoods."""
    known = [(m.name, m.perplexity) for m in report.models if m.perplexity is not None]
    if not known:
        return
    estimates = [e for _, e in known]
    digits = _digits(estimates)
    rows = [
        (
            printable(name),
            count(one(e.detail.get("units", e.n)) or 0),
            count(one(e.n_clusters) or 0) if e.n_clusters is not None else "-",
            number(one(e.value), digits),
            interval(one(e.low), one(e.high), digits),
            number(one(e.standard_error), digits),
        )
        for name, e in known
    ]
    columns = (
        NAME,
        Column("tokens", number=True),
        Column("clusters", number=True),
        Column("perplexity", number=True),
        INTERVAL,
        ERROR,
    )
    notes = (*made_by(estimates), *_rough(known), *_left_out(estimates))
    yield Table("Perplexity per token", columns, tuple(rows), notes)


def words(section: Section) -> tuple[str, ...]:
    """Title and text of a section of the caller's own."""
    return tuple(printable(text) for text in (section.title, section.text) if text)


def supplied(section: Section) -> Iterator[Table]:
    """The estimates of a section of the caller's own, each with the digits that its error allows."""
    if not section.estimates:
        return
    rows = [(name, e, _digits([e])) for name, e in section.estimates.items()]
    yield _of_estimates(f"{printable(section.title)}: estimates", Column("estimate"), "value", rows)


class Finding(NamedTuple):
    """A sentence, and in one word what it amounts to."""

    word: str
    text: str


def findings(report: Contents) -> list[Finding]:
    """The report in sentences, for someone who reads nothing else."""
    return [
        *(Finding("caution", text) for text in cautions(report)),
        *(_pair_finding(pair, report) for pair in report.pairs),
        *_calibration_findings(report.models),
    ]


def cautions(report: Contents) -> list[str]:
    """Where much of what was read does not count: nobody should have to find that in a column."""
    return [f"Caution: {text}" for text in (*_lost_records(report), *_unmatched(report), *_other_targets(report))]


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
            yield _other_case(m)
        all_ = m.n + m.no_score
        if m.filled is None and m.no_score > MOST_LOST * all_:
            said = f"{count(m.no_score)} of {printable(m.name)}'s {plural(all_, 'record')}"
            bad_score = f"{keyword('missing')} and the number of a bad score"
            how = keyword("missing", "wrong") if report.options.higher_is_better else bad_score
            yield f"{said} have no score and are left out; if they are failures, count them with {how}."


def _unmatched(report: Contents) -> Iterator[str]:
    """Pairs that were compared on a part of what one of the two has."""
    for pair in report.pairs:
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


def _pair_finding(pair: PairResult, report: Contents) -> Finding:
    e = pair.difference
    figures = _with_interval(e, _digits([e]), signed=True)
    shown = probability(pair.p_adjusted)
    relation = shown.replace("<", "< ") if shown.startswith("<") else f"= {shown}"
    p = f"p {relation}{' (Holm)' if len(report.pairs) > 1 else ''}"
    strict = f" (at {_strict(report)} {_simultaneous(pair)})" if len(report.pairs) > 1 and e.low is not None else ""
    clusters = f" in {plural(int(one(e.n_clusters) or 0), 'cluster')}" if e.n_clusters is not None else ""
    ids = f"{plural(int(one(e.n) or 0), 'shared id')}{clusters}"
    return Finding(verdict(pair), f"{_claim(pair, report.options)}: {figures}{strict}, {p}, {ids}.")


def _claim(pair: PairResult, options: Options) -> str:
    """What the verdict amounts to with its margin, read from the interval that decides it."""
    name, base, margin = printable(pair.model), printable(pair.baseline), f"{options.margin:g}"
    most = f" by more than {margin}" if options.margin else ""
    loss = _largest_loss(pair, options)
    match verdict(pair):
        case "undecided" if loss is not None:
            return f"{name} is worse than {base}, but not surely{most} (undecided)"
        case "undecided":
            return f"{name} against {base} is undecided{f' with a margin of {margin}' if options.margin else ''}"
        case "not worse" if loss is not None:
            bound = number(loss, _digits([pair.difference]))
            return f"{name} is worse than {base} by at most {bound}, within the margin {margin} (non-inferior)"
        case word:
            return f"{name} is {word} than {base}{'' if word == 'better' else most}"


def _largest_loss(pair: PairResult, options: Options) -> float | None:
    """Where the interval that decides holds losses alone, the largest of them."""
    low, high = one(pair.simultaneous.low), one(pair.simultaneous.high)
    if low is None or high is None:
        return None
    best, worst = (high, low) if options.higher_is_better else (-low, -high)
    return -worst if best < 0.0 else None


def _calibration_findings(models: Sequence[ModelResult]) -> Iterator[Finding]:
    for model in models:
        if model.reliability is None:
            continue
        result = model.reliability
        confidence, accuracy = confidence_and_accuracy(result)
        digits = _digits([result.ece])
        word, shown = _calibrated(result)
        claim = f"says {confidence * 100:.1f} % on average and is right {accuracy * 100:.1f} %"
        gap, ece = _with_interval(result.gap, digits, signed=True), _with_interval(result.ece, digits)
        clusters = f"; {plural(result.n_clusters, 'cluster')}" if result.n_clusters is not None else ""
        yield Finding(word, f"{printable(model.name)} is {shown}: it {claim}, a gap of {gap}; ECE {ece}{clusters}.")


def _calibrated(result: Reliability) -> tuple[str, str]:
    """What both intervals together say, in a word and in words; where they disagree it is undecided."""
    ece, gap = result.ece, result.gap
    word = str(result.verdict())
    if word != "undecided":
        return word, word
    if ece.low is None or gap.low is None or gap.high is None:
        return word, "undecided (one cluster cannot tell)"
    if gap.low <= 0.0 <= gap.high:
        return "calibrated", "consistent with being calibrated"
    kind = "overconfident" if gap.low > 0.0 else "underconfident"
    return word, f"undecided, calibrated or {kind} (the interval of the gap excludes 0, that of the ECE does not)"


def _with_interval(e: Estimate, digits: int, *, signed: bool = False) -> str:
    """``0.12 [0.10, 0.14]``, or ``0.12, no interval``."""
    value = number(one(e.value), digits, signed=signed)
    return f"{value}, no interval" if e.low is None else f"{value} {interval(one(e.low), one(e.high), digits)}"


def remarks(report: Contents) -> list[str]:
    """What was read, guessed and left out."""
    read = [f"Read {plural(n, 'record')} of {printable(file)}" for file, n in report.read.items()]
    said = [f"Guessed: {'; '.join(map(printable, report.guesses))}"] if report.guesses else []
    said += [
        f"Left out of {printable(file)}: {count(n)} {printable(why)}"
        for file, counts in report.left_out.items()
        for why, n in counts.items()
        if n
    ]
    said += [f"Note: {printable(note)}" for note in report.notes]
    return read + (said or ["Nothing was guessed and no record was left out."])
