"""A report of perplexity alone: from dumps of logits, and from records with log-likelihoods."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .. import tokens, uncertainty
from .._logarithm import exponentials
from .._mode import standard_mode
from .._numbers import count, plural
from .._progress import Progress
from ..errors import RecordError, called, keyword, sentence, value_error, while_at
from . import measure
from .build import Report, columns_of
from .dumps import Scored, joined, names_of, scored
from .perplexity_results import DocumentPerplexities
from .results import ModelResult, Options

if TYPE_CHECKING:
    from ..records import Run, Runs

__all__ = ["perplexity"]

Floats = NDArray[np.float64]


@standard_mode
def perplexity(
    runs: Runs | None = None,
    *,
    dumps: Sequence[str | os.PathLike[str]] = (),
    names: Sequence[str] | None = None,
    targets: str | os.PathLike[str] | None = None,
    documents: str | os.PathLike[str] | None = None,
    tensors: Mapping[str, str] | None = None,
    ignore_index: int | None = -100,
    clusters: str | None = None,
    confidence_level: float = 0.95,
    title: str | None = None,
    date: str | None = None,
    progress: Progress = False,
) -> Report:
    """Report the perplexity of models: per token, per word and byte, and the mean of the documents' perplexities.

    The corpus perplexity is exp(sum NLL / sum tokens), with an error clustered by document; per word or byte the sum of
    NLL is divided by theirs. The mean of the documents' perplexities (Hugging Face's ``evaluate`` has this one) is
    another number: every document weighs the same in it, and short and hard ones dominate.

    Parameters
    ----------
    runs : Runs, optional
        Records with log-likelihoods, as :func:`steelyard.records.read` returns them.
    dumps : sequence of paths
        Files of logits and targets: ``.safetensors`` or ``.npz`` with the arrays ``logits`` and ``targets`` and, where
        they have them, ``documents``, ``n_words`` and ``n_bytes`` (one a token or one a row); or ``.npy`` logits,
        whose other arrays stand in files of their own. Without documents each row of ``[B, T, V]`` is one, and
        ``[T, V]`` is a single one, of which the error is not known.
    names : sequence of str, optional
        The model of each dump; dumps of one name are one model. By default the name of the file; only the parts of one
        model, ``-00001-of-00003`` and so on in one folder, are taken together. Files that would have the same name are
        called by their paths.
    targets, documents : path, optional
        A file with the targets, or with the documents, of all dumps that lack them.
    tensors : mapping, optional
        What the arrays are called in the files, by ``logits``, ``targets``, ``documents``, ``n_words``, ``n_bytes``.
    ignore_index : int or None
        Targets that do not count.
    clusters : str, optional
        Column of the records that says which document a record belongs to.
    confidence_level, title, date, progress
        As for :func:`steelyard.report.build`.

    Returns
    -------
    Report

    Raises
    ------
    ValueError
        For files that are not what they should be, and for records without a log-likelihood.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> import numpy as np
    >>> from steelyard import report
    >>> path = pathlib.Path(tempfile.mkdtemp()) / "small.npz"
    >>> np.savez(path, logits=np.zeros((3, 4, 50), np.float32), targets=np.arange(12).reshape(3, 4))
    >>> made = report.perplexity(dumps=[path])
    >>> made.models[0].name, round(float(made.models[0].perplexity), 6), round(float(made.models[0].of_documents), 6)
    ('small', 50.0, 50.0)
    """
    options = Options(clusters, confidence_level, 0.0, True, date=date, title=title)
    if runs is None and not dumps:
        raise value_error("dumps", "at least one file", "none")
    given = {"targets": targets, "documents": documents}
    beside = {role: None if file is None else os.fspath(file) for role, file in given.items()}
    read = partial(scored, beside=beside, names=dict(tensors or {}), ignore_index=ignore_index, progress=progress)
    models, counts = _of_dumps([os.fspath(file) for file in dumps], names, read, options)
    models += [] if runs is None else [_of_records(run, options) for run in runs]
    twice = [name for name, times in Counter(model.name for model in models).items() if times > 1]
    if twice:
        raise value_error("names", "models of different names", f"{twice[0]!r} twice")
    of_models = [note for model in models for note in model.notes]
    made = Report(
        models=tuple(models), pairs=(), options=options, sources=tuple(counts), read=counts, guesses=(), left_out={},
        notes=tuple(of_models),
    )  # fmt: skip
    if runs is None:
        return made
    return replace(
        made, sources=(*counts, *dict.fromkeys(file for run in runs for file in run.files)),
        read=counts | dict(runs.read), guesses=runs.guesses, columns=columns_of(runs), notes=(*runs.notes, *of_models),
        left_out={file: dict(reasons) for file, reasons in runs.left_out.items()},
    )  # fmt: skip


def _of_dumps(
    files: Sequence[str], names: Sequence[str] | None, read: Callable[[str], Scored], options: Options
) -> tuple[list[ModelResult], dict[str, int]]:
    """The models of the dumps, and how many documents each file has."""
    if names is not None and len(names) != len(files):
        raise value_error("names", f"a name for each of the {plural(len(files), 'dump')}", str(len(names)))
    parts: dict[str, list[Scored]] = {}
    counts: dict[str, int] = {}
    for file, name in zip(files, names_of(files) if names is None else names, strict=True):
        part = read(file)
        parts.setdefault(name, []).append(part)
        counts[file] = len(np.unique(_documents(part)))
    return [_of_dump(name, joined(name, own), options) for name, own in parts.items()], counts


def _documents(part: Scored) -> NDArray[Any]:
    """The document of each token."""
    return part.rows if part.documents is None else part.documents


def _of_dump(name: str, part: Scored, options: Options) -> ModelResult:
    """What the scored tokens of one model say."""
    ids, level = _documents(part), options.confidence_level
    with while_at(f"model {name!r}"), called({"x": f"the tokens of {name!r}", "per": f"the lengths of {name!r}"}):
        corpus = tokens.perplexity(part.tokens, clusters=ids, confidence_level=level)
        of_text = {
            measured: tokens.perplexity(
                part.tokens, clusters=ids, per=part.lengths[role], unit=unit, confidence_level=level  # type: ignore[arg-type]
            )
            for role, units in measure.TEXT_UNITS.items()
            if role in part.lengths
            for measured, unit in units.items()
        }  # fmt: skip
        table = part.tokens.by(ids)
        documents = DocumentPerplexities.sorted(table["id"], table["tokens"], table["perplexity"])
    out = int(part.tokens.counted.size) - part.tokens.n_counted
    notes = (
        (f"{name}: {plural(out, 'token')} of {part.tokens.counted.size:,} not counted, as their targets say.",)
        if out
        else ()
    )
    found = ModelResult(name, len(table["id"]), perplexity=corpus, of_text=of_text, notes=notes)
    return _with_documents(found, documents, options)


def _of_records(run: Run, options: Options) -> ModelResult:
    """What the records of one model say of its perplexity."""
    found = measure.model(replace(run, score=None, confidence=None), options)
    if found.perplexity is None and not found.of_text:
        fix = f"name their column with {keyword('loglikelihood')}"
        raise RecordError(sentence(", ".join(run.files), "log-likelihoods of texts", f"none of {run.name!r}", fix))
    if found.perplexity is None or not run.known("loglikelihood").tokens_known:
        return found
    known = run.known("loglikelihood")
    assert known.loglikelihood is not None
    names, codes = _numbered(known, options)
    weights = np.ones(len(known)) if known.weights is None else known.weights
    nll, lengths = (np.bincount(codes, weights * x) for x in (0.0 - known.loglikelihood, known.n_tokens))
    values = np.array(exponentials((nll / lengths).tolist()))
    documents = DocumentPerplexities.sorted(names, np.bincount(codes, known.n_tokens), values)
    return _with_documents(found, documents, options)


def _numbered(run: Run, options: Options) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The names of the documents, and the number of the one that each record belongs to."""
    groups, each = measure.clusters_of(run, options), np.arange(len(run))
    if groups is None:
        return each if run.ids is None else run.ids, each
    names, codes = np.unique(groups, return_inverse=True)
    return names, codes


def _with_documents(found: ModelResult, documents: DocumentPerplexities, options: Options) -> ModelResult:
    """The result with its documents, and the mean of their perplexities where there is one."""
    values, found = documents.perplexity, replace(found, documents=documents)
    if infinite := int(np.count_nonzero(np.isinf(values))):
        of = f"{count(infinite)} of {plural(len(values), 'document')}"
        note = f"{found.name}: no mean of the documents' perplexities, since that of {of} is infinite"
        return replace(found, notes=(*found.notes, note))
    if len(values) < 2:
        return found
    with called({"x": f"the documents' perplexities of {found.name!r}"}):
        mean = uncertainty.estimate(values, method="t", confidence_level=options.confidence_level)
    return replace(found, of_documents=replace(mean, reason="independent documents") if mean.method == "t" else mean)
