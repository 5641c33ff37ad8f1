"""Preference losses of log-probabilities, with exact gradients, metrics with intervals, and an audit of the data."""

from .advantages import Advantages, advantages
from .agreement import agreement
from .audit import audit
from .auditing.results import Audit
from .explain import Explanation, explain
from .kl import kl
from .length_control import length_controlled_accuracy
from .losses import preference_loss
from .penalised import AdaptiveKL, penalised_reward
from .policy import policy_loss
from .policy_result import PolicyLoss
from .ranked import RankedLoss, ranked_loss
from .result import PreferenceLoss
from .rewards import RewardLoss, reward_loss
from .state import PreferenceState
from .unpaired import unpaired_loss
from .unpaired_result import UnpairedLoss

__all__ = [
    "AdaptiveKL", "Advantages", "Audit", "Explanation", "PolicyLoss", "PreferenceLoss", "PreferenceState",
    "RankedLoss", "RewardLoss", "UnpairedLoss", "advantages", "agreement", "audit", "explain", "kl",
    "length_controlled_accuracy", "penalised_reward", "policy_loss", "preference_loss", "ranked_loss", "reward_loss",
    "unpaired_loss",
]  # fmt: skip
