"""Drop-in optimizers, clipping and losses for torch: names of ``torch.optim`` and ``torch.nn``, computed on the CPU.

This package imports torch; ``import steelyard`` does not.
"""

from typing import TYPE_CHECKING

from .adamw import Adam, AdamW
from .clip import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .convert import convert_state_dict
from .linear_losses import linear_cross_entropy
from .lion import Lion
from .losses import cross_entropy
from .policy import policy_loss
from .preference import preference_loss
from .preference_sets import ranked_loss, reward_loss, unpaired_loss
from .scheduler import LRScheduler
from .scoring import token_log_probs
from .sgd import SGD

if TYPE_CHECKING:
    from .metrics import Perplexity

__all__ = [
    "SGD", "Adam", "AdamW", "LRScheduler", "Lion", "Perplexity", "clip_grad_norm_", "clip_grad_value_",
    "clip_grads_with_norm_", "convert_state_dict", "cross_entropy", "get_total_norm", "linear_cross_entropy",
    "policy_loss", "preference_loss", "ranked_loss", "reward_loss", "token_log_probs", "unpaired_loss",
]  # fmt: skip


def __getattr__(name: str) -> object:
    """Import the metric when it is first read: it needs torchmetrics, and nothing else does."""
    if name != "Perplexity":
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .metrics import Perplexity

    return Perplexity
