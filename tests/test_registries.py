"""The tables of named variants: stated once in the core, told alike everywhere else."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, get_args

import pytest

import steelyard as sy
from steelyard import _options
from steelyard._registries import REGISTRIES, Parameter

ROOT = Path(__file__).parents[1]
# The Literal that type checkers see for a table.
LITERALS: dict[str, Any] = {"interval.alternative": _options.Alternative}
# The public call that takes the name, whose docstring must tell every variant.
DOCSTRINGS: dict[str, Any] = {"interval.alternative": sy.estimate, "proportion.method": sy.proportion}
# Tables whose names do not leave the core: what the binding tells a kernel.
INNER = {"scores.range"}


def test_every_table_of_the_source_is_listed() -> None:
    """``named!`` in the kernels' source and the list in ``registries.rs`` name the same tables."""
    found = set()
    for path in (ROOT / "rust/kernels/src").rglob("*.rs"):
        code = "\n".join(line for line in path.read_text().splitlines() if not line.lstrip().startswith("//"))
        found |= set(re.findall(r'enum \w+: "([\w.]+)" \{', code))
    assert found == set(REGISTRIES)
    assert found


@pytest.mark.parametrize("key", sorted(set(REGISTRIES) - INNER))
def test_docstrings_tell_every_variant(key: str) -> None:
    document = DOCSTRINGS[key].__doc__
    missing = [name for name in REGISTRIES[key] if f'"{name}"' not in document]
    assert not missing


@pytest.mark.parametrize("key", sorted(LITERALS))
def test_literals_are_the_names(key: str) -> None:
    assert get_args(LITERALS[key]) == tuple(REGISTRIES[key])


def test_a_range_knows_its_ends() -> None:
    rate = Parameter("rate", 0.0, True, 0.5, False, 0.0)
    assert rate.range == "[0, 0.5)"
    assert rate.allows(0.0)
    assert not rate.allows(0.5)
    assert not rate.allows(-0.1)
