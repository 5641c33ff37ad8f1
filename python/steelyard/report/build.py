"""The report: how it is made from evaluation records, and the forms in which it is shown."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .._estimate import json_ready
from .._files import check_target, write
from .._mode import standard_mode, standard_mode_methods
from .._options import flag, fraction
from .._progress import Progress, reporter
from .._text import html_table, in_markdown, printable
from ..config import show_config
from ..errors import RecordError, keyword, sentence, shown, type_error, value_error
from . import board, grouped, measure, proper, sections, tables
from . import metrics as further
from .perplexities import perplexities
from .results import MANY_MODELS, MIN_MATCHED, Contents, ModelResult, Options
from .section import Section

if TYPE_CHECKING:
    from ..records import Runs


@standard_mode_methods
@dataclass(frozen=True)
class Report(Contents):
    """A report as data. ``str``, :meth:`to_html`, :meth:`to_markdown` and :meth:`to_dict` show it."""

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """Render as the tables that a notebook shows."""
        found = [table for block in sections.blocks(self) for table in block.tables]
        made = [html_table(table.rows, [column.title for column in table.columns], table.title) for table in found]
        return "".join([html_table([[sections.headline(self)]]), *made])

    def to_text(self, width: int = 80) -> str:
        """The report as plain text for a terminal of ``width`` columns."""
        named = [] if self.options.title is None else [tables.wrap(printable(self.options.title), width)]
        pieces = [*named, tables.wrap(sections.headline(self), width)]
        pieces += [[line for text in sections.cautions(self) for line in tables.wrap(text, width, "  ")]]
        for block in sections.blocks(self):
            if block.page_only:
                continue
            if block.supplied:
                words = [text for text in (block.title, block.text) if text]
                pieces += [[line for text in words for line in tables.wrap(text, width)]]
            pieces += [list(tables.text_lines(table, width)) for table in block.tables]
        pieces += [[line for remark in sections.remarks(self) for line in tables.wrap(remark, width, "  ")]]
        return "\n\n".join("\n".join(piece) for piece in pieces if piece)

    def to_markdown(self) -> str:
        """The report as Markdown, for a job summary or a pull request."""
        named = [] if self.options.title is None else [f"# {in_markdown(printable(self.options.title))}", ""]
        lines = [*named, f"## {in_markdown(sections.headline(self))}", ""]
        lines += [f"- {in_markdown(finding.text)}" for finding in sections.findings(self)]
        lines += [""]
        for block in sections.blocks(self):
            if block.page_only:
                continue
            if block.supplied:
                text = [in_markdown(block.text)] if block.text else []
                lines += [f"### {in_markdown(block.title)}", "", *text, ""]
            lines += [line for table in block.tables for line in tables.markdown_lines(table)]
        lines += [f"- {in_markdown(remark)}" for remark in sections.remarks(self)]
        return "\n".join([*lines, ""])

    def to_html(self, path: str | Path) -> None:
        """Write the report as one HTML page without scripts that loads nothing and has the same bytes each time.

        It is written to a file beside ``path`` and renamed, so that an old page stays whole whatever happens. A file
        that the records were read from is never overwritten.
        """
        from .html import page

        check_target(path, sources=self.sources)
        write(path, page(self), sources=self.sources)

    def errors(self) -> str:
        """The items on which two models differ, losses first, as JSON Lines: a line per item of each pair."""
        lines = []
        for pair in self.pairs:
            names = {"model": pair.model, "against": pair.baseline}
            rows = () if pair.items is None else pair.items.rows()
            lines += [json.dumps(names | row, ensure_ascii=False, allow_nan=False) for row in rows]
        return "".join(f"{line}\n" for line in lines)

    def to_dict(self) -> dict[str, Any]:
        """Return the report in types that JSON has."""
        config = show_config(mode="dicts")
        made_by = {"version": config["version"], "numerics": config["numerics"]}
        data = {item.name: plain(getattr(self, item.name)) for item in fields(self)}
        return {"steelyard": made_by, **data}


def plain(value: Any) -> Any:
    """A value in types that JSON has: a result by its own ``to_dict`` or, without one, field by field."""
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: plain(getattr(value, item.name)) for item in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, tuple):
        return [plain(item) for item in value]
    return json_ready(value)


@standard_mode
def build(
    runs: Runs,
    *,
    clusters: str | None = None,
    confidence_level: float = 0.95,
    margin: float = 0.0,
    baseline: str | None = None,
    higher_is_better: bool = True,
    paired: bool = True,
    by: Sequence[str] = (),
    show: Sequence[str] = (),
    pass_at: Sequence[int] = (),
    n_bins: int = 15,
    title: str | None = None,
    date: str | None = None,
    metrics: Sequence[str] = (),
    sections: Sequence[Section] = (),
    progress: Progress = False,
) -> Report:
    r"""Report on evaluation records: each model's score, calibration and perplexity, and comparisons of models.

    What the records do not hold is not in the report: calibration needs confidences beside 0/1 scores, perplexity needs
    log-likelihoods, a comparison needs ids that two models share.

    Parameters
    ----------
    runs : Runs
        The records, as :func:`steelyard.records.read` returns them.
    clusters : str, optional
        Column of the records (a dotted path) that says which cluster a record belongs to. Without it the cluster column
        that was read is taken, if there is one. Several epochs of one id always are one cluster.
    confidence_level : float
        Of every interval, in (0, 1).
    margin : float
        In units of the score, at least 0: a loss up to it does not count as worse.
    baseline : str, optional
        The model that all others are compared with. Without it every pair of up to four models is compared,
        and beyond four all models with the first. More than four models are also ranked.
    higher_is_better : bool
        False where the score is a loss.
    paired : bool
        False where the models answered different questions: they are then compared as two samples, without ids.
    by : sequence of str
        Columns whose values make groups, such as a subject: each group's score and differences are shown, with limits
        that hold for all groups at once. Of several columns, groups are made by the first one, and by each together
        with those before it.
    show : sequence of str
        Columns whose text stands beside the items on which two models differ, such as the question and the answer.
    pass_at : sequence of int
        The k of pass@k and maj@k, from records that repeat their ids: the chance that at least one of k answers is
        right, without bias ``1 - C(n - c, k)/C(n, k)`` with c of n answers right, and that the right answer has the
        most votes of k (only where the score compares answers with targets).
    n_bins : int
        Bins of equal width of the calibration.
    title : str, optional
        What the report is called, instead of "Evaluation report".
    date : str, optional
        A date in your own words for the top of the page. Without it there is none, so that the page of the same records
        has the same bytes each time.
    metrics : sequence of str
        Further columns (or ``a==b``) that grade the same records: each model's mean and the differences of each.
    sections : sequence of Section
        Sections of your own (text, estimates, a picture), shown after those about the records.
    progress : bool or callable
        True draws a line on standard error; a callable is given ``(done, total)``, where models and pairs are counted
        together.

    Returns
    -------
    Report
        Immutable data: ``print`` shows its tables, ``to_html``, ``to_markdown`` and ``to_dict`` give its other forms.

    Raises
    ------
    ValueError
        If there is no such model, column or level.

    Examples
    --------
    >>> import json, pathlib, tempfile
    >>> from steelyard import records, report
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "answers.jsonl"
    >>> rows = [{"id": i, "model": m, "correct": (i % k) > 0} for m, k in (("base", 3), ("new", 5)) for i in range(60)]
    >>> _ = path.write_text("\n".join(map(json.dumps, rows)))
    >>> made = report.build(records.read(path), baseline="base")
    >>> made.pairs[0].model, made.pairs[0].verdict
    ('new', 'undecided')
    """
    asked = _chosen_k(pass_at)
    supplied = tuple(sections)
    for k, section in enumerate(supplied):
        if not isinstance(section, Section):
            raise type_error(f"sections[{k}]", "a report.Section", type(section).__name__)
    _check_runs(runs)
    if baseline is not None:
        baseline = _known(runs.names, baseline, "baseline")
    options = Options(
        clusters, confidence_level, margin, higher_is_better, pass_at=asked, n_bins=n_bins, by=_columns(by, "by"),
        show=_columns(show, "show"), baseline=baseline, paired=flag(paired, "paired"),
        date=_text(date, "date"),
        title=_text(title, "title"),
    )  # fmt: skip
    _check_direction(runs, options)
    pairs = _pairs(runs.names, baseline)
    step = _stepper(progress, len(runs) + len(pairs))
    models = []
    for run in runs:
        models.append(measure.model(run, options))
        step(1)
    scored = any(run.score is not None for run in runs)  # else perplexities alone are compared
    made = _report(runs, models, pairs, options, required=baseline is not None and scored)
    ranked, said = board.leaderboard(runs, options)
    compared, unlike = perplexities(runs, pairs, options)
    made = replace(
        made,
        proper=proper.scores(runs, made.pairs, options),
        metrics=further.metrics(runs, _columns(metrics, "metrics"), made.pairs, options),
        perplexities=compared,
        leaderboard=ranked,
        notes=(*made.notes, *said, *unlike),
    )
    step(len(pairs))
    if baseline is None and len(models) > MANY_MODELS and made.pairs:
        note = f"more than {MANY_MODELS} models: each is compared with the first alone; choose another as baseline"
        made = replace(made, notes=(*made.notes, note))
    return replace(made, sections=supplied)


def _text(value: str | None, name: str) -> str | None:
    if value is not None and not isinstance(value, str):
        raise type_error(name, "a string", shown(value))
    return value


def _chosen_k(pass_at: Sequence[int]) -> tuple[int, ...]:
    """The k of pass@k, in ascending order."""
    if isinstance(pass_at, str) or not isinstance(pass_at, Sequence):
        raise type_error("pass_at", "a sequence of whole numbers", shown(pass_at))
    for k in pass_at:
        if isinstance(k, bool) or not isinstance(k, int) or k < 1:
            raise value_error("pass_at", "whole numbers from 1 on", repr(k))
    return tuple(sorted(set(pass_at)))


def _columns(names: Sequence[str], argument: str) -> tuple[str, ...]:
    """The names of columns, each once."""
    if isinstance(names, str) or not isinstance(names, Sequence) or not all(isinstance(one, str) for one in names):
        raise type_error(argument, "a sequence of columns' names", shown(names))
    return tuple(dict.fromkeys(names))


def _check_runs(runs: object) -> None:
    from ..records import Runs

    if not isinstance(runs, Runs):
        raise type_error("runs", "what steelyard.records.read returns", shown(runs))


def _check_sequential(runs: Runs, options: Options) -> None:
    """Refuse what has no comparison that may be repeated as records come in."""
    if not options.sequential:
        if options.bounds is not None:
            raise value_error("bounds", f"{keyword('sequential')} with it", "bounds alone")
        return
    others = {
        "by": ("none", options.by and ", ".join(options.by)),
        "paired": ("matched ids", not options.paired and "unpaired models"),
        "loglikelihood": ("scores", any(run.loglikelihood is not None for run in runs) and "log-likelihoods"),
    }
    for name, (expected, got) in others.items():
        if got:
            raise value_error(name, f"{expected} with {keyword('sequential')}", got, "leave one of the two out")


def _check_direction(runs: Runs, options: Options) -> None:
    """Refuse lower-is-better where missing answers or scores count as 0: they would then be the best of all."""
    if options.higher_is_better:
        return
    for run in runs:
        if run.no_answer:
            expected = "scores of which higher is better, since an answer that is missing gets 0"
            got = f"{run.no_answer} missing answers of {run.name!r}"
            raise value_error("higher_is_better", expected, got, f"name the column of a loss with {keyword('score')}")
        if run.no_score and run.missing == 0.0:
            expected = "the number of a bad score where lower is better"
            raise value_error(
                "missing", expected, "0", f"it would make {run.no_score} records of {run.name!r} the best"
            )


@standard_mode
def comparison(
    runs: Runs,
    *,
    baseline: str,
    models: Sequence[str] | None = None,
    clusters: str | None = None,
    confidence_level: float = 0.95,
    margin: float = 0.0,
    higher_is_better: bool = True,
    paired: bool = True,
    by: Sequence[str] = (),
    show: Sequence[str] = (),
    min_matched: float = MIN_MATCHED,
    sequential: bool = False,
    bounds: Sequence[float] | None = None,
) -> Report:
    """Report on the scores of ``models`` (all others by default) and their comparisons with ``baseline`` alone.

    It is an error if fewer ids match than the share ``min_matched`` of the side that has fewer ids; 0 allows any.
    ``by`` are columns whose values make groups, and ``show`` those whose text stands beside the items, as for
    :func:`build`, and so is ``paired``; samples that are not paired have no ids that match. Perplexities are compared
    where the records have log-likelihoods. With ``sequential`` the ids are taken in the order of the model's records,
    and the comparison may be repeated as records come in; ``bounds`` are those of the scores (see
    :func:`steelyard.compare`).
    """
    _check_runs(runs)
    if isinstance(models, str):
        raise type_error("models", "a sequence of models' names", repr(models))
    baseline = _known(runs.names, baseline, "baseline")
    asked_for = runs.names if models is None else [_known(runs.names, name, "models") for name in models]
    names = [name for name in dict.fromkeys(asked_for) if name != baseline]
    if not names:
        fix = f"pass a second file, or name columns that are models with {keyword('models')}"
        given = "runs" if models is None else "models"
        raise value_error(given, f"a model to compare with {baseline!r}", "none", fix)
    kept = replace(runs, runs=tuple(runs[name] for name in dict.fromkeys((baseline, *names))))
    least = fraction(min_matched, "min_matched")
    options = Options(
        clusters,
        confidence_level,
        margin,
        higher_is_better,
        least,
        by=_columns(by, "by"),
        show=_columns(show, "show"),
        paired=flag(paired, "paired"),
        sequential=flag(sequential, "sequential"),
        bounds=None if bounds is None else tuple(bounds),
    )
    _check_sequential(kept, options)
    _check_direction(kept, options)
    alone = all(run.loglikelihood is None for run in kept)
    results = [measure.model(run, options, score_only=alone) for run in kept]
    pairs = [(name, baseline) for name in names]
    scored = any(run.score is not None for run in kept)  # else perplexities alone are compared
    made = _report(kept, results, pairs, options, required=scored)
    compared, unlike = perplexities(kept, pairs, options)
    if not (scored or compared):
        files = ", ".join(made.sources)
        got = "; ".join(unlike) or "none"
        fix = f"name the column that they share with {keyword('id')}"
        raise RecordError(sentence(files, "log-likelihoods of the same records of both models", got, fix))
    return replace(made, perplexities=compared, notes=(*made.notes, *unlike))


def _known(names: Sequence[str], name: str, argument: str) -> str:
    """The name of the model that is meant by ``name``, which may have blanks around it."""
    from ..records import find_name

    if (found := find_name(name, names)) is None:
        raise value_error(argument, f"one of the models {', '.join(map(repr, names))}", repr(name))
    return found


def _pairs(names: Sequence[str], baseline: str | None) -> list[tuple[str, str]]:
    """The pairs (model, baseline) to compare. Without a baseline a later model is compared with an earlier."""
    if baseline is None and len(names) <= MANY_MODELS:
        return [(names[j], names[i]) for i in range(len(names)) for j in range(i + 1, len(names))]
    base = names[0] if baseline is None else baseline
    return [(name, base) for name in names if name != base]


def columns_of(runs: Runs) -> dict[str, str]:
    """The columns that were read, by what they mean; several where files differ."""
    found: dict[str, dict[str, None]] = {}
    for run in runs:
        for role, column in run.columns:
            found.setdefault(role, {})[column] = None
    return {role: ", ".join(columns) for role, columns in found.items()}


def _stepper(progress: Progress, total: int) -> Callable[[int], None]:
    """A function that is called with the number of steps just made and tells ``progress``."""
    tell = reporter(progress)
    done = 0

    def step(n: int) -> None:
        nonlocal done
        done += n
        if tell is not None and n:
            tell(done, total)

    return step


def _report(
    runs: Runs,
    models: Sequence[ModelResult],
    pairs: Sequence[tuple[str, str]],
    options: Options,
    *,
    required: bool,
) -> Report:
    compared, notes = measure.pairs(runs, pairs, options, required=required)
    paired = [(pair.model, pair.baseline) for pair in compared if pair.paired]
    if options.by and len(paired) < len(compared):
        notes = (*notes, "differences by group need pairs of the same questions; the groups' scores alone are shown")
    return Report(
        models=tuple(models),
        pairs=compared,
        groups=grouped.groupings(runs, paired, options),
        options=options,
        sources=tuple(dict.fromkeys(file for run in runs for file in run.files)),
        read=dict(runs.read),
        columns=columns_of(runs),
        guesses=runs.guesses,
        left_out={file: dict(counts) for file, counts in runs.left_out.items()},
        notes=(*runs.notes, *(note for model in models for note in model.notes), *notes),
    )
