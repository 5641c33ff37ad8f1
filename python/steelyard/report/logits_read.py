"""The columns of a comparison of logits, one entry a token that counts, from arrays or llama.cpp's base files."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import tokens
from .._arrays import integers
from .._numbers import count, plural
from .._progress import Progress, reporter
from ..errors import shown, type_error, value_error

__all__ = ["Scored", "scored"]

Floats = NDArray[np.float64]
COLUMNS: tuple[Any, ...] = ("kl", "delta_p", "same_top", "flips", "top", "probability", "entropy")
IGNORED = -100
BEFORE = 8  # tokens of context before one that changed
# How byte-level and SentencePiece vocabularies write a space and the end of a line.
SPELLINGS = (("Ġ", " "), ("▁", " "), ("Ċ", "\n"))


@dataclass(frozen=True)
class Scored:
    """One entry for each token that counts, in the order of the targets."""

    nll: Floats
    base_nll: Floats
    kl: Floats
    delta_p: Floats
    same_top: Floats
    flips: Floats
    entropy: Floats
    """Of the baseline."""
    probability: Floats
    base_probability: Floats
    top: NDArray[np.int64]
    base_top: NDArray[np.int64]
    target: NDArray[np.int64]
    position: Floats
    """In the sequence or document, from 1 on."""
    clusters: NDArray[Any] | None
    index: NDArray[np.int64]
    """In the flat array of all targets."""
    shape: tuple[int, ...]
    before: NDArray[np.int64]
    """Rows of tokens of which ``columns`` says where each target stands."""
    column: NDArray[np.int64]
    row: NDArray[np.int64]
    vocabulary: Sequence[str] | None
    figures: tokens.KLFigures | None
    notes: tuple[str, ...]
    unit: str
    """What a cluster is."""

    @property
    def ids(self) -> NDArray[Any]:
        """The cluster of each token: itself, where no clusters are known."""
        return np.arange(len(self.nll)) if self.clusters is None else self.clusters

    def place(self, i: int) -> tuple[int, ...]:
        """The index of a token in the targets."""
        return tuple(int(k) for k in np.unravel_index(int(self.index[i]), self.shape))

    def text(self, token: int) -> str:
        """A token's text, or its id."""
        if self.vocabulary is None:
            return str(token)
        return _spelt(self.vocabulary[token])

    def context(self, i: int) -> str:
        """The text before a token."""
        if self.vocabulary is None:
            return ""
        row, end = self.before[self.row[i]], int(self.column[i])
        known = [int(token) for token in row[max(0, end - BEFORE) : end] if 0 <= token < len(self.vocabulary)]
        return "".join(_spelt(self.vocabulary[token]) for token in known)


def _spelt(text: str) -> str:
    for mark, meant in SPELLINGS:
        text = text.replace(mark, meant)
    return text


def scored(new: Any, baseline: Any, targets: Any, *, documents: Any, vocabulary: Any, progress: Progress) -> Scored:
    """Score the targets under both, and put the columns side by side."""
    base = baseline if isinstance(baseline, tokens.KLBase) else None
    if base is None and isinstance(new, tokens.KLBase):
        raise type_error("baseline", "a base file too, where new is one", shown(baseline), "give its logits as new")
    if base is not None and targets is not None:
        raise value_error("targets", "None beside a base file, which has its own", shown(targets))
    if base is None and targets is None:
        raise type_error("targets", "the tokens that come next, one for each row of logits", "None")
    wanted = np.array(integers(targets, "targets")) if base is None else base.targets
    found = _scores(new, baseline, wanted, progress)
    keep = found.counted.reshape(-1)
    if not keep.any():
        raise value_error("targets", "at least one that counts", "none")
    index = np.flatnonzero(keep)
    clusters = _clusters(documents, wanted.shape)
    where = _places(wanted, base, clusters if documents is not None else None)
    before, row, column, position = (x if k == 0 else x.reshape(-1)[index] for k, x in enumerate(where))
    unit = "document" if documents is not None else "chunk" if base is not None else "sequence"
    unit = "" if clusters is None else unit
    old = found.baseline
    assert old is not None

    def of(name: str, scores: tokens.TokenScores = found) -> Floats:
        values: Floats = getattr(scores, name).reshape(-1)[index]
        return values

    top: Any = of("top")
    base_top: Any = of("top", old)
    return Scored(
        nll=of("nll"), base_nll=of("nll", old), kl=of("kl"), delta_p=of("delta_p"), same_top=of("same_top"),
        flips=of("flips"), entropy=of("entropy", old), probability=of("probability"),
        base_probability=of("probability", old), top=top, base_top=base_top, target=wanted.reshape(-1)[index],
        position=position.astype(np.float64), clusters=None if clusters is None else clusters[index], index=index,
        shape=wanted.shape, before=before, row=row, column=column,
        vocabulary=_vocabulary(vocabulary, wanted.reshape(-1)[index], top, base_top),
        figures=None if base is None or len(index) < 2 else base.figures(found),
        notes=tuple(_notes(new, baseline, wanted, None if clusters is None else clusters[index], unit, n=len(index))),
        unit=unit,
    )  # fmt: skip


def _scores(new: Any, baseline: Any, targets: NDArray[np.int64], progress: Progress) -> tokens.TokenScores:
    """The scores of both; a base file is decoded chunk by chunk."""
    if not isinstance(baseline, tokens.KLBase):
        return tokens.token_scores(new, targets, baseline=baseline, columns=COLUMNS, progress=progress)
    columns = (*COLUMNS, "kl_llama_cpp")
    if not isinstance(new, tokens.KLBase):
        given = new if np.ndim(new) != 3 or np.shape(new)[1] != baseline.n_ctx else _second_halves(new, baseline)
        wanted = targets if np.ndim(given) != 2 else targets.reshape(-1)
        found = tokens.token_scores(given, wanted, baseline=baseline, columns=columns, progress=progress)
        return _combined([found], lambda columns: columns[0].reshape(targets.shape))
    if new.shape != baseline.shape or not np.array_equal(new.tokens, baseline.tokens):
        expected = f"a base file of the text of the other one, {baseline!r}"
        raise value_error("new", expected, f"{new!r}", "make both with the same text and context")
    tell, parts = reporter(progress), []
    for k in range(len(new)):
        part, base = new[k : k + 1], baseline[k : k + 1]
        log_p = part.steps[..., None] * part.codes.astype(np.float32) + part.least[..., None]
        parts.append(tokens.token_scores(log_p, base.targets, baseline=base, columns=columns))
        if tell is not None:
            tell(k + 1, len(new))
    return _combined(parts, np.concatenate)


def _second_halves(new: Any, base: tokens.KLBase) -> Any:
    """Of logits of whole chunks those that predict a token that is scored."""
    return new[:, base.n_ctx // 2 : base.n_ctx - 1]


def _combined(parts: Sequence[tokens.TokenScores], make: Callable[[list[Any]], Any]) -> tokens.TokenScores:
    """Scores, and those of the baseline, with what ``make`` gives for the arrays that all parts have for a column."""
    named = [item.name for item in fields(parts[0]) if isinstance(getattr(parts[0], item.name), np.ndarray)]
    bases = [part.baseline for part in parts if part.baseline is not None]
    return tokens.TokenScores(
        **{name: make([getattr(part, name) for part in parts]) for name in named},
        baseline=_combined(bases, make) if bases else None, precision=parts[0].precision,
    )  # fmt: skip


def _clusters(documents: Any, shape: tuple[int, ...]) -> NDArray[Any] | None:
    """The document of each target; without any the row of each, where there are rows."""
    if documents is None:
        return None if len(shape) < 2 else np.repeat(np.arange(int(np.prod(shape[:-1]))), shape[-1])
    ids = np.asarray(documents)
    if ids.shape == shape:
        return ids.reshape(-1)
    if ids.shape == shape[:-1] and len(shape) > 1:
        return np.repeat(ids.reshape(-1), shape[-1])
    expected = f"one id a target, shape {shape}" + (f", or one a row, shape {shape[:-1]}" if len(shape) > 1 else "")
    raise value_error("documents", expected, f"shape {ids.shape}")


def _places(
    targets: NDArray[np.int64], base: tokens.KLBase | None, documents: NDArray[Any] | None
) -> tuple[NDArray[np.int64], ...]:
    """The tokens in rows; and of each target its row, its column there, and its position from 1 on."""
    if base is not None:
        rows, columns = _indices(targets.shape)
        columns = columns + base.n_ctx // 2 + 1
        return base.tokens.astype(np.int64), rows, columns, columns + 1
    length = targets.shape[-1] if targets.ndim else 1
    flat: NDArray[np.int64] = targets.reshape(-1, length)
    rows, columns = _indices(flat.shape)
    if targets.ndim > 1 or documents is None:
        return flat, rows, columns, columns + 1
    # One row of tokens: a position is that in the run of tokens of one document.
    starts = np.flatnonzero(np.append(True, documents[1:] != documents[:-1]))
    lengths = np.diff(np.append(starts, len(documents)))
    return flat, rows, columns, (np.arange(len(documents)) - np.repeat(starts, lengths) + 1).reshape(flat.shape)


def _indices(shape: tuple[int, ...]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The row and the column of each entry of a table."""
    rows, columns = np.divmod(np.arange(shape[0] * shape[1], dtype=np.int64), shape[1])
    return rows.reshape(shape), columns.reshape(shape)


def _vocabulary(given: Any, *used: NDArray[np.int64]) -> Sequence[str] | None:
    """The texts of the tokens, by id."""
    if given is None:
        return None
    if isinstance(given, Mapping):
        most = max(map(int, given.values()), default=-1)
        texts = [""] * (most + 1)
        for text, place in given.items():
            texts[int(place)] = str(text)
    elif isinstance(given, Sequence) and not isinstance(given, str):
        texts = [str(text) for text in given]
    else:
        raise type_error("vocabulary", "a list of texts, or a mapping from text to id", shown(given))
    largest = max(int(ids.max()) for ids in used)
    if largest >= len(texts):
        raise value_error("vocabulary", f"a text for every token up to {largest}", plural(len(texts), "text"))
    return texts


def _notes(new: Any, baseline: Any, targets: Any, clusters: NDArray[Any] | None, unit: str, *, n: int) -> Iterator[str]:
    """What was read."""
    out = targets.size - n
    yield ("1 token counts" if n == 1 else f"{count(n)} tokens count") + (
        f"; {count(out)} do not, since their target is {IGNORED}." if out else "."
    )
    if isinstance(baseline, tokens.KLBase):
        yield f"The baseline is {baseline!r}."
    if isinstance(new, tokens.KLBase):
        yield f"The model is {new!r}: its log-probabilities are rounded and cut off as well."
    if clusters is not None and (clusters == clusters[0]).all():
        yield f"All tokens are of one {unit}, and nothing tells how much another would differ: there are no intervals."
    elif unit:
        yield f"Intervals are clustered by {unit}."
