"""A report on preference data: what an audit says of files of pairs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from .. import calibration, preference
from .._mode import standard_mode, standard_mode_methods
from .._options import whole
from .._progress import Progress
from ..config import show_config
from ..errors import argument, called, value_error
from .build import plain
from .forms import Forms, View
from .preferences_results import PreferencesContents

if TYPE_CHECKING:
    from ..records import Preferences

__all__ = ["PreferencesReport", "preferences"]

# What the audit calls columns that the readers call otherwise.
NAMES = {
    "prompts": "prompt", "labels": "label", "sources": "source", "ids": "id", "clusters": "cluster", "most": "doubts",
    "n_bins": "bins",
}  # fmt: skip


@standard_mode_methods
@dataclass(frozen=True)
class PreferencesReport(Forms, PreferencesContents):
    """What a preference set is worth: data; ``str``, ``to_html``, ``to_markdown``, ``to_dict`` show it.

    Attributes
    ----------
    audit : preference.Audit
    reliability : Reliability or None
        The calibration of the implicit reward: of each pair the answer with the higher reward, its probability
        s(beta |u|), and whether the label agrees. None without log-probabilities, and where all margins are 0.
    doubtful : tuple of str
        For each of ``audit.doubts`` where its row is: a line of a file.
    sources : tuple of str
        The files.
    columns : mapping of str to str
    read : mapping of str to int
        The rows of each file.
    left_out : mapping of str to int
        The rows that conditions left out before the audit, by reason.
    guesses, notes : tuple of str
    title, date : str or None
    """

    def _view(self) -> View:
        from . import preferences_page

        return preferences_page

    def to_dict(self) -> dict[str, Any]:
        """Return the report in types that JSON has."""
        config = show_config(mode="dicts")
        made_by = {"version": config["version"], "numerics": config["numerics"]}
        return {"steelyard": made_by, **{item.name: plain(getattr(self, item.name)) for item in fields(self)}}


@standard_mode
def preferences(
    data: Preferences,
    *,
    beta: float = 0.1,
    folds: int = 5,
    seed: int = 0,
    doubts: int = 20,
    bins: int = 20,
    confidence_level: float = 0.95,
    title: str | None = None,
    date: str | None = None,
    progress: Progress = False,
) -> PreferencesReport:
    """Report what preference data are worth: an audit of the pairs, and the calibration of the implicit reward.

    Parameters
    ----------
    data : Preferences
        As :func:`steelyard.records.preferences` reads them.
    beta, folds, seed, confidence_level, progress
        As for :func:`steelyard.preference.audit`.
    doubts : int
        How many pairs of each kind are listed to label again.
    bins : int
        Bins of equal width of the calibration, over [0, 1]: probabilities are at least 1/2, so that half of them have
        rows. An even number, since no bin may reach across 1/2.
    title, date : str, optional
        What the page is called, and a date for its top.

    Returns
    -------
    PreferencesReport

    Raises
    ------
    TypeError, ValueError
        As of :func:`steelyard.preference.audit`.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> from steelyard import records, report
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "pairs.jsonl"
    >>> rows = [{"prompt": f"Why {i // 2}?", "chosen": "So " * (i % 5 + 1), "rejected": "No " * 3} for i in range(40)]
    >>> _ = path.write_text("".join(json.dumps(row) + chr(10) for row in rows))
    >>> made = report.preferences(records.preferences(path))
    >>> made.audit.pairs, made.audit.lengths.longer.n_clusters
    (40, 20)
    """
    n_bins = whole(bins, "bins", 2)
    if n_bins % 2:
        raise value_error("bins", "an even number, so that no bin reaches across 1/2", str(bins))
    texts, numbers = data.texts, data.numbers
    single = "completion" in texts and "label" in texts and "rejected" not in texts
    labels = texts["label"] if single else None
    answers = texts.get("completion") if single else texts.get("chosen")
    with called({inner: argument(outer) for inner, outer in NAMES.items()}):
        found = preference.audit(
            answers, None if single else texts.get("rejected"), prompts=texts.get("prompt"), labels=labels,
            sources=texts.get("source"), ids=texts.get("id"), clusters=texts.get("cluster"), beta=beta, folds=folds,
            seed=seed, most=doubts, confidence_level=confidence_level, progress=progress, **numbers,
        )  # fmt: skip
    reliability = None
    if found.rewards is not None:
        confidence, right, clusters = found.forecasts()
        if len(confidence):
            reliability = calibration.reliability(
                confidence, right, clusters=clusters, n_bins=n_bins, confidence_level=confidence_level
            )
    return PreferencesReport(
        audit=found, reliability=reliability, doubtful=tuple(data.places[doubt.row] for doubt in found.doubts),
        sources=data.files, columns=data.columns, read=data.read, left_out=data.left_out, guesses=data.guesses,
        notes=(*data.notes, *found.notes), title=title, date=date,
    )  # fmt: skip
