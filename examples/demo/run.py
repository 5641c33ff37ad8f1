"""The demo from the text to the report."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

import steelyard as sy

from . import corpus
from .counting import CountingModel
from .evaluate import Evaluated, evaluate, places, write_records

ROOT = Path(__file__).resolve().parents[2]


def main(output: Path = ROOT / "demo-output") -> None:
    """Fit, evaluate, compare, write the records, and report on them."""
    documents = corpus.documents(ROOT)
    training = [document for document in documents if not document.held_out]
    held_out = [document for document in documents if document.held_out]
    print(f"Text: {_size(training)} to fit on, {_size(held_out)} held out.\n")

    evaluated = [evaluate(CountingModel(order).fit(training), held_out) for order in (1, 2, 3)]
    _, clusters = places(held_out)
    _print_models(evaluated, clusters)
    _print_comparison(evaluated, clusters)

    output.mkdir(exist_ok=True)
    records, page = output / "records.jsonl", output / "report.html"
    write_records(records, evaluated, held_out)
    command = ["report", _shown(records), "--html", _shown(page)]
    print(f"\n$ steelyard {' '.join(command)}\n", flush=True)
    subprocess.run([sys.executable, "-m", "steelyard", *command], check=True)
    print(f"\nRecords: {records}\nReport:  {page}")


def _size(documents: list[corpus.Document]) -> str:
    return f"{len(documents)} documents of {sum(len(document.text) for document in documents):,} characters"


def _shown(path: Path) -> str:
    """The path as one would type it here."""
    here = Path.cwd()
    return str(path.relative_to(here) if path.is_relative_to(here) else path)


def _print_models(evaluated: list[Evaluated], clusters: np.ndarray) -> None:
    print("Next-character prediction; intervals are clustered by document, but for the calibration error's.")
    for model in evaluated:
        print(f"  {model.name}")
        print(f"    perplexity  {sy.perplexity(model.tokens, clusters=clusters):.2f}")
        print(f"    bits        {sy.perplexity(model.tokens, clusters=clusters, unit='bits'):.3f}")
        print(f"    accuracy    {sy.estimate(model.correct, clusters=clusters):.3f}")
        calibration = model.calibration
        print(f"    calibration {calibration.ece:.3f}, of which chance explains {calibration.noise_floor:.3f}")


def _print_comparison(evaluated: list[Evaluated], clusters: np.ndarray) -> None:
    by_name = {model.name: model for model in evaluated}
    trigram, bigram = by_name["trigram"], by_name["bigram"]
    accuracy = sy.compare(trigram.correct, baseline=bigram.correct, clusters=clusters)
    verdict = str(accuracy.verdict()).replace("_", " ")
    print("\nTrigram against bigram on the same characters, clustered by document:")
    print(f"  accuracy         {accuracy.difference:+.3f}, p = {accuracy.p_value:.2g}: {verdict}")
    loglikelihood = sy.compare(-trigram.tokens.nll, baseline=-bigram.tokens.nll, clusters=clusters)
    print(f"  nats a character {loglikelihood.difference:+.3f}, p = {loglikelihood.p_value:.2g}")
