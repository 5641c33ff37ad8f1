"""Makes dumps of logits, and files that are none."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def safetensors(arrays: Mapping[str, tuple[str, Any]], **changed: Any) -> bytes:
    """A safetensors file as its own library lays it out, with entries of the header changed."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    data = b""
    for name, (dtype, array) in arrays.items():
        more = array.tobytes()
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": [len(data), len(data) + len(more)]}
        data += more
    for name, entry in changed.items():
        header[name] |= entry
    return headed(json.dumps(header).encode(), data)


def headed(header: bytes, data: bytes = b"", length: int | None = None) -> bytes:
    """A header and data behind the length of the header, or another length."""
    header += b" " * (-len(header) % 8)
    return (len(header) if length is None else length).to_bytes(8, "little") + header + data
