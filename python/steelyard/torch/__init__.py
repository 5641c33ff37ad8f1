"""Drop-in optimizers for torch: the classes of ``torch.optim``, computed by this package's core on the CPU.

This package imports torch; ``import steelyard`` does not.
"""

from .adamw import AdamW

__all__ = ["AdamW"]
