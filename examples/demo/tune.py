"""Tune the network on preferences that it generates, by direct preference optimization (DPO) or another loss.

Prose is preferred to notation: the trained network writes two answers to a prompt (the characters before a random
place of a document), and the one with more letters and spaces is the chosen one. Where both have as many there is no
pair. Prompts for tuning come from the documents that the network was trained on, prompts for evaluation from those
held out.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

import steelyard as sy

from .corpus import ALPHABET, Document
from .network import Codes, Network, Pass, loglikelihood_slope
from .train import Curve


@dataclass(frozen=True)
class Loglikelihoods:
    """Log-probability of every chosen and every rejected answer."""

    chosen: NDArray[np.float64]
    rejected: NDArray[np.float64]

    @property
    def right(self) -> NDArray[np.float64]:
        """1 where the chosen answer is the likelier one, one half for a tie."""
        return (self.chosen > self.rejected) + 0.5 * (self.chosen == self.rejected)


@dataclass(frozen=True)
class Objective:
    """A loss of ``sy.preference_loss`` by name, with its parameters."""

    loss: Any = "dpo"
    beta: float = 0.1
    gamma: float | None = None
    reference_free: bool = False  # compares means over characters, without a reference

    def of(
        self, policy: Loglikelihoods, reference: Loglikelihoods, length: int, **options: Any
    ) -> sy.preference.PreferenceLoss:
        """The loss of answers of ``length`` characters."""
        lengths = np.full(len(policy.chosen), length)
        columns = () if self.reference_free else (reference.chosen, reference.rejected)
        return sy.preference_loss(
            policy.chosen, policy.rejected, *columns, loss=self.loss, beta=self.beta, gamma=self.gamma,
            lengths=(lengths, lengths) if self.reference_free else None, **options,
        )  # fmt: skip


@dataclass(frozen=True)
class Tuning:
    """How pairs are made and the network is tuned."""

    length: int = 20
    prompts: int = 1500
    held_out_prompts: int = 500
    pairs_a_prompt: int = 2
    steps: int = 60
    batch: int = 64
    lr: float = 5e-4
    objective: Objective = field(default_factory=Objective)
    warmup_steps: int = 10
    max_norm: float = 1.0
    seed: int = 2

    @property
    def schedule(self) -> sy.schedules.Schedule:
        """The learning rate as a function of the updates made."""
        return sy.schedules.cosine(self.lr, total_steps=self.steps, warmup_steps=self.warmup_steps)


@dataclass(frozen=True)
class Pairs:
    """Prompts ``[n, context]``, answers ``[n, length]``, and the document of each prompt."""

    prompts: Codes
    chosen: Codes
    rejected: Codes
    document: NDArray[np.str_]

    def __len__(self) -> int:
        return len(self.prompts)

    def __getitem__(self, rows: NDArray[np.int64]) -> Pairs:
        return Pairs(self.prompts[rows], self.chosen[rows], self.rejected[rows], self.document[rows])


PROSE = np.array([character.isalpha() or character == " " for character in ALPHABET])


def prose(answers: Codes) -> NDArray[np.int64]:
    """How many letters and spaces each answer has: what the preferences are about."""
    return PROSE[answers].sum(axis=1)


def make_pairs(network: Network, documents: Sequence[Document], prompts: int, tuning: Tuning, seed: int) -> Pairs:
    """Draw prompts, each place of the text with the same probability, and let the network write two answers each."""
    rng = np.random.default_rng(seed)
    width = network.sizes.context
    windows = [np.lib.stride_tricks.sliding_window_view(d.codes, width) for d in documents if len(d.codes) >= width]
    names = np.repeat([d.name for d in documents if len(d.codes) >= width], [len(window) for window in windows])
    places = np.concatenate(windows)
    place = np.repeat(rng.choice(len(places), min(prompts, len(places)), replace=False), tuning.pairs_a_prompt)
    one, other = (sample(network, places[place], tuning.length, rng) for _ in range(2))
    gain = (prose(one) - prose(other))[:, None]
    pairs = Pairs(places[place], np.where(gain > 0, one, other), np.where(gain > 0, other, one), names[place])
    return pairs[np.flatnonzero(gain)]


def sample(network: Network, prompts: Codes, length: int, rng: np.random.Generator) -> Codes:
    """Continue every prompt by ``length`` characters drawn from the network."""
    text = np.concatenate([prompts, np.zeros((len(prompts), length), prompts.dtype)], axis=1)
    width = prompts.shape[1]
    for place in range(length):
        logits = network.forward(text[:, place : place + width]).logits.astype(np.float64)
        cumulative = np.exp(logits - logits.max(axis=1, keepdims=True)).cumsum(axis=1)
        drawn = rng.random((len(text), 1)) * cumulative[:, -1:]
        text[:, width + place] = (cumulative <= drawn).sum(axis=1)
    return text[:, width:]


def answer(network: Network, prompts: Codes, answers: Codes) -> tuple[Pass, sy.tokens.TokenScores]:
    """The forward pass over every character of the answers, and their scores ``[n, length]``."""
    width, length = prompts.shape[1], answers.shape[1]
    text = np.concatenate([prompts, answers[:, :-1]], axis=1)
    windows = np.lib.stride_tricks.sliding_window_view(text, width, axis=1)
    made = network.forward(windows.reshape(-1, width))
    return made, sy.token_scores(made.logits.reshape(len(answers), length, -1), answers)


def loglikelihoods(network: Network, pairs: Pairs) -> Loglikelihoods:
    """Log-probabilities of the answers of all pairs."""
    chosen, rejected = (answer(network, pairs.prompts, side)[1] for side in (pairs.chosen, pairs.rejected))
    return Loglikelihoods(chosen.sequence_logprob, rejected.sequence_logprob)


def gradients(
    network: Network, pairs: Pairs, reference: Loglikelihoods, objective: Objective
) -> tuple[sy.preference.PreferenceLoss, dict[str, object]]:
    """The loss of the pairs, and the gradients of its mean by the network's parameters.

    ``preference_loss`` gives the derivative of each pair's loss by the log-probability of either answer; that
    log-probability is a sum over the answer's characters, so each of them gets the same factor.
    """
    n, length = pairs.chosen.shape
    answers = np.concatenate([pairs.chosen, pairs.rejected])
    made, scores = answer(network, np.concatenate([pairs.prompts, pairs.prompts]), answers)
    logprob = scores.sequence_logprob
    out = objective.of(Loglikelihoods(logprob[:n], logprob[n:]), reference, length)
    assert out.grad_chosen is not None
    assert out.grad_rejected is not None
    factor = np.repeat(np.concatenate([out.grad_chosen, out.grad_rejected]) / n, length)
    slope = loglikelihood_slope(made, answers.reshape(-1), scores.log_z.reshape(-1))
    slope *= factor[:, None].astype(slope.dtype)
    return out, network.backward(made, slope)


def tune(network: Network, pairs: Pairs, tuning: Tuning, steps: Iterable[int]) -> Curve:
    """Tune the network in place; what it was at the beginning is the frozen reference.

    ``steps`` yields the step numbers, and may look at the network while it does.
    """
    reference = loglikelihoods(network, pairs)
    optimizer = sy.AdamW(network.params, lr=tuning.schedule, weight_decay=0.0, max_norm=tuning.max_norm)
    rng = np.random.default_rng(tuning.seed)
    curve = Curve(tuning.max_norm)
    for _ in steps:
        rows = rng.choice(len(pairs), min(tuning.batch, len(pairs)), replace=False)
        known = Loglikelihoods(reference.chosen[rows], reference.rejected[rows])
        out, grads = gradients(network, pairs[rows], known, tuning.objective)
        curve.add(float(out.loss), optimizer.step(grads))
    return curve
