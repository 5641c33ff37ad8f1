"""Defects of other libraries that no other test file names; each test asserts the right result."""

from __future__ import annotations

import math

import numpy as np
import pytest

import steelyard as sy

# -- tokens ----------------------------------------------------------------------------------------------------


def test_hf_evaluate_averages_the_perplexities_of_documents() -> None:
    """A short and hard document dominates that mean; the perplexity of a corpus is of all its tokens."""
    nll = np.concatenate([np.full(2, 6.0), np.full(98, 1.0)])
    documents = np.repeat([0, 1], [2, 98])
    theirs = (math.exp(6.0) + math.exp(1.0)) / 2
    ours = sy.perplexity(nll, clusters=documents).value
    assert ours == pytest.approx(math.exp((2 * 6.0 + 98 * 1.0) / 100), rel=1e-14)
    assert theirs > 60 * ours


def test_llama_cpp_takes_tokens_as_independent() -> None:
    """Its error, sqrt(var/(n - 1)), is too small where tokens of a document are alike."""
    rng = np.random.default_rng(0)
    nll = np.abs(rng.normal(3.0, 1.0, (40, 1)) + rng.normal(0.0, 0.3, (40, 50)))
    ours = sy.perplexity(nll, unit="nats").standard_error
    assert ours is not None
    assert ours > 4 * nll.std() / math.sqrt(nll.size - 1)


def test_a_sequence_in_bfloat16_loses_two_nats() -> None:
    """Trainers sum log-probabilities in the model's dtype; near 300 nats bfloat16 steps by 2."""
    ml_dtypes = pytest.importorskip("ml_dtypes", reason="ml_dtypes comes with the dev extra")
    logits = np.zeros((1, 300, 3), ml_dtypes.bfloat16)
    ours = sy.token_scores(logits, np.zeros((1, 300), int)).sequence_logprob[0]
    assert ours == pytest.approx(-300 * math.log(3), rel=1e-7)
    assert abs(float(ml_dtypes.bfloat16(ours)) - ours) > 0.4


# -- calibration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bad", [-0.2, 1.5, np.nan])
def test_relplot_and_netcal_take_what_is_no_probability(bad: float) -> None:
    """relplot indexes from the end for -0.2; netcal clips 1.5 and drops a NaN."""
    with pytest.raises(ValueError, match=r"^probs: expected .* at index 1"):
        sy.reliability([0.5, bad, 0.7], [0, 1, 1])


def test_uncertainty_calibrations_ninety_percent_are_99_9() -> None:
    """It reads alpha = 0.1 as a tenth of a percent."""
    p, y = np.linspace(0.05, 0.95, 400), np.arange(400) % 3 == 0
    widths = []
    for level in (0.9, 0.95, 0.999):
        ece = sy.reliability(p, y, confidence_level=level).ece
        assert ece.low is not None
        assert ece.high is not None
        widths.append(ece.high - ece.low)
    assert widths == sorted(widths)
    assert widths[2] > 1.5 * widths[0]


# -- uncertainty -----------------------------------------------------------------------------------------------


def test_helm_chooses_the_side_after_it_has_seen_the_data() -> None:
    """A two-sided p is the same whichever model comes first, and twice the smaller tail."""
    rng = np.random.default_rng(1)
    new, base = rng.normal(0.3, 1.0, 12), rng.normal(0.0, 1.0, 12)
    p = sy.compare(new, baseline=base).p_value
    assert p == sy.compare(base, baseline=new).p_value
    tails = [sy.compare(new, baseline=base, alternative=side).p_value for side in ("less", "greater")]
    assert p == pytest.approx(2 * min(tails), rel=1e-12)


@pytest.mark.parametrize("n", [64, 1024, 4096])
def test_openai_evals_draws_half_and_scirs2_the_low_bits(n: int) -> None:
    """A replicate is n draws with replacement for n a power of two as well: its spread is s/sqrt(n)."""
    x = np.arange(float(n))
    spread = sy.bootstrap(x, n_resamples=1999).standard_error
    assert spread == pytest.approx(x.std() / math.sqrt(n), rel=0.06)


# -- preference ------------------------------------------------------------------------------------------------

PAIRS = ([-1.0, -5.0], [-3.0, -4.0], [-2.0, -4.5], [-2.5, -4.2])


def test_trl_and_liger_drop_label_smoothing() -> None:
    """Conservative DPO: -(1 - e) log s(z) - e log s(-z)."""
    z = 0.1 * np.array([1.0 - (-0.5), -0.5 - 0.2])
    log_s = lambda t: -np.log1p(np.exp(-t))  # noqa: E731
    out = sy.preference_loss(*PAIRS, label_smoothing=0.2)
    np.testing.assert_allclose(out.losses, -0.8 * log_s(z) - 0.2 * log_s(-z), rtol=1e-14)
    assert (out.losses != sy.preference_loss(*PAIRS).losses).all()


def test_trl_averages_ipo_over_tokens() -> None:
    """The paper's loss is of summed log-ratios: (x - y - 1/(2 beta))^2."""
    x_y = np.array([1.0 - (-0.5), -0.5 - 0.2])
    np.testing.assert_allclose(sy.preference_loss(*PAIRS, loss="ipo").losses, (x_y - 5.0) ** 2, rtol=1e-14)


def test_empty_answers_gave_nan_in_trl() -> None:
    """#3382: 0/0 over no tokens; here an empty answer is a pair like any other, and counted."""
    out = sy.preference_loss([0.0, -1.0], [-1.0, 0.0], [0.0, -1.5], [-2.0, 0.0])
    assert out.empty == 2
    assert np.isfinite(out.losses).all()
