"""JSON values, by the standard library: faster readers refuse ``NaN`` or drop keys that come twice."""

from __future__ import annotations

import json
from typing import Any

BYTE_ORDER_MARK = b"\xef\xbb\xbf"  # of UTF-8, as Windows writes it


class DuplicateKey(ValueError):
    """One JSON object has a key twice; which of its values is meant cannot be known."""


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise DuplicateKey(key)
            seen.add(key)
    return record


DECODER = json.JSONDecoder(object_pairs_hook=_unique)


def decode(data: bytes) -> Any:
    """The JSON value that bytes are in UTF-8; a ``ValueError`` or ``RecursionError`` where they are none."""
    return DECODER.decode(data.removeprefix(BYTE_ORDER_MARK).decode())
