"""Drop-in optimizers and clipping for torch: names of ``torch.optim`` and ``torch.nn.utils``, computed on the CPU.

This package imports torch; ``import steelyard`` does not.
"""

from .adamw import Adam, AdamW
from .clip import clip_grad_norm_, clip_grad_value_, clip_grads_with_norm_, get_total_norm
from .convert import convert_state_dict
from .lion import Lion
from .scheduler import LRScheduler
from .sgd import SGD

__all__ = [
    "SGD", "Adam", "AdamW", "LRScheduler", "Lion", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_",
    "convert_state_dict", "get_total_norm",
]  # fmt: skip
