"""Train the network on text: AdamW, a cosine schedule with warm-up, gradients clipped by their global norm."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

import steelyard as sy

from .corpus import Document
from .network import Network, contexts, loglikelihood_slope


@dataclass(frozen=True)
class Recipe:
    """How the network is trained."""

    steps: int = 2000
    batch: int = 256
    lr: float = 5e-3
    warmup_steps: int = 100
    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.1
    max_norm: float = 1.0
    seed: int = 1

    @property
    def schedule(self) -> sy.schedules.Schedule:
        """The learning rate as a function of the updates made."""
        return sy.schedules.cosine(self.lr, total_steps=self.steps, warmup_steps=self.warmup_steps, end=self.lr / 100)


@dataclass
class Curve:
    """Loss, rate and gradient norm of every step; ``max_norm`` is the norm at which gradients are clipped."""

    max_norm: float
    loss: list[float] = field(default_factory=list)
    lr: list[float] = field(default_factory=list)
    grad_norm: list[float] = field(default_factory=list)

    def add(self, loss: float, info: sy.optim.StepInfo) -> None:
        """Add one step."""
        self.loss.append(loss)
        self.lr.append(info.lr)
        self.grad_norm.append(float(info.grad_norm or 0.0))


def train(network: Network, documents: Sequence[Document], recipe: Recipe, steps: Iterable[int]) -> Curve:
    """Fit the network in place; ``steps`` yields the step numbers, and may draw a progress bar while it does."""
    width = network.sizes.context
    seen = np.concatenate([contexts(document.codes, width) for document in documents])
    following = np.concatenate([document.codes for document in documents])
    optimizer = sy.AdamW(
        network.params,
        lr=recipe.schedule,
        betas=recipe.betas,
        weight_decay=recipe.weight_decay,
        max_norm=recipe.max_norm,
    )
    curve = Curve(recipe.max_norm)
    rng = np.random.default_rng(recipe.seed)
    queue = rng.permutation(len(seen))
    for _ in steps:
        if len(queue) < recipe.batch:  # every place of the text comes once before any comes again
            queue = np.concatenate([queue, rng.permutation(len(seen))])
        batch, queue = queue[: recipe.batch], queue[recipe.batch :]
        made = network.forward(seen[batch])
        scores = sy.token_scores(made.logits, following[batch])
        slope = loglikelihood_slope(made, following[batch], scores.log_z)
        slope *= -1 / len(batch)  # the loss is the mean negative log-likelihood
        curve.add(float(scores.nll.mean()), optimizer.step(network.backward(made, slope)))
    return curve
