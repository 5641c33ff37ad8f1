"""Dumps of logits with their targets, scored: ``.npy``, ``.npz`` and ``.safetensors`` files.

A dump has an array ``logits``, ``[..., V]``, and its ``targets``, which are the tokens that the logits predict; where
it has them also ``documents`` (the document of each token or row), ``n_words`` and ``n_bytes`` (of the text of each
token or row). Logits of ``.npy`` and ``.safetensors`` are read through a memory map, those of ``.npz`` (a ZIP archive)
are loaded.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .. import tokens
from .._foreign import is_refusal
from .._progress import Progress
from .._safetensors import is_safetensors, tensors
from ..errors import RecordError, is_ours, keyword, sentence, value_error

__all__ = ["ROLES", "Scored", "is_dump", "joined", "names_of", "scored"]

Array = NDArray[Any]
Floats = NDArray[np.float64]

ENDINGS = (".npy", ".npz", ".safetensors")
# The arrays of a dump, by the names that they have where the caller says nothing else.
ROLES = ("logits", "targets", "documents", "n_words", "n_bytes")
NEEDED = ROLES[:2]
LENGTHS = ROLES[3:]
COLUMNS = ("nll", "log_z", "counted")


class Scored(NamedTuple):
    """The scored tokens of one dump, or of several of one model, one after the other."""

    tokens: tokens.TokenScores
    documents: Array | None
    """The document of each token; None where the dump names none and ``rows`` are the documents."""
    rows: NDArray[np.int64]
    """The row that each token stands in."""
    lengths: dict[str, Floats]
    """By ``n_words`` or ``n_bytes``: how much of the text each token is; of a row the first token that counts has
    all."""


def is_dump(path: str) -> bool:
    """Whether the name of a file says that it holds arrays rather than records."""
    return path.lower().endswith(ENDINGS)


def scored(
    path: str,
    *,
    beside: Mapping[str, str | None],
    names: Mapping[str, str],
    ignore_index: int | None = -100,
    progress: Progress = False,
) -> Scored:
    """Read a dump once and score its targets.

    ``beside`` are files of their own that hold other arrays than the logits, by role, and ``names`` the names of arrays
    in the file where they are not those of the roles.
    """
    found = _arrays(path, beside, names)
    try:
        t = tokens.token_scores(found["logits"], found["targets"], ignore_index=ignore_index, progress=progress)
        return _flat(t, found)
    except (TypeError, ValueError) as error:
        if not is_ours(error):
            raise
        raise RecordError(f"{path}: {error}") from None


def _arrays(path: str, beside: Mapping[str, str | None], names: Mapping[str, str]) -> dict[str, Array]:
    """The arrays of a dump by role."""
    for role in names:
        if role not in ROLES:
            raise value_error("tensors", f"names of {', '.join(ROLES)}", repr(role))
    held = _held(path)
    if isinstance(held, np.ndarray):
        found = {"logits": held}
    else:
        found = {role: held[names.get(role, role)] for role in ROLES if names.get(role, role) in held}
        lacking = [name for role, name in names.items() if name not in held and beside.get(role) is None]
        if lacking:
            raise RecordError(sentence(path, f"an array {lacking[0]!r}", _listed(held)))
    for role, file in beside.items():
        if file is not None:
            found[role] = _only(file, role, names)
    for role in NEEDED:
        if role not in found:
            fix = f"name it with {keyword('tensors', f'{role}=NAME')}"
            if role == "targets":
                file = f"its file with {keyword('targets')}"
                fix = f"name {file}" if isinstance(held, np.ndarray) else f"{fix}, or {file}"
            got = "an array without a name" if isinstance(held, np.ndarray) else _listed(held)
            raise RecordError(sentence(path, f"an array {role!r}", got, fix))
    return found


def _listed(held: Mapping[str, Any]) -> str:
    return ", ".join(map(repr, held)) or "none"


def _only(path: str, role: str, names: Mapping[str, str]) -> Array:
    """The array of a file that is named for one role: its only one, or the one of that name."""
    held = _held(path)
    if isinstance(held, np.ndarray):
        return held
    if len(held) == 1:
        return next(iter(held.values()))
    name = names.get(role, role)
    if name not in held:
        raise RecordError(sentence(path, f"an array {name!r}", _listed(held)))
    found: Array = held[name]
    return found


def _held(path: str) -> Any:
    """What a file holds: an array, or a mapping from name to array."""
    if is_safetensors(path):
        try:
            return tensors(path)
        except ValueError as error:
            raise RecordError(str(error).replace("path:", f"{path}:", 1)) from None
    try:
        held = np.load(path, mmap_mode="r")
        if isinstance(held, np.ndarray):
            return held
        with held:  # its arrays are read when they are asked for, and what is wrong with it is found then
            return {name: held[name] for name in held.files}
    except OSError:
        if not os.path.isfile(path) or not os.access(path, os.R_OK):
            raise
        raise _not_arrays(path) from None
    except Exception as error:  # of NumPy or of zipfile, for a file that is cut short or is something else
        if not is_refusal(error) and type(error).__name__ not in ("BadZipFile", "EOFError", "error"):
            raise
        raise _not_arrays(path) from None


def _not_arrays(path: str) -> RecordError:
    return RecordError(
        sentence(path, "arrays of numbers or texts, as numpy.save and savez write them", "something else")
    )


def _flat(t: tokens.TokenScores, found: Mapping[str, Array]) -> Scored:
    """The scores one after the other, each with its document, its row and its part of the text."""
    shape = t.nll.shape
    if t.several or not shape:
        raise value_error("targets", "one target a position, along a token axis", f"shape {shape}")
    of_row = np.arange(int(np.prod(shape[:-1], dtype=np.int64)))
    rows = np.repeat(of_row, shape[-1])
    documents = None
    if "documents" in found:
        documents = _each("documents", found["documents"], shape)
    lengths = {role: _spread(role, found[role], t) for role in LENGTHS if role in found}
    flat = tokens.TokenScores(t.nll.reshape(-1), t.log_z.reshape(-1), t.counted.reshape(-1))
    return Scored(flat, documents, rows, lengths)


def _each(role: str, values: Array, shape: tuple[int, ...]) -> Array:
    """Values of tokens or rows as values of tokens."""
    values = np.asarray(values)
    if values.shape == shape:
        return values.reshape(-1)
    if values.shape == shape[:-1]:
        return np.repeat(values.reshape(-1), shape[-1])
    raise value_error(role, f"one a token, shape {shape}, or one a row, shape {shape[:-1]}", f"shape {values.shape}")


def _spread(role: str, values: Array, t: tokens.TokenScores) -> Floats:
    """How much of the text each token is."""
    if np.asarray(values).dtype.kind not in "iuf":
        raise value_error(role, "numbers", f"{np.asarray(values).dtype}")
    of_tokens = _each(role, values, t.nll.shape).astype(np.float64)
    if not (of_tokens >= 0).all() or np.isinf(of_tokens).any():
        raise value_error(role, "finite numbers that are at least 0", "others")
    if np.shape(values) == t.nll.shape:
        return of_tokens
    counted = t.counted.reshape(-1, t.nll.shape[-1])
    first = np.zeros(counted.shape, np.bool_)
    some = counted.any(-1)
    first[some, counted[some].argmax(-1)] = True
    return np.where(first.reshape(-1), of_tokens, 0.0)


def joined(name: str, parts: Sequence[Scored]) -> Scored:
    """The dumps of one model as one."""
    if len(parts) == 1:
        return parts[0]
    kinds = {None if part.documents is None else part.documents.dtype.kind for part in parts}
    if len(kinds) > 1 or len({tuple(part.lengths) for part in parts}) > 1:
        raise RecordError(sentence(name, "files of one model that have the same arrays", "others"))
    nll, log_z, counted = (np.concatenate([getattr(part.tokens, name) for part in parts]) for name in COLUMNS)
    ends = np.cumsum([0, *(int(part.rows[-1]) + 1 if len(part.rows) else 0 for part in parts)])
    documents = [part.documents for part in parts if part.documents is not None]
    return Scored(
        tokens.TokenScores(nll, log_z, counted),
        np.concatenate(documents) if documents else None,
        np.concatenate([part.rows + end for part, end in zip(parts, ends[:-1].tolist(), strict=True)]),
        {role: np.concatenate([part.lengths[role] for part in parts]) for role in parts[0].lengths},
    )


def names_of(paths: Sequence[str]) -> list[str]:
    """What the model of each dump is called: the file's name without its ending and without ``-00001-of-00003``.

    Files of one model are the parts of one folder, each once. Others that would have the same name are called by their
    paths, and none may be given twice.
    """
    found = [_part_of(path) for path in paths]
    twice = [path for path, times in Counter(map(os.path.realpath, paths)).items() if times > 1]
    if twice:
        raise RecordError(sentence(twice[0], "each file once", "it twice"))
    for whole in dict.fromkeys(part.whole for part in found if part.of):
        numbers = sorted(part.number for part in found if part.whole == whole)
        if numbers != list(range(1, whole.of + 1)):
            got = ", ".join(map(str, numbers))
            raise RecordError(sentence(whole.stem, f"parts 1 to {whole.of} of the model, each once", got))
    models = Counter(whole.stem for whole in {part.whole for part in found})
    return [
        part.whole.stem if models[part.whole.stem] == 1 else os.path.join(part.whole.folder, part.whole.stem)
        for part in found
    ]


class _Whole(NamedTuple):
    """The model that a file has a part of: its folder, its name, the file's ending, and how many parts there are."""

    folder: str
    stem: str
    ending: str
    of: int


class _Part(NamedTuple):
    """A file as part ``number`` of a model; ``of`` is 0 where it is all of it."""

    whole: _Whole
    number: int

    @property
    def of(self) -> int:
        return self.whole.of


def _part_of(path: str) -> _Part:
    file = PurePath(path)
    numbered = re.fullmatch(r"(.+)-([0-9]+)-of-([0-9]+)", file.stem)
    if numbered is None:
        return _Part(_Whole(str(file.parent), file.stem, file.suffix, 0), 0)
    stem, number, of = numbered.groups()
    return _Part(_Whole(str(file.parent), stem, file.suffix, int(of)), int(number))
