"""The compiled loops are vectorised, which no test of results can show."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from steelyard._registries import names

ROOT = Path(__file__).resolve().parents[1]
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
BINARIES = TARGET / "quick" / "examples"
FUSED_PACKED = re.compile(r"^vfn?m(add|sub)\d+p[sd]$")
FUSED_SINGLE = re.compile(r"^vfn?m(add|sub)\d+ps$")
# Approximations, and conversions whose result depends on the processor.
APPROXIMATE = re.compile(r"^v?(rcp|rsqrt|rndscale|scalef|getexp|exp2)")


Code = list[tuple[int, str, str]]


def functions(example: str) -> dict[str, list[Code]]:
    """Return the kernel's callers by level: of each the address, mnemonic and operands of every instruction."""
    binary = BINARIES / example
    if not binary.exists():
        pytest.skip(f"{binary} is not built: make test builds it before this test")
    command = ["objdump", "-d", "--no-show-raw-insn", "-C", str(binary)]
    text = subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout
    found: dict[str, list[Code]] = {}
    for block in text.split("\n\n"):
        head = re.search(r"<steelyard_kernels::simd::level::(\w+)>:", block)
        if head:
            rows = re.findall(r"^\s*([0-9a-f]+):\s+(\S+) *(.*)$", block, re.MULTILINE)
            found.setdefault(head[1], []).append([(int(a, 16), op, operands) for a, op, operands in rows])
    return found


def innermost_loops(code: Code) -> list[Code]:
    """Return the bodies of backward jumps that hold no other backward jump."""
    addresses = {address for address, _, _ in code}
    spans = []
    for address, op, operands in code:
        target = re.match(r"([0-9a-f]+)\b", operands)
        if op.startswith("j") and target and int(target[1], 16) in addresses and int(target[1], 16) < address:
            spans.append((int(target[1], 16), address))
    inner = [s for s in spans if not any(o != s and s[0] <= o[0] and o[1] <= s[1] for o in spans)]
    return [[row for row in code if start <= row[0] <= end] for start, end in inner]


def wide_loops(code: Code, register: str, fused: int) -> list[Code]:
    """Return the innermost loops with so many packed fused multiply-adds on registers of that width."""
    return [
        body
        for body in innermost_loops(code)
        if sum(bool(FUSED_PACKED.match(op)) and register in operands for _, op, operands in body) >= fused
    ]


pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="reads x86-64 code"),
    pytest.mark.skipif(shutil.which("objdump") is None, reason="objdump (binutils) is not installed"),
]
WITHOUT_EXPONENTIAL = {"hinge", "ipo", "sppo_hard"}
# These are another loss's formula, of other scores.
SHARED = {"sigmoid_norm", "ipo_norm", "simpo", "alphapo", "aot"}
LEVELS = pytest.mark.parametrize(("level", "register"), [("v3", "ymm"), ("v4", "zmm")])


@LEVELS
def test_every_token_fold_is_wide_fused_and_exact(level: str, register: str) -> None:
    """The fold of each set of columns is a function of its own, as is the comparison of two models; the rest puts parts
    together and finishes them, in float64.
    """
    folds = []
    for code in functions("token_kernel")[level]:
        assert [op for _, op, _ in code if APPROXIMATE.match(op)] == []
        loops = [
            body for body in wide_loops(code, register, fused=5) if any(FUSED_SINGLE.match(op) for _, op, _ in body)
        ]
        assert [operands for body in loops for _, op, operands in body if op.startswith("call")] == []
        folds += [code] if loops else []
    assert len(folds) == len(names("tokens.folds")) + 1


@LEVELS
def test_every_preference_loss_with_an_exponential_is_wide(level: str, register: str) -> None:
    """One function has the loops of all formulas of log-probabilities, two more those of scores (with results in
    float32, and in float64 for mixtures), one makes scores; two more have those of sweeps, without and with slopes.
    """
    found = []
    for code in functions("preference_kernel")[level]:
        assert [op for _, op, _ in code if APPROXIMATE.match(op)] == []
        wide = wide_loops(code, register, fused=20)
        # A formula left outside the wide function would be called, one pair at a time.
        assert [operands for body in wide for _, op, operands in body if op.startswith("call")] == []
        found += [len(wide)] if wide else []
        if len(wide) > 3:  # whole blocks of pairs; the function that makes scores has a remainder
            assert [op for _, op, _ in code if op in ("vdivsd", "divsd")] == []
    # The smoothed form of DPO is a loop of its own; a power, log s and the log-odds are scores with an exponential.
    formulas = len({*names("preference.loss"), "conservative"} - WITHOUT_EXPONENTIAL - SHARED)
    assert sorted(found) == [3, *[formulas] * 5]
