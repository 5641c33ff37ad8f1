"""The files of a comparison of logits: dumps in ``.npy``, llama.cpp's base files, and vocabularies."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from .. import tokens
from ..errors import value_error

__all__ = ["array", "logits", "vocabulary"]

MAGIC = b"_logits_"


def logits(path: str, name: str) -> Any:
    """A base file, or an array that is mapped into memory."""
    with open(path, "rb") as file:
        start = file.read(len(MAGIC))
    return tokens.KLBase(path) if start == MAGIC else array(path, name)


def array(path: str, name: str) -> Any:
    """The array of a ``.npy`` file, mapped into memory."""
    try:
        found = np.load(path, mmap_mode="r", allow_pickle=False)
    except (ValueError, EOFError) as error:
        kinds = "an array in .npy" if name.islower() else "logits in .npy, or a KL base file of llama.cpp"
        raise value_error(name, kinds, f"{path}, which NumPy cannot map ({error})", "save it by numpy.save") from None
    if not isinstance(found, np.ndarray):
        raise value_error(name, "one array in .npy", f"{path}, an archive", "save the array by numpy.save")
    return found


def vocabulary(path: str) -> Any:
    """The texts of a vocabulary: a list, a mapping from text to id, or what a tokenizer.json holds."""
    try:
        found = json.loads(Path(path).read_bytes())
    except ValueError as error:
        raise value_error("vocabulary", "JSON", f"{path} ({error})") from None
    if isinstance(found, dict) and isinstance(model := found.get("model"), dict):
        added = {item["content"]: item["id"] for item in found.get("added_tokens", ())}
        known = model.get("vocab")
        if isinstance(known, list):  # of a unigram model: pairs of text and score
            known = {text: place for place, (text, _) in enumerate(known)}
        found = {**(known or {}), **added}
    return found
