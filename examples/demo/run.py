"""The demo from the text to the report."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import steelyard as sy
from steelyard import records, report

from . import corpus, pictures, quantise
from .corpus import ROOT, Document
from .counting import CountingModel
from .evaluate import Evaluated, evaluate, places, write_records
from .network import Network, Sizes
from .train import Recipe, train
from .tune import Loglikelihoods, Pairs, Tuning, loglikelihoods, make_pairs, prose, sample, tune

BASELINE = "trigram"


@dataclass(frozen=True)
class Plan:
    """How large everything is. ``places`` is how many held-out characters are evaluated at most."""

    sizes: Sizes = field(default_factory=Sizes)
    recipe: Recipe = field(default_factory=Recipe)
    tuning: Tuning = field(default_factory=Tuning)
    places: int = 8000


def main(output: Path = ROOT / "demo-output", plan: Plan | None = None) -> None:
    """Fit, train, tune, evaluate, compare, write the records, and report on them."""
    plan = plan or Plan()
    documents = corpus.documents(ROOT)
    training = [document for document in documents if not document.held_out]
    held_out = [document for document in documents if document.held_out]
    every = -(-_characters(held_out) // plan.places)
    print(f"Text: {_size(training)} to fit on, {_size(held_out)} held out, of which every {every}th is weighed.\n")

    counting = [CountingModel(order).fit(training) for order in (1, 2, 3)]
    network = Network(plan.sizes, seed=0)
    trained = train(network, training, plan.recipe, _steps(plan.recipe.steps, "training"))
    tuned, preference = _tune(network, training, held_out, plan.tuning)
    sections = [_trained_section(network, plan.recipe, pictures.curve(trained, "loss, nats a character")), preference]

    evaluated = [evaluate(model, held_out, every) for model in (*counting, network, tuned)]
    _, clusters = places(held_out, every)
    _print_models(evaluated, clusters)
    for model, baseline in ((network, BASELINE), (tuned, network.name)):
        _print_comparison(evaluated, model.name, baseline, clusters)

    output.mkdir(exist_ok=True)
    path, page = output / "records.jsonl", output / "report.html"
    write_records(path, evaluated, held_out, every)
    print("\nThe report on these records (`steelyard report FILE --baseline trigram` prints its tables too):\n")
    made = report.build(records.read(path), baseline=BASELINE, sections=sections)
    made.to_html(page)
    print(made)
    _quantise(network, held_out, every, output)
    print(f"\nRecords: {path}\nReport:  {page}")


def _quantise(network: Network, held_out: list[Document], every: int, output: Path) -> None:
    """Dump the logits of the network with weights of 32, 16 and 4 bits, and report what the fewer bits cost."""
    folder = output / "logits"
    paths = quantise.dumps(network, held_out, every, folder)
    for name, made in quantise.reports(paths, folder).items():
        print(f"\nThe network with weights in {name} (`steelyard compare-logits` prints this from the files, too):\n")
        made.to_html(output / f"{name}.html")
        print(made)
    print(f"\nLogits:  {folder}, a page for each: {', '.join(f'{name}.html' for name in quantise.STORED)}")


def _steps(n: int, what: str) -> Iterator[int]:
    """Yield the step numbers and draw a progress bar."""
    from rich.console import Console
    from rich.progress import track

    yield from track(range(n), description=what, console=Console(stderr=True))


def _characters(documents: Sequence[Document]) -> int:
    return sum(len(document.codes) for document in documents)


def _size(documents: Sequence[Document]) -> str:
    return f"{len(documents)} documents of {_characters(documents):,} characters"


# ---- tuning


def _tune(
    network: Network, training: list[Document], held_out: list[Document], tuning: Tuning
) -> tuple[Network, report.Section]:
    """The tuned network, and what the tuning did to pairs from documents that neither network has seen."""
    pairs = make_pairs(network, training, tuning.prompts, tuning, tuning.seed)
    unseen = make_pairs(network, held_out, tuning.held_out_prompts, tuning, tuning.seed + 1)
    tuned = network.named("tuned")
    curve = tune(tuned, pairs, tuning, _steps(tuning.steps, "tuning"))
    before, after = loglikelihoods(network, unseen), loglikelihoods(tuned, unseen)
    estimates = _preference(unseen, before, after, tuning) | _prose(network, tuned, unseen, tuning)
    text = (
        "Direct preference optimization. The trained network wrote two answers to a prompt; the one with more letters "
        f"and spaces is preferred. It was tuned on {len(pairs):,} such pairs of the documents it was trained on; the "
        "estimates are from pairs of the held-out documents, clustered by document. A reward is what tuning added to "
        f"an answer's log-probability, times {tuning.objective.beta:g}: before tuning all are 0, the accuracy 1/2."
    )
    draw = pictures.curve(curve, "DPO loss")
    return tuned, report.Section("Preference tuning", text, estimates, draw, size=(8.9, 4.4))


def _preference(pairs: Pairs, before: Loglikelihoods, after: Loglikelihoods, tuning: Tuning) -> dict[str, sy.Estimate]:
    out = tuning.objective.of(after, before, tuning.length, clusters=pairs.document, gradients=False)
    return {
        "reward accuracy": out.reward_accuracy,
        "reward margin": out.reward_margin,
        "preferred answer likelier, before": sy.estimate(before.right, clusters=pairs.document),
        "preferred answer likelier, tuned": sy.estimate(after.right, clusters=pairs.document),
    }


def _prose(network: Network, tuned: Network, pairs: Pairs, tuning: Tuning) -> dict[str, sy.Estimate]:
    """The share of letters and spaces in new answers of both networks, and the paired difference."""
    before, after = (
        prose(sample(model, pairs.prompts, tuning.length, np.random.default_rng(tuning.seed + 2))) / tuning.length
        for model in (network, tuned)
    )
    return {
        "letters and spaces in answers, before": sy.estimate(before, clusters=pairs.document),
        "letters and spaces in answers, tuned": sy.estimate(after, clusters=pairs.document),
        "gain in letters and spaces": sy.compare(after, baseline=before, clusters=pairs.document).difference,
    }


def _trained_section(network: Network, recipe: Recipe, draw: pictures.Draw) -> report.Section:
    n = sum(array.size for layer in network.params["layers"] for array in layer.values())
    text = (
        f"A network of {n + network.params['embedding'].size:,} parameters that sees the last {network.sizes.context} "
        f"characters, {recipe.steps:,} steps of {recipe.batch} characters: AdamW with a peak rate of {recipe.lr:g} and "
        f"weight decay {recipe.weight_decay:g}, {recipe.warmup_steps} steps of warm-up and half a cosine, gradients "
        f"clipped to a norm of {recipe.max_norm:g}. The loss is that of each step's own batch."
    )
    return report.Section("Training", text, draw=draw, size=(8.9, 4.8))


# ---- figures in the terminal


def _print_models(evaluated: list[Evaluated], clusters: NDArray[np.str_]) -> None:
    print("Next-character prediction; intervals are clustered by document, but for the calibration error's.")
    for model in evaluated:
        print(f"  {model.name}")
        print(f"    perplexity  {sy.perplexity(model.tokens, clusters=clusters):.2f}")
        print(f"    bits        {sy.perplexity(model.tokens, clusters=clusters, unit='bits'):.3f}")
        print(f"    accuracy    {sy.estimate(model.correct, clusters=clusters):.3f}")
        calibration = model.calibration
        print(f"    calibration {calibration.ece:.3f}, of which chance explains {calibration.noise_floor:.3f}")


def _print_comparison(evaluated: list[Evaluated], name: str, baseline: str, clusters: NDArray[np.str_]) -> None:
    by_name = {model.name: model for model in evaluated}
    new, base = by_name[name], by_name[baseline]
    print(f"\n{name} against {baseline} on the same characters, clustered by document:")
    for what, of_new, of_base in (
        ("accuracy        ", new.correct, base.correct),
        ("nats a character", -new.tokens.nll, -base.tokens.nll),
    ):
        made = sy.compare(of_new, baseline=of_base, clusters=clusters)
        print(f"  {what} {made.difference:+.3f}, p = {made.p_value:.2g}: {_word(made)}")


def _word(comparison: sy.uncertainty.Comparison) -> str:
    """The verdict at margin 0, in words."""
    return str(comparison.verdict()).replace("_", " ")
