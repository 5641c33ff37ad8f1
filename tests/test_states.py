"""Saved states: any bytes with a valid checksum give either a state or an error of one sentence."""

from __future__ import annotations

import json
import struct
import time
import tracemalloc
import zlib
from typing import Any

import numpy as np
import pytest

from steelyard import _core
from steelyard.calibration import ReliabilityState
from steelyard.optim import GlobalNormState
from steelyard.tokens import PerplexityState
from steelyard.uncertainty import BootstrapState, ConfidenceSequenceState, EstimateState, QuantileState

from .states import KINDS, body_of, options_of, sealed


def norm() -> GlobalNormState:
    return GlobalNormState().update(np.array([3.0, 4.0]))


def reliability() -> ReliabilityState:
    return ReliabilityState(3, classes=["no", "yes"]).update([0.25, 0.5, 0.9], ["no", "yes", "yes"])


def perplexity() -> PerplexityState:
    return PerplexityState().update([1.0, 2.0, 0.5], clusters=["a", "a", "b"])


def estimate() -> EstimateState:
    return EstimateState().update([1.0, 2.0, 0.5], clusters=["a", "a", "b"])


def sequence() -> ConfidenceSequenceState:
    return ConfidenceSequenceState().update([1.0, 0.25, 0.5])


def counted() -> ConfidenceSequenceState:
    return ConfidenceSequenceState(method="beta-binomial").update([1, 0, 1])


def boot() -> BootstrapState:
    return BootstrapState("slope", n_resamples=3).update(([1.0, 2.0, 0.5], [0.0, 1.0, 1.0]), clusters=["a", "a", "b"])


def quantiles() -> QuantileState:
    return QuantileState([0.25, 0.5]).update([1.0, 2.0, 0.5, 2.0])


STATES = {
    norm: GlobalNormState, reliability: ReliabilityState, perplexity: PerplexityState, estimate: EstimateState,
    sequence: ConfidenceSequenceState, counted: ConfidenceSequenceState, boot: BootstrapState, quantiles: QuantileState,
}  # fmt: skip


def refused(of: Any, data: bytes) -> str:
    with pytest.raises(ValueError, match=r"^data: expected ") as caught:
        of.from_bytes(data)
    said = str(caught.value)
    assert "\n" not in said
    assert len(said) < 400
    return said


@pytest.mark.parametrize("make", STATES)
def test_a_resealed_state_is_the_state(make: Any) -> None:
    whole = make().to_bytes()
    assert sealed(STATES[make], body_of(whole)) == whole
    assert STATES[make].from_bytes(whole) == make()


HOSTILE = {
    "nothing": b"",
    "no object": b"[1, 2]",
    "a number": b"7",
    "null": b"null",
    "text": b'"unit"',
    "not JSON": b"{unit: nats}",
    "not UTF-8": b"\xff\xfe{}",
    "no options": b"{}",
    "deep": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"unit":' * 100_000 + b"1" + b"}" * 100_000,
    "a foreign key": b'{"other": 1}',
    "self": b'{"self": 1}',
    "a number of 10,000 digits": b'{"confidence_level": ' + b"9" * 10_000 + b"}",
}


@pytest.mark.parametrize("options", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("make", STATES)
def test_options_that_nobody_wrote(make: Any, options: bytes) -> None:
    if (make, options) == (norm, b"{}"):
        return  # it has no options
    written, rest = options_of(make().to_bytes())
    of = STATES[make]
    assert written != options
    refused(of, sealed(of, struct.pack("<I", len(options)) + options + rest))


@pytest.mark.parametrize("make", [reliability, perplexity, estimate])
def test_options_that_are_not_what_they_say(make: Any) -> None:
    written, rest = options_of(make().to_bytes())
    of, options = STATES[make], json.loads(written)

    def with_options(text: str) -> bytes:
        return sealed(of, struct.pack("<I", len(text.encode())) + text.encode() + rest)

    def spelt(changed: dict[str, Any]) -> str:
        return json.dumps(changed, sort_keys=True, separators=(",", ":"))

    assert of.from_bytes(with_options(spelt(options))) == make()
    strange = [None, True, -1, 0, 2**64, 1e300, float("nan"), float("inf"), "", "x", [], [1], {}, {"a": 1}, [[1]]]
    for option in options:
        refused(of, with_options(spelt({key: value for key, value in options.items() if key != option})))
        for value in strange:
            if value == options[option] or (option == "form" and value == "probabilities"):
                continue
            if option == "classes" and (value is None or value in ([], [1])):
                continue  # a state of other classes
            refused(of, with_options(spelt({**options, option: value})))
    said = spelt(options)
    refused(of, with_options(json.dumps(options)))  # spaces
    refused(of, with_options(said[:-1] + ',"nan_policy":"raise"}'))  # a key twice
    refused(of, with_options(said.replace("0.95", "9.5e-1")))
    refused(of, with_options(said + " "))


@pytest.mark.parametrize("make", STATES)
def test_lengths_that_do_not_fit(make: Any) -> None:
    whole = make().to_bytes()
    of, body = STATES[make], body_of(whole)
    written, rest = options_of(whole)
    for changed in (body + b"\0", body[:-1], body + body, body[:8], b"", b"\xff" * 8, body[: 4 + len(written)]):
        refused(of, sealed(of, changed))
    for length in (0, len(written) - 1, len(written) + 1, 2**31, 2**32 - 1):
        refused(of, sealed(of, struct.pack("<I", length) + body[4:]))
    head = body[: 4 + len(written)]
    rows = struct.unpack("<I", rest[:4])[0]
    for count in sorted({0, rows + 1, 2**31, 2**32 - 1} - {rows}):
        tracemalloc.start()
        refused(of, sealed(of, head + struct.pack("<I", count) + rest[4:]))
        assert tracemalloc.get_traced_memory()[1] < 1 << 20, "no room for rows that are not there"
        tracemalloc.stop()


def test_another_kind_layout_or_arithmetic_is_named() -> None:
    for make, of in STATES.items():
        whole = make().to_bytes()
        for other in set(STATES.values()) - {of}:
            assert refused(other, whole) == f"data: expected a {other.__name__}; got a {of.__name__}"
        assert "layout" in refused(of, sealed(of, body_of(whole), layout=9))
        own = _core.state_numerics()[of.__name__]
        assert struct.unpack("<H", whole[6:8]) == (own,)
        assert f"numerics {own} of a {of.__name__}" in refused(of, sealed(of, body_of(whole), numerics=own + 1))
        assert "unknown kind" in refused(of, sealed(77, body_of(whole)))
        assert "checksum" in refused(of, whole[:-1] + bytes([whole[-1] ^ 1]))


ROW = struct.Struct("<QQ16s")


def bins(*rows: tuple[int, int, int], left_out: tuple[int, int, int] = (0, 0, 0), form: Any = "probabilities") -> bytes:
    """A ReliabilityState of these bins: count, correct, sum of probabilities in units of 2**-64."""
    made = ReliabilityState(len(rows))
    options = json.dumps({**made._options(), "form": form}, sort_keys=True, separators=(",", ":")).encode()
    body = b"".join(
        ROW.pack(count, correct, total.to_bytes(16, "little", signed=True)) for count, correct, total in rows
    )
    head = struct.pack("<I", len(options)) + options + struct.pack("<I", len(rows))
    return sealed(ReliabilityState, head + body + struct.pack("<3Q", *left_out))


def test_bins_that_no_data_fills() -> None:
    assert ReliabilityState.from_bytes(bins((2, 1, 1 << 64))).compute().n == 2
    for row in [(1, 2, 0), (1, 0, -1), (1, 0, (1 << 64) + 1), (0, 0, 1), (2**64 - 1, 0, 0), (2**63, 0, 0)]:
        refused(ReliabilityState, bins(row))
    refused(ReliabilityState, bins((2**62, 0, 0), (2**62, 0, 0)))
    for left_out in [(2**64 - 1, 0, 0), (2**62, 2**62, 0), (0, 0, 3)]:
        refused(ReliabilityState, bins((2, 1, 1 << 64), left_out=left_out))
    refused(ReliabilityState, bins((2, 1, 1 << 64), form=None))


def test_the_most_rows_add_up_or_are_refused() -> None:
    most = ReliabilityState.from_bytes(bins((2**63 - 1, 5, 1 << 64)))
    assert most.compute().n == most.compute().table["count"][0] == 2**63 - 1
    before = most.to_bytes()
    with pytest.raises(ValueError, match="fewer than 2"):
        most.merge(most.copy())
    with pytest.raises(ValueError, match="fewer than 2"):
        most.update([0.5], [1])
    assert most.to_bytes() == before


def clusters(*rows: tuple[bytes, int, float, float], counts: tuple[int, ...] = (1, 0, 0, 0, 0)) -> bytes:
    """A PerplexityState of these clusters: id, tokens, units, NLL. A sixth count is layout 2."""

    def fixed(x: float) -> bytes:
        return int(x * 2**64).to_bytes(16, "little", signed=True)

    options = options_of(PerplexityState().to_bytes())[0]
    body = struct.pack("<I", len(options)) + options + struct.pack(f"<I{len(counts)}Q", len(rows), *counts)
    for name, tokens, units, nll in rows:
        body += struct.pack("<H", len(name)) + name + struct.pack("<Q", tokens) + fixed(units) + fixed(nll)
    return sealed(PerplexityState, body, layout=len(counts) - 4)


def test_clusters_that_no_data_makes() -> None:
    of = PerplexityState
    good = [(b'"a', 2, 2.0, 1.5), (b'"b', 1, 1.0, 0.5)]
    assert of.from_bytes(clusters(*good)).compute().n == 3
    for rows in (good[::-1], [good[0]] * 2, [*good, (b"", 1, 1.0, 0.5)], [(b"", 2, 2.0, 0.0), (b"", 1, 1.0, 0.0)]):
        refused(of, clusters(*rows))
    for row in [
        (b"a", 1, 1.0, 0.5), (b'"\xff', 1, 1.0, 0.5), (b"#1", 1, 1.0, 0.5), (b"", 0, 0.0, 0.0), (b"", 1, 2.0, 0.5),
        (b"", 1, 1.0, -0.5), (b"", 2**64 - 1, 1.0, 0.5), (b"", 2**63, 2.0**62, 0.5),
    ]:  # fmt: skip
        refused(of, clusters(row))
    refused(of, clusters(*good, counts=(3, 0, 0, 0, 0)))
    refused(of, clusters(*good, counts=(1, 4, 0, 0, 0)))
    refused(of, clusters(*good, counts=(0, 0, 0, 0, 0)))
    refused(of, clusters(counts=(1, 0, 0, 0, 0)))


def test_the_type_of_tokens_is_kept_and_old_states_are_read() -> None:
    """States of float64 data are written in layout 1, which does not hold the type; those of other types in 2."""
    row = (b'"a', 2, 2.0, 1.5)
    made = {of: PerplexityState().update(np.array([1.0, 0.5], of), clusters=["a", "a"]) for of in ("f8", "f4", "f2")}
    assert made["f8"].to_bytes() == clusters(row)
    for number, of in enumerate(("f4", "f2"), 1):
        written = made[of].to_bytes()
        assert written == clusters(row, counts=(1, 0, 0, 0, 0, number))
        assert PerplexityState.from_bytes(written) == made[of] != made["f8"]
        assert made[of] + made["f8"] == made["f8"] + made[of] == made[of] + made["f8"].copy()
        assert body_of((made[of] + made["f8"]).to_bytes()) == body_of((made[of] + made[of]).to_bytes())
    assert made["f4"] + made["f2"] == made["f2"] + made["f4"] == made["f2"] + made["f2"]
    for number in (0, 4, 2**64 - 1):
        refused(PerplexityState, clusters(row, counts=(1, 0, 0, 0, 0, number)))
    refused(PerplexityState, clusters(counts=(0, 0, 0, 0, 0, 1)))
    # Tokens that do not count leave nothing behind.
    none = PerplexityState().update(np.array([1.0], "f4"), where=[False], clusters=["a"])
    assert none == PerplexityState().update([1.0], where=[False], clusters=["a"])


@pytest.mark.parametrize("place", range(2, 5))
def test_counts_of_tokens_that_would_wrap_are_refused(place: int) -> None:
    counts = [1, 0, 0, 0, 0]
    counts[place] = 2**64 - 1
    full = PerplexityState.from_bytes(clusters((b'"a', 1, 1.0, 0.5), counts=tuple(counts)))
    before = full.to_bytes()
    with pytest.raises(ValueError, match="state: expected fewer"):
        full.merge(full.copy())
    assert full.to_bytes() == before
    assert sum(full.compute().left_out.values()) == 2**64 - 1


@pytest.mark.parametrize("ids", [["a"], ["b"], None])
def test_sums_that_would_leave_their_range_are_refused(ids: list[str] | None) -> None:
    large = np.full((1, 1), 2.0**61)
    state = PerplexityState()
    for _ in range(3):
        state.update(large, clusters=None if ids is None else ["a"])
    before = state.to_bytes()
    for change in (lambda: state.update(large, clusters=ids), lambda: state.merge(state.copy())):
        with pytest.raises(ValueError, match=r"^state: expected fewer .* 2\*\*63"):
            change()
        assert state.to_bytes() == before
    assert PerplexityState.from_bytes(before) == state


def test_a_norm_of_a_megabyte_is_refused_at_once() -> None:
    huge = struct.pack("<I", 2) + b"{}" + struct.pack("<I", 1 << 17) + b"\xff" * (1 << 20)
    start = time.perf_counter()
    refused(GlobalNormState, sealed(GlobalNormState, huge))
    assert time.perf_counter() - start < 5.0
    trailing_zero = struct.pack("<I", 2) + b"{}" + struct.pack("<IQ", 1, 0)
    refused(GlobalNormState, sealed(GlobalNormState, trailing_zero))


def test_norms_that_pass_every_update_are_refused() -> None:
    state = GlobalNormState().update(np.array([1e308]))
    for _ in range(65):  # from a square of 2047 bits to the 2112 that a state holds
        state.merge(state)
    before = state.to_bytes()
    with pytest.raises(ValueError, match="other: expected squares"):
        state.merge(state)
    assert state.to_bytes() == before
    assert GlobalNormState.from_bytes(before) == state
    assert state.compute() == np.inf
    most = np.full(1000, np.finfo(np.float64).max)
    assert GlobalNormState().update(most).compute() == np.inf


def test_the_kinds_are_those_of_the_core() -> None:
    assert {of.__name__ for of in KINDS} == {of.__name__ for of in STATES.values()}
    assert zlib.crc32(b"123456789") == 0xCBF43926
