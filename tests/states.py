"""Bytes of saved states with a right header and a right checksum around any body."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from steelyard.calibration import ReliabilityState
from steelyard.optim import GlobalNormState
from steelyard.tokens import PerplexityState

KINDS: dict[Any, int] = {PerplexityState: 1, ReliabilityState: 2, GlobalNormState: 3}
HEADER, CHECKSUM = 8, 4


def sealed(of: Any, body: bytes, *, layout: int = 1, numerics: int = 1) -> bytes:
    """The state of a class (or of a kind's number) with this body."""
    kind = of if isinstance(of, int) else KINDS[of]
    whole = b"SYST" + struct.pack("<BBH", kind, layout, numerics) + body
    return whole + struct.pack("<I", zlib.crc32(whole))


def body_of(state: bytes) -> bytes:
    """What stands between header and checksum."""
    return state[HEADER:-CHECKSUM]


def options_of(state: bytes) -> tuple[bytes, bytes]:
    """The options, and the body behind them."""
    body = body_of(state)
    (length,) = struct.unpack("<I", body[:4])
    return body[4 : 4 + length], body[4 + length :]
