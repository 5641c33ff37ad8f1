"""Every kernel against its reference, and against itself on other levels, threads, splits and modes."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import pytest

from steelyard import _core

from .cases import Case, Outputs, Share, all_cases

CASES = all_cases()
GRID = [
    pytest.param(case, dtype, length, id=f"{case.name}-{dtype}-{length}")
    for case in CASES
    for dtype in case.dtypes
    for length in case.lengths
]
# The caller's floating-point modes: whether subnormals are flushed to zero, and the rounding direction.
MODES = list(product((False, True), ("nearest", "up", "down", "toward zero")))
# What configures or describes the core rather than computing: nothing to compare.
NOT_KERNELS = {
    "version", "numerics", "state_numerics", "registries", "isa", "isa_available", "force_isa", "threads", "asked_threads", "set_threads",
    "set_default_threads", "set_mode_for_tests", "in_standard_mode", "panic_for_tests", "fail_allocations_for_tests", "stop_attaching", "check_memory",
    "json_lines",
}  # fmt: skip


def canonical(value: Any) -> Any:
    """The bytes of an output, every NaN the same: its sign and payload are outside the promise."""
    if value is None or isinstance(value, bytes | str | int):
        return value
    array = np.array(value)
    if array.dtype.kind == "f":
        array[np.isnan(array)] = np.nan
    return array.dtype.str, array.shape, array.tobytes()


def assert_same_bits(got: Outputs, want: Outputs, what: str) -> None:
    assert got.keys() == want.keys(), what
    for name in want:
        assert canonical(got[name]) == canonical(want[name]), f"{what}: {name} differs\n{got[name]}\n{want[name]}"


@pytest.mark.parametrize(("case", "dtype", "length"), GRID)
def test_equals_the_reference(case: Case, dtype: str, length: int) -> None:
    inputs = case.make(dtype, length)
    got, want = case.run(inputs), case.reference(inputs)
    assert got.keys() == want.keys()
    assert set(case.bound or ()) <= want.keys(), "a bound of an output that there is not"
    for name, expected in want.items():
        bound = (case.bound or {}).get(name)
        if bound is None:
            assert_same_bits({name: got[name]}, {name: expected}, case.name)
            continue
        a, b = np.asarray(got[name], np.float64), np.asarray(expected, np.float64)
        limit = bound(inputs) if callable(bound) else bound * np.abs(b) if isinstance(bound, Share) else bound
        assert a.shape == b.shape, name
        assert np.array_equal(np.isfinite(a), np.isfinite(b)), name
        special = ~np.isfinite(b)
        np.testing.assert_array_equal(a[special], b[special], err_msg=name)
        error = np.abs(a[~special] - b[~special])
        worst = float(error.max(initial=0.0))
        assert (error <= np.broadcast_to(limit, a.shape)[~special]).all(), (
            f"{name}: worst error {worst}, allowed {limit}"
        )


@pytest.mark.parametrize(("case", "dtype", "length"), GRID)
def test_the_same_bits_on_every_level_thread_count_and_mode(case: Case, dtype: str, length: int) -> None:
    inputs = case.make(dtype, length)
    _core.set_threads(1)
    _core.force_isa("baseline")
    want = case.run(inputs)
    for level, threads, (flush, rounding) in product(_core.isa_available(), (1, 2, 5), MODES):
        _core.force_isa(level)
        _core.set_threads(threads)
        _core.set_mode_for_tests(flush, rounding)
        try:
            got = case.run(inputs)
        finally:
            _core.set_mode_for_tests()
        assert_same_bits(got, want, f"{case.name} at {level}, {threads} threads, flush {flush}, rounding {rounding}")


@pytest.mark.parametrize(("case", "dtype", "length"), [p for p in GRID if p.values[0].split])
def test_the_same_bits_for_every_split(case: Case, dtype: str, length: int) -> None:
    inputs = case.make(dtype, length)
    want = case.run(inputs)
    assert case.split is not None
    for cut in (0.0, 0.1, 0.5, 0.93, 1.0):
        assert_same_bits(case.split(inputs, cut), want, f"{case.name} cut at {cut}")


def test_every_core_function_has_a_row() -> None:
    covered = {name for case in CASES for name in case.covers}
    core = {name for name in dir(_core) if not name.startswith("_") and callable(getattr(_core, name))} - NOT_KERNELS
    assert core - covered == set(), "add a row in tests/cases/ for these"
    assert covered - core == set(), "these rows cover what the core no longer has"


def test_case_names_are_unique() -> None:
    names = [case.name for case in CASES]
    assert len(names) == len(set(names))
