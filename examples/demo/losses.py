"""Three preference losses on the same pairs, compared on what the pairs are about and on what that costs.

``python -m examples.demo losses``, or ``make demo-losses``.

DPO, IPO and SimPO tune the same trained network on the same pairs, each with a scale that is usual for it, and answer
prompts of held-out documents. What the pairs ask for is the share of letters and spaces (see :mod:`.tune`); what it
costs is the distance from the trained network, in nats an answer: E[log tuned - log trained] over the tuned network's
answers, which is KL(tuned, trained).

Two things make such a comparison say more than is known:

- Beta does not mean the same in two losses, so that after as many steps one has gone further, and the further one looks
  better. The losses are therefore compared twice: after all steps, and where each was last within ``Study.nats`` of the
  trained network (measured on prompts of documents that it is tuned on).
- An interval over prompts does not hold what another run of the tuning would change. So each loss has several runs
  with other batches, and a second interval takes prompts and runs as drawn (crossed clusters).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import steelyard as sy

from . import corpus
from .network import Codes, Network, Sizes
from .train import Recipe, train
from .tune import Objective, Pairs, Tuning, answer, loglikelihoods, make_pairs, prose, sample, tune

BASELINE = "dpo"
OBJECTIVES = {
    "dpo": Objective("dpo", beta=0.1),
    "ipo": Objective("ipo", beta=0.1),
    "simpo": Objective("simpo", beta=2.0, gamma=0.5, reference_free=True),
}
Floats = NDArray[np.float64]


class Steady(Tuning):
    """A tuning whose rate does not fall, so that it may be ended at any step."""

    @property
    def schedule(self) -> sy.schedules.Schedule:
        """The learning rate as a function of the updates made."""
        return sy.schedules.constant(self.lr, warmup_steps=self.warmup_steps)


@dataclass(frozen=True)
class Study:
    """How large everything is: ``runs`` of each loss, compared also within ``nats`` of the trained network.

    That distance is measured on ``watched`` prompts, after every second step or whatever ``every`` says.
    """

    sizes: Sizes = field(default_factory=Sizes)
    recipe: Recipe = field(default_factory=Recipe)
    tuning: Tuning = field(default_factory=lambda: Steady(steps=45, held_out_prompts=1000))
    runs: int = 4
    nats: float = 1.0
    every: int = 2
    watched: int = 300


class Answers(NamedTuple):
    """A network's answers to prompts."""

    share: Floats
    """Of letters and spaces in each answer."""
    log_ratio: Floats
    """How much likelier each answer is than it was for the trained network, in nats."""


class Run(NamedTuple):
    """A tuned network, the copy of it that was last near the trained one, and after how many steps that was."""

    last: Network
    near: Network
    steps: int


class Outcome(NamedTuple):
    """What the runs of a loss do on held-out prompts: ``[runs, prompts]``."""

    share: Floats
    log_ratio: Floats
    moved: Floats
    """How much likelier tuning made the preferred answer of each pair, in nats."""


def main(study: Study | None = None) -> dict[str, dict[str, Outcome]]:
    """Train, tune by each loss several times, and print how the losses compare; return what was compared."""
    study = study or Study()
    tuning = study.tuning
    documents = corpus.documents(corpus.ROOT)
    training = [document for document in documents if not document.held_out]
    held_out = [document for document in documents if document.held_out]
    trained = Network(study.sizes, seed=0, name="trained")
    train(trained, training, study.recipe, range(study.recipe.steps))
    pairs = make_pairs(trained, training, tuning.prompts, tuning, tuning.seed)
    unseen = make_pairs(trained, held_out, tuning.held_out_prompts, replace(tuning, pairs_a_prompt=1), tuning.seed + 1)
    print(f"{len(pairs):,} pairs to tune on, {study.runs} runs a loss; {len(unseen):,} prompts of held-out documents.")

    runs = {
        name: [tuned_by(objective, trained, pairs, study, run) for run in range(study.runs)]
        for name, objective in OBJECTIVES.items()
    }
    before = answers(trained, trained, unseen.prompts, tuning, tuning.seed + 4).share
    print(f"Letters and spaces before tuning: {sy.estimate(before, clusters=unseen.document):.3f}")
    found = {}
    for title, network in (
        (f"After {tuning.steps} steps", "last"),
        (f"Where each was last within {study.nats:g} nats of the trained network", "near"),
    ):
        print(f"\n{title}")
        found[network] = {
            name: outcome([getattr(run, network) for run in of_loss], trained, unseen, tuning)
            for name, of_loss in runs.items()
        }
        report(found[network], unseen.document)
    steps = "; ".join(f"{name} {', '.join(str(run.steps) for run in of_loss)}" for name, of_loss in runs.items())
    print(f"\nSteps until then: {steps}")
    return found


# ---- tuning


def tuned_by(objective: Objective, trained: Network, pairs: Pairs, study: Study, run: int) -> Run:
    """Tune a copy of the trained network by one loss; runs of the same number have the same batches for every loss."""
    tuning = replace(study.tuning, objective=objective, seed=study.tuning.seed + 10 * run)
    network = trained.named(objective.loss)
    near, steps = trained, 0

    def watched() -> Iterator[int]:
        """Yield the numbers of the steps, and keep the network every few of them until it has gone too far."""
        nonlocal near, steps
        inside = True
        for step in range(1, tuning.steps + 1):
            yield step - 1
            if inside and step % study.every == 0:
                inside = distance(network, trained, pairs.prompts[: study.watched], tuning) <= study.nats
                if inside:
                    near, steps = network.named(network.name), step

    tune(network, pairs, tuning, watched())
    return Run(network, near, steps)


def distance(network: Network, trained: Network, prompts: Codes, tuning: Tuning) -> float:
    """Nats an answer from the trained network."""
    return float(answers(network, trained, prompts, tuning, tuning.seed + 3).log_ratio.mean())


def answers(network: Network, trained: Network, prompts: Codes, tuning: Tuning, seed: int) -> Answers:
    """Let a network answer; the same seed draws the same random numbers for every network."""
    drawn = sample(network, prompts, tuning.length, np.random.default_rng(seed))
    mine, theirs = (answer(one, prompts, drawn)[1].sequence_logprob for one in (network, trained))
    return Answers(prose(drawn) / tuning.length, mine - theirs)


# ---- judging


def outcome(networks: Sequence[Network], trained: Network, pairs: Pairs, tuning: Tuning) -> Outcome:
    """What the runs of a loss do on prompts and pairs of documents that no network has seen."""
    before = loglikelihoods(trained, pairs).chosen
    made = [answers(network, trained, pairs.prompts, tuning, tuning.seed + 4) for network in networks]
    moved = [loglikelihoods(network, pairs).chosen - before for network in networks]
    return Outcome(np.stack([one.share for one in made]), np.stack([one.log_ratio for one in made]), np.stack(moved))


def report(found: Mapping[str, Outcome], document: NDArray[np.str_]) -> None:
    """Print what each loss reaches and what that costs, then its differences from the baseline."""
    for name, of_loss in found.items():
        print(f"  {name}")
        print(f"    letters and spaces      {over_prompts_and_runs(of_loss.share, document):.3f}")
        print(f"    nats from trained       {over_prompts_and_runs(of_loss.log_ratio, document):.2f}")
        print(f"    preferred answer moved  {over_prompts_and_runs(of_loss.moved, document):+.2f}")
    base = found[BASELINE].share
    for name, of_loss in found.items():
        if name == BASELINE:
            continue
        prompts = sy.compare(of_loss.share.mean(axis=0), baseline=base.mean(axis=0), clusters=document)
        both = over_prompts_and_runs(of_loss.share - base, document)
        print(f"  {name} - {BASELINE}, letters and spaces of answers to the same prompts")
        print(f"    prompts alone           {prompts.difference:+.4f}, p = {prompts.p_value:.2g}")
        print(f"    prompts and runs        {both:+.4f}")


def over_prompts_and_runs(values: Floats, document: NDArray[np.str_]) -> sy.Estimate:
    """The mean of ``[runs, prompts]``, both of which are drawn; prompts of one document belong together."""
    runs, prompts = values.shape
    clusters = {"document": np.tile(document, runs), "run": np.repeat(np.arange(runs), prompts)}
    return sy.estimate(values.reshape(-1), clusters=clusters)
