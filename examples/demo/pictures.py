"""Pictures of a training run for the report's page."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from .train import Curve

if TYPE_CHECKING:
    from matplotlib.figure import Figure


Draw = Callable[["Figure"], None]


def curve(run: Curve, loss: str) -> Draw:
    """Loss, learning rate and gradient norm of every step, one above the other."""

    def draw(figure: Figure) -> None:
        step = np.arange(1, len(run.loss) + 1)
        top, middle, bottom = figure.subplots(3, sharex=True, height_ratios=(2, 1, 1))
        top.plot(step, run.loss, alpha=0.3, linewidth=0.8)
        top.plot(step, smoothed(run.loss), color="C0")
        top.set_ylabel(loss)
        middle.plot(step, run.lr, color="C2")
        middle.set_ylabel("learning rate")
        middle.ticklabel_format(axis="y", style="plain")
        bottom.plot(step, run.grad_norm, color="C1", linewidth=0.8)
        bottom.axhline(run.max_norm, color="black", linewidth=1, linestyle=(0, (4, 3)))
        bottom.annotate(
            "clipped above", (1, run.max_norm), xytext=(0, 3), xycoords=("axes fraction", "data"),
            textcoords="offset points", ha="right", va="bottom", fontsize=8.5,
        )  # fmt: skip
        bottom.set(ylabel="gradient norm", xlabel="step", ylim=(0, None))
        figure.align_ylabels()

    return draw


def smoothed(values: list[float]) -> list[float]:
    """A running mean that forgets over about a hundredth of the run."""
    keep = 1 - 1 / max(len(values) / 100, 1)
    mean, weight, means = 0.0, 0.0, []
    for value in values:
        mean, weight = keep * mean + (1 - keep) * value, keep * weight + (1 - keep)
        means.append(mean / weight)
    return means
