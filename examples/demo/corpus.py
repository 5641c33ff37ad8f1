"""The text: the project's own prose, one document per file, a third of them held out.

A document is a Markdown page, the docstrings of a Python module, or the doc comments of a Rust file. Nothing is
downloaded. The figures of the demo change when the project's documentation does.
"""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

ROOT = Path(__file__).resolve().parents[2]
ALPHABET = "\n" + "".join(map(chr, range(32, 127)))
UNKNOWN = "?"  # stands for every character outside the alphabet
SHORTEST = 200  # characters; shorter documents are left out
HELD_OUT = 3  # about one document in three is held out
PATTERNS = (
    "*.md", "docs/**/*.md", "python/steelyard/**/*.py", "tests/**/*.py", "benches/*.py", "examples/**/*.py",
    "rust/*/src/**/*.rs", "rust/*/examples/**/*.rs",
)  # fmt: skip

_CODE = np.full(128, ALPHABET.index(UNKNOWN), dtype=np.int64)
_CODE[[ord(character) for character in ALPHABET]] = np.arange(len(ALPHABET))
_DOC_COMMENT = re.compile(r"^\s*//[/!] ?(.*)$", re.MULTILINE)


@dataclass(frozen=True)
class Document:
    """One file's prose, as text and as indices into the alphabet."""

    name: str
    text: str
    codes: NDArray[np.int64]

    @property
    def held_out(self) -> bool:
        """Whether the document is for evaluation, which follows from its name, so that editing it does not move it."""
        return hashlib.blake2b(self.name.encode()).digest()[0] % HELD_OUT == 0


def documents(root: Path) -> list[Document]:
    """All documents under the project's root, by name."""
    found = []
    for path in sorted(_files(root)):
        text = _prose(path)
        if len(text) >= SHORTEST:
            found.append(Document(path.relative_to(root).as_posix(), text, encode(text)))
    return found


def encode(text: str) -> NDArray[np.int64]:
    """Characters as indices into the alphabet."""
    points = np.frombuffer(text.encode("utf-32-le"), dtype="<u4")
    return _CODE[np.where(points < 128, points, ord(UNKNOWN))]


def _files(root: Path) -> Iterator[Path]:
    for pattern in PATTERNS:
        yield from root.glob(pattern)


def _prose(path: Path) -> str:
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".md":
        return text
    if path.suffix == ".rs":
        return "\n".join(_DOC_COMMENT.findall(text))
    kinds = ast.Module | ast.ClassDef | ast.FunctionDef
    found = (ast.get_docstring(node) for node in ast.walk(ast.parse(text)) if isinstance(node, kinds))
    return "\n\n".join(docstring for docstring in found if docstring)
