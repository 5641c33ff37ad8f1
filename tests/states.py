"""Makes bytes of saved states: any body with a valid header and checksum around it."""

from __future__ import annotations

import struct
import zlib
from typing import Any

from steelyard.calibration import ReliabilityState
from steelyard.optim import GlobalNormState
from steelyard.preference import PreferenceState
from steelyard.tokens import PerplexityState, TokenState
from steelyard.uncertainty import (
    BootstrapState,
    CompareState,
    ConfidenceSequenceState,
    EstimateState,
    QuantileState,
)

KINDS: dict[Any, int] = {PerplexityState: 1, ReliabilityState: 2, GlobalNormState: 3, EstimateState: 4}
KINDS |= {ConfidenceSequenceState: 7, BootstrapState: 10, QuantileState: 11}
# States of several of the core's, whose bytes the face writes.
OF_SEVERAL: dict[Any, int] = {TokenState: 5, PreferenceState: 6, CompareState: 9}
HEADER, CHECKSUM = 8, 4


def sealed(of: Any, body: bytes, *, layout: int = 1, numerics: int = 1) -> bytes:
    """The state of a class (or of a kind's number) with this body."""
    kind = of if isinstance(of, int) else (KINDS | OF_SEVERAL)[of]
    whole = b"SYST" + struct.pack("<BBH", kind, layout, numerics) + body
    return whole + struct.pack("<I", zlib.crc32(whole))


def body_of(state: bytes) -> bytes:
    """The bytes between header and checksum."""
    return state[HEADER:-CHECKSUM]


def options_of(state: bytes) -> tuple[bytes, bytes]:
    """The options, and the body behind them."""
    body = body_of(state)
    (length,) = struct.unpack("<I", body[:4])
    return body[4 : 4 + length], body[4 + length :]


def clusters_of(state: bytes) -> dict[Any, dict[int, tuple[int, int, int]]]:
    """What a ReliabilityState with clusters holds: id -> bin -> count, correct, sum in units of 2**-64."""
    rest = options_of(state)[1]
    (groups,) = struct.unpack("<I", rest[:4])
    at, found = 4 + 5 * 8, {}
    for _ in range(groups):
        (length,) = struct.unpack_from("<H", rest, at)
        mark, name = rest[at + 2 : at + 3], rest[at + 3 : at + 2 + length]
        (k,) = struct.unpack_from("<Q", rest, at + 2 + length)
        at += 2 + length + 8
        bins = {}
        for _ in range(k):
            index, count, correct, total = struct.unpack_from("<QQQ16s", rest, at)
            bins[index] = (count, correct, int.from_bytes(total, "little", signed=True))
            at += 40
        found[int.from_bytes(name, "little", signed=True) if mark == b"#" else name.decode()] = bins
    return found
