"""What torchtune's and TRL's own tests of losses are given and expect, held against the calls here.

pytorch/torchtune: tests/torchtune/rlhf/loss/test_dpo_loss.py and test_ppo_loss.py; huggingface/trl:
tests/test_dpo_trainer.py (versions 0.9 to 0.2x; later ones train small models and state no losses). Their figures have
four digits, so the tolerance is theirs, 1e-4.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import steelyard as sy
from steelyard.preference import policy_loss, unpaired_loss

CHOSEN, REJECTED = [-0.5, -10.0, -1.0], [-0.1, -30.0, -21.0]
REFERENCE = [-0.5, -10.1, -0.1], [-0.1, -20.1, -0.1]
CLOSE: dict[str, float] = {"rtol": 1e-5, "atol": 1e-4}


@pytest.mark.parametrize(
    ("options", "want"),
    [
        ({"loss": "DPOLoss", "convention": "torchtune"}, [0.6931, 0.3133, 0.1269]),
        ({"loss": "RSOLoss", "convention": "torchtune"}, [1.0, 0.0, 0.0]),
    ],
)
def test_torchtunes_losses_of_pairs(options: Any, want: list[float]) -> None:
    out = sy.preference_loss(CHOSEN, REJECTED, *REFERENCE, beta=0.1, **options)
    np.testing.assert_allclose(out.losses, want, **CLOSE)


def test_torchtunes_simpo() -> None:
    """Its columns are means over tokens already: answers of one token."""
    ones = [1, 1, 1]
    out = sy.preference_loss(CHOSEN, REJECTED, loss="simpo", beta=2.0, gamma=0.5, lengths=(ones, ones))
    scaled = [-1.3, 39.5, 39.5]
    np.testing.assert_allclose(out.losses, [math.log1p(math.exp(-z)) for z in scaled], **CLOSE)
    np.testing.assert_allclose(out.losses, [1.5410, 0.0, 0.0], **CLOSE)


def test_torchtunes_kto() -> None:
    """The mean of the mismatched log-ratios is -0.05, and is cut off at 0."""
    mismatched = np.array([-1.0, 0.25, 1.0]) - np.array([0.4, 0.2, -0.2])
    out = unpaired_loss(
        CHOSEN + REJECTED, REFERENCE[0] + REFERENCE[1], [True] * 3 + [False] * 3, beta=0.1, kl=mismatched
    )
    assert out.point == 0.0
    np.testing.assert_allclose(out.losses, [0.5, 0.4975, 0.5225, 0.5, 0.2709, 0.1101], **CLOSE)
    np.testing.assert_allclose(out.rewards, [0.0, 0.01, -0.09, 0.0, -0.99, -2.09], **CLOSE)


@pytest.mark.parametrize(
    ("step", "loss", "clipped"), [(1.0, -1.2, True), (-1.0, -math.exp(-1.0), False), (0.1, -math.exp(0.1), False)]
)
def test_torchtunes_ppo(step: float, loss: float, clipped: bool) -> None:
    """Three tokens that became likelier by a step, advantages of 1, a clip of 0.2.

    For a step of -1, torchtune's file expects 0.8, the clipped ratio, and for 0.1 a positive loss; its relative
    tolerance there is 1e6, which every number keeps. The objective is the smaller of ``r A`` and ``clip(r) A``.
    """
    old = np.array([[0.5, 0.8, 1.2]]) - 3.0  # as log-probabilities
    out = policy_loss(old + step, old, [1.0], clip=0.2)
    assert out.loss.value == pytest.approx(loss, rel=1e-12)
    assert out.ratio.value == pytest.approx(math.exp(step), rel=1e-12)
    assert out.clip_share.value == float(clipped)


def test_torchtunes_higher_advantages_have_a_lower_loss() -> None:
    logprob = [[-0.5, -0.8, -1.2]]
    high, low = (policy_loss(logprob, logprob, [advantage]) for advantage in ([1.0, 2.0, 3.0], [0.5, 1.0, 1.5]))
    assert (high.loss.value, low.loss.value) == (-2.0, -1.0)


@pytest.mark.parametrize("divergence", ["alpha", "js"])
def test_trls_far_log_ratios_of_a_divergence(divergence: Any) -> None:
    """Its columns of 410 and 810.5 are no log-probabilities; less 1,000 they have the same log-ratios.

    TRL asserts that the losses are finite. They are those of the divergences' scores, with alpha .5: far out both
    answers reach the end of the scale, log 2 or 2, so that the first pair has ln 2.
    """
    columns = [np.array(x) - 1000.0 for x in ([410.0, 0.1], [810.5, 0.2], [-610.0, -0.1], [110.6, 0.5])]
    out = sy.preference_loss(*columns, loss="dpo", beta=0.1, divergence=divergence)
    assert np.isfinite(out.losses).all()
    score = {"alpha": lambda r: 2 * (1 - math.exp(-r / 2)), "js": lambda r: math.log(2) - math.log1p(math.exp(-r))}
    margin = 0.1 * (score[divergence](0.2) - score[divergence](-0.3))
    np.testing.assert_allclose(out.losses, [math.log(2), math.log1p(math.exp(-margin))], rtol=1e-12)
