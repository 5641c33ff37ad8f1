"""What the report on preference data says: its tables, its pictures and the sentences around them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from math import isfinite
from typing import TYPE_CHECKING

from .._estimate import Estimate
from .._numbers import count, percent, plural
from .._text import listed_counts, printable
from ..config import show_config
from . import figures
from .figures import BLUE, GREY, INK, ORANGE, Bar, Picture
from .html import rendered
from .preferences_doubts import doubts
from .results import MOST_LOST
from .sections import Block, Finding, estimates
from .tables import Column, Table
from .words import MISSING, digits_of, interval, limits, number, places, with_interval

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from .preferences_results import PreferencesContents

MOST_REPEATED = 0.05  # a larger share of rows that repeat earlier ones is a caution
# What is counted of single answers with labels.
OF_ANSWERS = {
    "prompts of several pairs": "prompts of several answers",
    "pairs of one prompt, at most": "answers to one prompt, at most",
    "pairs without a prompt": "answers without a prompt",
    "pairs with an empty answer": "empty answers",
    "pairs that several rows have": "answers that several rows have",
    "pairs that occur in both orders": "answers with both labels",
}
COLUMNS = 60  # of the picture of margins
WITHIN = 0.005  # the share of the margins on each side that the picture leaves out


def headline(report: PreferencesContents) -> str:
    """One line: how many pairs of how many prompts, which level."""
    audit = report.audit
    prompts = "" if audit.n_clusters is None else f" of {plural(audit.n_clusters, 'cluster')}"
    if audit.texts is not None and "cluster" not in report.columns and audit.n_clusters is not None:
        prompts = f" of {plural(audit.n_clusters, 'prompt')}"
    return f"{plural(audit.pairs, 'pair')}{prompts}, {percent(audit.confidence_level)} intervals"


def cautions(report: PreferencesContents) -> list[str]:
    """What would be misread otherwise."""
    return list(_cautions(report))


def _cautions(report: PreferencesContents) -> Iterator[str]:
    audit = report.audit
    texts, rewards, lost = audit.texts, audit.rewards, audit.left_out
    if sum(lost.values()) > MOST_LOST * audit.rows:
        yield f"{count(sum(lost.values()))} of {plural(audit.rows, 'row')} enter no estimate ({listed_counts(lost)})"
    if rewards is not None and sum(rewards.left_out.values()) > MOST_LOST * audit.pairs:
        yield f"the rewards are of {plural(rewards.pairs, 'pair')} alone ({listed_counts(rewards.left_out)})"
    if texts is not None and texts.duplicates > MOST_REPEATED * audit.rows:
        yield f"{plural(texts.duplicates, 'row')} repeat an earlier one word for word"
    if texts is not None and texts.without_prompt:
        yield f"the prompt of {plural(texts.without_prompt, 'pair')} is not known: each counts as a prompt of its own"
    if audit.n_clusters == 1:
        yield "all pairs are of one prompt, and nothing tells how much another would differ: there are no intervals"
    if rewards is not None:
        if not isfinite(float(rewards.fitted_beta)):
            yield f"beta has no finite maximum: {rewards.fitted_beta.reason}"
        elif float(rewards.fitted_beta) <= 0:
            yield "the rewards do not point to the chosen answers: the likeliest beta is not above 0"


def findings(report: PreferencesContents) -> list[Finding]:
    """The report in sentences."""
    return [Finding("caution", f"Caution: {text}.") for text in cautions(report)] + list(_findings(report))


def _findings(report: PreferencesContents) -> Iterator[Finding]:
    audit = report.audit
    if (texts := audit.texts) is not None:
        of = f"{plural(texts.contradictions, 'pair')} of answers occur in both orders"
        if audit.desirable is not None:
            of = f"{plural(texts.contradictions, 'answer')} occur with both labels"
        known = None if texts.noise is None else limits(texts.noise)
        least = f"; by these at least {known[0]:.1%} of the labels are wrong" if known and known[0] > 0 else ""
        again = f"{plural(texts.duplicates, 'row')} repeat an earlier one"
        yield Finding("worse" if texts.contradictions else "more", f"{of}{least}; {again}.")
    if (lengths := audit.lengths) is not None:
        word = "worse" if _beyond(lengths.longer, 0.5) else "more"
        yield Finding(word, f"The chosen answer is the longer one in {_percents(lengths.longer)} of the pairs.")
    if audit.desirable_longer is not None:
        word = "worse" if _beyond(audit.desirable_longer, 0.5) else "more"
        yield Finding(
            word, f"A desirable answer is the longer one in {_percents(audit.desirable_longer)} of all couples."
        )
    if (scores := audit.scores) is not None:
        yield Finding("more", f"The scores agree with the labels in {_percents(scores.agreement)} of the pairs.")
    if (rewards := audit.rewards) is None:
        return
    controlled = rewards.length_controlled
    same = "" if controlled is None else f", {_percents(controlled)} with lengths balanced"
    yield Finding(
        "more", f"The implicit reward agrees with the labels in {_percents(rewards.accuracy)} of the pairs{same}."
    )
    if rewards.displaced is not None:
        yield Finding(
            "more",
            f"In {_percents(rewards.displaced)} of the pairs the chosen answer fell below the reference while the "
            "margin rose.",
        )
    fitted = rewards.fitted_beta
    if limits(fitted) is not None:
        side = _beyond(fitted, rewards.beta)
        word = {0: "calibrated", 1: "underconfident", -1: "overconfident"}[side]
        than = {0: "is among them", 1: "is too small", -1: "is too large"}[side]
        yield Finding(
            word, f"The likeliest beta is {with_interval(fitted, digits_of([fitted]))}: {rewards.beta:g} {than}."
        )
    if rewards.noise is not None:
        yield Finding("more", f"By the likelihood of the rewards {_percents(rewards.noise)} of the labels are wrong.")


def _beyond(e: Estimate, at: float) -> int:
    """1 where the interval lies above a number, -1 where it lies below, else 0."""
    found = limits(e)
    return 0 if found is None else (found[0] > at) - (found[1] < at)


def _percents(e: Estimate) -> str:
    found = limits(e)
    return f"{float(e):.1%}" + ("" if found is None else f" [{found[0]:.1%}, {found[1]:.1%}]")


def page(report: PreferencesContents) -> str:
    """The whole page."""
    return rendered(
        title="Preference data" if report.title is None else printable(report.title),
        headline=headline(report),
        findings=findings(report),
        asked=_asked(report),
        blocks=blocks(report),
        remarks=[printable(remark) for remark in _remarks(report)],
    )


def _asked(report: PreferencesContents) -> list[tuple[str, str]]:
    config, audit = show_config(mode="dicts"), report.audit
    said = {
        "files": ", ".join(map(printable, report.sources)),
        "columns": "; ".join(f"{role.replace('_', ' ')}: {printable(name)}" for role, name in report.columns.items()),
        "beta": "" if audit.rewards is None else f"{audit.rewards.beta:g}",
        "date": "" if report.date is None else printable(report.date),
        "made by": f"steelyard {config['version']}, numerics {config['numerics']}",
    }
    return [(term, text) for term, text in said.items() if text]


def _remarks(report: PreferencesContents) -> Iterator[str]:
    for file, n in report.read.items():
        yield f"{file}: {plural(n, 'row')}."
    rewards = report.audit.rewards
    left = {**report.left_out, **report.audit.left_out, **({} if rewards is None else rewards.left_out)}
    if left:
        yield f"Left out: {listed_counts(left)}."
    if report.guesses:
        yield f"Guessed by name: {'; '.join(report.guesses)}."
    yield from report.notes


def blocks(report: PreferencesContents) -> list[Block]:
    """The sections in their order."""
    made = (_rows(report), _shares(report), _rewards(report), _calibration(report), _sweep(report), _groups(report))
    return [block for block in (*made, doubts(report)) if block is not None]


def _rows(report: PreferencesContents) -> Block:
    audit = report.audit
    # Of what rows are counted by, their share stands beside the count; prompts and repeated pairs are no rows.
    entries: list[tuple[str, int, bool]] = [
        ("rows", audit.rows, True),
        ("pairs that enter the estimates", audit.pairs, True),
    ]
    entries += [(f"left out: {why}", n, True) for why, n in audit.left_out.items()]
    if (texts := audit.texts) is not None:
        entries += [
            ("prompts", texts.prompts, False),
            ("prompts of several pairs", texts.shared_prompts, False),
            ("pairs of one prompt, at most", texts.most_of_prompt, False),
            ("prompts recovered from the answers", texts.implicit_prompts, True),
            ("pairs without a prompt", texts.without_prompt, True),
            ("pairs with an empty answer", texts.empty, True),
            ("rows that repeat an earlier one", texts.duplicates, True),
            ("pairs that several rows have", texts.repeated, False),
            ("rows of these", texts.repeated_rows, True),
            ("pairs that occur in both orders", texts.contradictions, False),
            ("rows of these", texts.contradicting_rows, True),
        ]
    if audit.lengths is not None:
        entries.append(("pairs of equally long answers", audit.lengths.equal, True))
    if audit.scores is not None:
        entries += [("pairs with scores", audit.scores.pairs, True), ("pairs of equal scores", audit.scores.ties, True)]
    if audit.rewards is not None:
        entries.append(("pairs with log-probabilities", audit.rewards.pairs, True))
    if audit.desirable is not None:
        # Rows are single answers here, of which pairs are no share.
        entries = [
            (OF_ANSWERS.get(name, name), n, of_rows and not name.startswith("pairs")) for name, n, of_rows in entries
        ]
    always = {"rows", "pairs that enter the estimates", "prompts", "rows that repeat an earlier one"}
    shown = [one for one in entries if one[1] or one[0] in always or "both" in one[0]]
    cells = tuple(
        (printable(name), count(n), f"{n / audit.rows:.1%}" if of_rows and n <= audit.rows else MISSING)
        for name, n, of_rows in shown
    )
    columns = (Column("what"), Column("count", number=True), Column("of the rows", number=True))
    return Block("Rows", "What is there, what repeats, and what does not count.", (Table("Rows", columns, cells),))


def _shares(report: PreferencesContents) -> Block | None:
    found = [(name, e) for name, e in report.audit.estimates()]
    if not found:
        return None
    digits = digits_of([e for _, e in found])
    table = estimates.table("Shares of the pairs", Column("share"), "value", [(name, e, digits) for name, e in found])
    against = [(name, e) for name, e in found if any(word in name for word in ("longer", "agree", "accuracy"))]
    pictures = figures.intervals(
        [Bar.of(name, e) for name, e in against], "shares", "Shares of the pairs with their intervals, as in the table",
        axis="share of the pairs; a coin has 1/2", half=True,
    )  # fmt: skip
    lead = "How far length, scores and rewards go with the labels; ties count one half."
    return Block("Length, scores, rewards", lead, (table,), pictures=pictures)


def _rewards(report: PreferencesContents) -> Block | None:
    rewards = report.audit.rewards
    if rewards is None:
        return None
    entries = [
        ("likeliest beta", rewards.fitted_beta),
        (f"mean margin at beta {rewards.beta:g}", rewards.margin),
        ("chosen above the reference, nats", rewards.chosen_shift),
        ("rejected above the reference, nats", rewards.rejected_shift),
    ]
    if (lengths := report.audit.lengths) is not None:
        entries.append((f"chosen longer by, {lengths.unit}s", lengths.difference))
    known = [(name, e) for name, e in entries if e is not None]
    rows = [(name, e, digits_of([e])) for name, e in known]
    table = estimates.table("Means of rewards and lengths", Column("mean"), "value", rows)
    lead = "Margins of the implicit reward, chosen less rejected, before beta; below 0 the label contradicts it."
    return Block("Margins", lead, (table,), pictures=_histogram(report))


def _histogram(report: PreferencesContents) -> tuple[Picture, ...]:
    margins = report.audit.margins
    if margins is None:
        return ()
    values = sorted(value for value in margins.tolist() if value == value)
    cut = int(len(values) * WITHIN)
    low, high = min(values[cut], 0.0), max(values[len(values) - 1 - cut], 0.0)
    if not low < high:
        return ()
    width = (high - low) / COLUMNS
    first = -int(-low / width) - (1 if low < 0 else 0)  # edges are whole widths, so that no column reaches across 0
    heights = [0] * (COLUMNS + 2)
    ties = 0
    for value in values:
        at = int(value // width) - first
        ties += value == 0
        if value != 0 and 0 <= at < len(heights):
            heights[at] += 1
    paint = partial(_bars, first=first, width=width, heights=heights, ties=ties)
    label = "How many pairs have which margin"
    return (Picture((8.9, 2.7), paint, "margins", label, Picture((4.0, 2.7), paint, "margins-narrow", label)),)


def _bars(figure: Figure, *, first: int, width: float, heights: Sequence[int], ties: int) -> None:
    ax = figure.add_subplot()
    for side, colour in ((-1, ORANGE), (1, BLUE)):
        own = [(first + k + 0.5, n) for k, n in enumerate(heights) if n and (first + k >= 0) == (side > 0)]
        if own:
            ax.bar([width * at for at, _ in own], [n for _, n in own], width=0.92 * width, color=colour, linewidth=0)
    if ties:
        ax.bar([0.0], [ties], width=0.3 * width, color=GREY, linewidth=0)
    ax.axvline(0, color=INK, linewidth=1)
    ax.set_xlabel("margin u, nats")
    ax.set_ylabel("pairs")
    ax.locator_params(axis="y", nbins=5)
    ax.grid(axis="y")


def _calibration(report: PreferencesContents) -> Block | None:
    result, rewards = report.reliability, report.audit.rewards
    if result is None or rewards is None:
        return None
    digits = digits_of([result.ece, rewards.overconfidence])
    entries = [("ECE", result.ece, digits), ("confidence less accuracy", rewards.overconfidence, digits)]
    table = estimates.table("Calibration of the implicit reward", Column("measure"), "value", entries)
    floor = (
        f"A calibrated reward with these margins would have an ECE of {number(result.noise_floor, digits)} on average."
    )
    table = Table(table.title, table.columns, table.rows, (*table.notes, floor), table.more)
    lead = (
        f"Of the pairs for which the reward at beta {rewards.beta:g} gives one answer 80 %, 80 % should have that one "
        "chosen. Each pair counts once, its likelier answer first, whichever way it is written."
    )
    label = "Reliability diagram of the implicit reward; the table has the numbers"
    picture = figures.reliability(result, f"beta {rewards.beta:g}", "reward", label)
    return Block("Calibration", lead, (table,), pictures=(picture,))


def _sweep(report: PreferencesContents) -> Block | None:
    sweep = report.audit.sweep
    if sweep is None:
        return None
    digits = places(
        [None if one.loss.standard_error is None else float(one.loss.standard_error) for one in sweep.readings],
        [float(one.loss) for one in sweep.readings],
    )
    others = [one.difference for one in sweep.readings if one.difference is not None]
    digits = min(digits, 4)
    fine = min(max(digits_of(others), digits), 4) if others else digits
    cells = tuple(
        (
            one.name, number(float(one.loss), digits), interval(one.loss, digits),
            MISSING if one.difference is None else number(float(one.difference), fine, signed=True),
            MISSING if one.difference is None else interval(one.difference, fine),
            f"{one.beta:g}" + ("*" if one.at_edge else ""), f"{one.noise:g}", f"{float(one.accuracy):.1%}",
        )
        for one in sweep.readings
    )  # fmt: skip
    base = next(one.name for one in sweep.readings if one.difference is None)
    columns = (
        Column("reading"), Column("held-out loss", number=True), Column("interval", number=True, brief=False),
        Column(f"less {base}", number=True), Column("interval", number=True), Column("beta", number=True),
        Column("noise", number=True), Column("accuracy", number=True, brief=False),
    )  # fmt: skip
    notes = [
        f"{count(sweep.settings)} settings, {sweep.folds} folds of whole clusters (seed {sweep.seed}); nats a pair, a "
        "coin has 0.6931. The setting shown suits all pairs best.",
        "It says which reading of these log-probabilities predicts labels that were held out from the choice of the "
        "setting, not which loss trains a better policy; pairs that the policy was trained on were not held out of it.",
    ]
    if any(one.at_edge for one in sweep.readings):
        notes.append("* the smallest or the largest beta that was tried.")
    lead = "The labels' likelihood, as each loss that is one reads the log-probabilities, on pairs that were held out."
    table = Table("Readings, the best held-out loss first", columns, cells, tuple(notes))
    return Block("Which loss and beta", lead, (table,))


def _groups(report: PreferencesContents) -> Block | None:
    groups = report.audit.groups
    if not groups:
        return None
    kinds = (("longer", "chosen is longer"), ("agreement", "scores agree"), ("accuracy", "reward accuracy"))
    shown = [(name, title) for name, title in kinds if any(getattr(group, name) is not None for group in groups)]
    columns = [Column("source", wraps=True), Column("pairs", number=True)]
    columns += [Column(title, number=True) for _, title in shown]
    cells = tuple(
        (printable(group.name), count(group.pairs), *(_cell(getattr(group, name)) for name, _ in shown))
        for group in groups
    )
    note = f"These intervals hold for all {len(groups)} sources together." if len(groups) > 1 else ""
    table = Table("By source", tuple(columns), cells[:30], (note,) if note else (), cells[30:])
    return Block("By source", "The same shares for each source.", (table,))


def _cell(e: Estimate | None) -> str:
    return MISSING if e is None else _percents(e)
