"""The metric ``Perplexity`` of torchmetrics, computed from logits without probabilities."""

from __future__ import annotations

from typing import Any

import torch
import torchmetrics

from ..errors import called, type_error, value_error
from .losses import Loss, row_losses

__all__ = ["Perplexity"]


class Perplexity(torchmetrics.Metric):
    """Perplexity as ``torchmetrics.text.Perplexity``: the exponential of the mean NLL of the tokens that count.

    A replacement with the same arguments: ``update(preds, target)`` with logits ``[B, T, V]`` and class indices
    ``[B, T]``, ``compute()``, ``forward``, synchronisation of processes. The sums are kept in float64, and a token
    whose probability float32 cannot hold has its own NLL. (torchmetrics computes probabilities first and their
    logarithms then, which gives infinity beyond 103 nats, or 17 for float16, and adds up in float32.)
    Logits that are NaN are refused, where torchmetrics returns nan. For an interval, :func:`steelyard.perplexity`.

    Parameters
    ----------
    ignore_index : int or None
        Targets that do not count.
    **kwargs
        Those of ``torchmetrics.Metric``.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import Perplexity
    >>> metric = Perplexity(ignore_index=-100)
    >>> metric.update(torch.zeros(2, 3, 8), torch.tensor([[0, 1, -100], [2, 3, 4]]))
    >>> round(metric.compute().item(), 6)
    8.0
    """

    is_differentiable = True
    higher_is_better = False
    full_state_update = False
    total_log_probs: torch.Tensor
    count: torch.Tensor

    def __init__(self, ignore_index: int | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        if ignore_index is not None and not isinstance(ignore_index, int):
            raise value_error("ignore_index", "a whole number or None", str(ignore_index))
        self.ignore_index = ignore_index
        zero = torch.tensor(0.0, dtype=torch.float64)
        self.add_state("total_log_probs", default=zero, dist_reduce_fx="sum")
        self.add_state("count", default=zero.clone(), dist_reduce_fx="sum")
        self.set_dtype(torch.float64)

    def update(self, preds: torch.Tensor, target: torch.Tensor) -> None:
        """Add the tokens of a batch."""
        if preds.ndim != 3:
            raise value_error("preds", "shape [batch_size, seq_len, vocab_size]", f"shape {tuple(preds.shape)}")
        if target.ndim != 2 or preds.shape[:2] != target.shape:
            expected = f"shape {tuple(preds.shape[:2])}, that of preds without its last axis"
            raise value_error("target", expected, f"shape {tuple(target.shape)}")
        if not preds.is_floating_point():
            raise type_error("preds", "a floating-point tensor", str(preds.dtype))
        if target.dtype != torch.int64:
            raise type_error("target", "a tensor of torch.int64", str(target.dtype))
        with called({"logits": "preds", "targets": "target"}):
            losses = row_losses(preds.cpu(), target.cpu(), Loss(self.ignore_index))
        n = target.numel() if self.ignore_index is None else (target != self.ignore_index).sum()
        # Also where a saved state or a conversion of the module made them numbers of fewer digits.
        self.total_log_probs = self.total_log_probs.double() + losses.sum()
        self.count = self.count.double() + n

    def compute(self) -> torch.Tensor:
        """The perplexity of all tokens, in float32."""
        return torch.exp(self.total_log_probs / self.count).float()
