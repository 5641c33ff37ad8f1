"""Whether the models' confidences mean what they say."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from ..._estimate import Estimate
from ..._numbers import count, plural
from ..._text import printable
from .. import figures
from ..results import Contents
from ..tables import Column, Table
from ..words import capital, clusters, digits_of, interval, limits, listed, number, size, span, with_interval
from . import estimates
from .block import Block, Finding

if TYPE_CHECKING:
    from ...calibration import Reliability

Known = Sequence[tuple[str, "Reliability"]]

DIAGRAMS = 6  # reliability diagrams where there are many models
LEAD = (
    "A model is calibrated when, of the answers it gives with 80 % confidence, 80 % are right. "
    "Points below the diagonal are overconfident."
)


def block(report: Contents) -> Block | None:
    """The calibration of each model whose records hold confidences."""
    known = [(m.name, m.reliability) for m in report.models if m.reliability is not None]
    if not known:
        return None
    findings = tuple(_finding(name, result) for name, result in known)
    shown = known if report.leaderboard is None else known[:DIAGRAMS]
    left = len(known) - len(shown)
    lead = LEAD + (
        f" Diagrams of the first {DIAGRAMS} models; {plural(left, 'more model')} in the table." if left else ""
    )
    pictures = tuple(_pictures(report, {name for name, _ in shown}))
    return Block("Calibration", lead, (_table(known),), findings, pictures)


def _table(known: Known) -> Table:
    errors = [result.ece for _, result in known]
    digits = digits_of(errors)
    notes = (
        *_verdicts(known),
        *_clusters_note(errors),
        *estimates.notes([(name, result.ece) for name, result in known]),
    )
    rows = tuple(_row(name, result, digits) for name, result in known)
    return Table("Calibration of each model", _columns(estimates.size_column(errors)), rows, notes)


def _columns(size: Column) -> tuple[Column, ...]:
    ece = "ECE is the mean distance between confidence and accuracy over bins of equal width."
    gap = "Gap is confidence - accuracy."
    mce = "MCE is the largest distance of a bin; n rows are in that bin."
    floor = "Floor is what the ECE of a calibrated model with these confidences would be on average."
    return (
        estimates.NAME,
        size,
        Column("confidence", number=True),
        Column("accuracy", number=True),
        Column("ECE", number=True, note=ece),
        estimates.INTERVAL,
        Column("floor", number=True, brief=False, note=floor),
        Column("RMS", number=True, brief=False),
        Column("MCE (n)", number=True, brief=False, note=mce),
        Column("gap", number=True, brief=False, note=gap),
        Column("gap interval", number=True, brief=False),
    )


def _row(name: str, result: Reliability, digits: int) -> tuple[str, ...]:
    confidence, accuracy = _confidence_and_accuracy(result)
    return (
        printable(name),
        size(result.ece),
        number(confidence, min(digits, 4)),
        number(accuracy, min(digits, 4)),
        number(float(result.ece), digits),
        interval(result.ece, digits),
        number(result.noise_floor, digits),
        number(float(result.rmsce), digits),
        f"{number(float(result.mce), digits)} ({count(int(result.mce.detail['bin_n']))})",
        number(float(result.gap), digits, signed=True),
        interval(result.gap, digits),
    )


def _confidence_and_accuracy(result: Reliability) -> tuple[float, float]:
    """Mean confidence and accuracy."""
    accuracy = float(result.frequency)
    return float(result.gap) + accuracy, accuracy


def _verdicts(known: Known) -> Iterator[str]:
    """Which models are what, each verdict once."""
    of: dict[str, list[str]] = {}
    for name, result in known:
        of.setdefault(_calibrated(result)[1], []).append(printable(name))
    for shown, names in of.items():
        yield f"{capital(shown)}: {listed(names)}."


def _clusters_note(errors: Iterable[Estimate]) -> Iterator[str]:
    """How many clusters there are, and why that matters."""
    found = [n for e in errors if (n := clusters(e)) is not None]
    if found:
        noun = "cluster" if set(found) == {1} else "clusters"
        yield f"Records in {span(found)} {noun}: those of one cluster may be right or wrong together."


def _calibrated(result: Reliability) -> tuple[str, str]:
    """What the intervals of ECE and gap together say, in a word and in words; where they disagree it is undecided."""
    word, gap = str(result.verdict()), limits(result.gap)
    if word != "undecided":
        return word, word
    if limits(result.ece) is None or gap is None:
        return word, "undecided (one cluster cannot tell)"
    low, high = gap
    if low <= 0.0 <= high:
        return "calibrated", "consistent with being calibrated"
    kind = "overconfident" if low > 0.0 else "underconfident"
    return word, f"undecided, calibrated or {kind} (the interval of the gap excludes 0, that of the ECE does not)"


def _finding(name: str, result: Reliability) -> Finding:
    confidence, accuracy = _confidence_and_accuracy(result)
    digits = digits_of([result.ece])
    word, shown = _calibrated(result)
    claim = f"says {confidence * 100:.1f} % on average and is right {accuracy * 100:.1f} %"
    gap, ece = with_interval(result.gap, digits, signed=True), with_interval(result.ece, digits)
    of = f"; {plural(result.n_clusters, 'cluster')}" if result.n_clusters is not None else ""
    return Finding(word, f"{printable(name)} is {shown}: it {claim}, a gap of {gap}; ECE {ece}{of}.")


def _pictures(report: Contents, shown: Collection[str]) -> Iterator[figures.Picture]:
    """A reliability diagram per model that is ``shown``."""
    for k, model in enumerate(report.models):
        if model.reliability is not None and model.name in shown:
            label = f"Reliability diagram of {printable(model.name)}; the table has the numbers"
            yield figures.reliability(model.reliability, model.name, f"reliability{k}", label)
