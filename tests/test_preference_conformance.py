"""The conformance vectors: what the file holds is what mpmath computes, and what this package computes is in the file."""

from __future__ import annotations

import doctest
import json
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard._registries import names
from steelyard.preference.dialects import DIALECTS

from .test_docs import ROOT, blocks, failures

mpmath = pytest.importorskip("mpmath", reason="mpmath is the wider oracle; it comes with the dev extra")

from .conformance import preference as conformance  # noqa: E402  (it needs mpmath)

FILE = json.loads(conformance.PATH.read_text())
VECTORS = FILE["vectors"]
IDS = [f"{v['convention'] or 'steelyard'} {v['loss']} {v['divergence']} {i}" for i, v in enumerate(VECTORS)]
EIGHT = ("exo_pair", "apo_down", "orpo")


def test_every_loss_divergence_and_dialect_has_a_vector() -> None:
    own = [vector for vector in VECTORS if vector["convention"] is None]
    assert {vector["loss"] for vector in own} == set(names("preference.loss"))
    assert {vector["divergence"] for vector in own} == set(names("preference.divergence"))
    theirs = {(vector["convention"], vector["loss"]) for vector in VECTORS} - {(None, vector["loss"]) for vector in own}
    assert theirs == {(library, name) for library, rows in DIALECTS.items() for name in rows}
    assert all(
        vector["formula"] == DIALECTS[of][vector["loss"]].loss for vector in VECTORS if (of := vector["convention"])
    )
    assert conformance.PATH.stat().st_size < 200_000


def test_the_file_describes_what_its_command_writes() -> None:
    assert [
        {key: found[key] for key in asked} for asked, found in zip(conformance.vectors(), VECTORS, strict=True)
    ] == [*conformance.vectors()]
    assert FILE["sets"] == conformance.SETS
    assert conformance.written(FILE) == conformance.PATH.read_text()


@pytest.mark.parametrize("vector", VECTORS[::7], ids=IDS[::7])
def test_a_sample_computed_again(vector: dict[str, Any]) -> None:
    for name, column in conformance.computed(vector).items():
        assert column == vector[name]


@pytest.mark.parametrize("vector", VECTORS, ids=IDS)
def test_this_package_conforms(vector: dict[str, Any]) -> None:
    """4 ulp of the exact value; 8 for gradients that are products of more factors; "exo_pair" 4 of its larger term."""
    pairs, formula = FILE["sets"][vector["pairs"]], vector["formula"]
    options = {key: vector[key] for key in ("loss", "convention", "divergence")} | vector["parameters"]
    if formula in conformance.MEANS or vector["likelihood"]:
        options["lengths"] = (pairs["lengths_chosen"], pairs["lengths_rejected"])
    read = conformance.COLUMNS[: 2 if formula in conformance.WITHOUT_REFERENCE else 4]
    found = sy.preference_loss(*(pairs[name] for name in read), **options)
    for name in ("losses", "grad_chosen", "grad_rejected"):
        ulps = 8 if formula in EIGHT and name != "losses" else 4
        for got, text in zip(getattr(found, name).tolist(), vector[name], strict=True):
            with mpmath.workdps(40):
                want = mpmath.mpf(text)
                size = abs(float(want)) + (1.0 if (formula, name) == ("exo_pair", "losses") else 0.0)
                assert abs(mpmath.mpf(got) - want) <= ulps * float(np.spacing(size)), (got, text)


def test_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    page = ROOT / "docs" / "preference-conformance.md"
    session = "\n".join(blocks("python", page))
    attempted, said = failures(doctest.DocTestParser().get_doctest(session, {}, page.name, str(page), 0))
    assert attempted >= 10
    assert not said, said
