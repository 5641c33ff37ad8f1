"""Cross-entropy of logits on the CPU, with its gradient, and without a copy of the logits."""

from __future__ import annotations

from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch

from .. import _core
from .._arrays import floats
from .._mode import standard_mode
from .._options import choice, fraction, number, whole
from ..errors import called, type_error, value_error
from ..tokens import token_scores
from ._tensors import DTYPES, dtype_name

__all__ = [
    "ARGUMENTS", "REDUCTIONS", "Loss", "Reduction", "check_range", "checked_classes", "checked_tensor",
    "cross_entropy", "gradient", "loss_of", "losses_of", "reduced", "refuse_second_order", "row_losses",
]  # fmt: skip

Reduction: TypeAlias = Literal["none", "mean", "sum"]
REDUCTIONS = ("none", "mean", "sum")
INDICES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8)
# What torch calls the arguments of token scores.
ARGUMENTS = {"logits": "input", "targets": "target"}


class Loss(NamedTuple):
    """The options of a cross-entropy, checked."""

    ignore_index: int | None = None
    label_smoothing: float = 0.0
    z_loss: float = 0.0
    softcap: float | None = None

    @property
    def columns(self) -> Literal["nll", "label_smoothed"]:
        """The column of token scores that the loss is, but for its z-loss."""
        return "label_smoothed" if self.label_smoothing else "nll"


def loss_of(ignore_index: int, label_smoothing: float, z_loss: float, softcap: float | None) -> Loss:
    """Check the options that all cross-entropies have."""
    ignored = whole(ignore_index, "ignore_index", -(2**63), 2**63 - 1, "a whole number")
    z = number(z_loss, "z_loss", "a finite number of at least 0")
    if not 0 <= z < float("inf"):
        raise value_error("z_loss", "a finite number of at least 0", str(z_loss))
    return Loss(ignored, fraction(label_smoothing, "label_smoothing"), z, softcap)


def checked_tensor(x: object, name: str) -> torch.Tensor:
    """A dense floating-point tensor on the CPU."""
    if not isinstance(x, torch.Tensor):
        raise type_error(name, "a tensor", type(x).__name__)
    if x.layout is not torch.strided or x.device.type != "cpu" or x.dtype not in dict(DTYPES):
        expected = f"a dense CPU tensor of {', '.join(known for _, known in DTYPES)}"
        got = f"one of {dtype_name(x.dtype)} on {x.device}"
        raise type_error(name, expected, got, "use torch.nn.functional.cross_entropy for it")
    return x


def checked_classes(target: object) -> torch.Tensor:
    """A tensor of class indices."""
    if not isinstance(target, torch.Tensor) or target.dtype not in INDICES:
        got = dtype_name(target.dtype) if isinstance(target, torch.Tensor) else type(target).__name__
        fix = "class probabilities are taken by torch.nn.functional.cross_entropy"
        raise type_error("target", "a tensor of class indices", got, fix)
    if target.layout is not torch.strided or target.device.type != "cpu":
        got = f"one of {dtype_name(target.layout)} on {target.device}"
        raise type_error("target", "a dense CPU tensor of class indices", got)
    return target.detach().long()


def check_range(classes: torch.Tensor, n_classes: int, ignored: int | None) -> None:
    """Refuse a class index that no logit has, by torch's name of the argument."""
    wrong = ((classes < 0) | (classes >= n_classes)) & (classes != ignored)
    if bool(wrong.any()):
        index = wrong.nonzero()[0].tolist()
        expected = f"class indices from 0 up to, not including, V = {n_classes}, or ignore_index = {ignored}"
        raise value_error("target", expected, f"{int(classes[tuple(index)])} at index {index}")


def reduced(losses: torch.Tensor, counted: int, reduction: Reduction, like: torch.Tensor) -> torch.Tensor:
    """Reduce the losses of rows, in float64; the result is float64 for such input, else float32."""
    kind = torch.float64 if like.dtype == torch.float64 else torch.float32
    match reduction:
        case "none":
            return losses.to(kind)
        case "sum":
            return losses.sum().to(kind)
    return (losses.sum() / counted).to(kind)  # nan where nothing counts, as in torch


def losses_of(scores: Any, loss: Loss) -> torch.Tensor:
    """The loss of each row, 0 for those that do not count."""
    values = getattr(scores, loss.columns)
    if loss.z_loss:
        values = values + loss.z_loss * (scores.log_z * scores.log_z)
    return torch.from_numpy(np.where(scores.counted, values, 0.0))


def as_tensor(words: Any, like: torch.Tensor) -> torch.Tensor:
    """The bytes of an int64 array as elements of ``like``'s type and shape."""
    return torch.from_numpy(words).view(like.dtype)[: like.numel()].view(like.shape)


def refuse_second_order(name: str = "cross_entropy", instead: str = "torch.nn.functional.cross_entropy") -> None:
    """Refuse to be differentiated twice: the gradient would be taken for a constant, which it is not."""
    if torch.is_grad_enabled():
        raise RuntimeError(
            f"{name}: expected backward without create_graph=True, since its gradient is not differentiated "
            f"again; {instead} can be"
        )


class _CrossEntropy(torch.autograd.Function):
    """The losses of rows ``[..., V]``, in float64 and in the shape of the targets."""

    @staticmethod
    def forward(ctx: Any, logits: torch.Tensor, target: torch.Tensor, loss: Loss) -> torch.Tensor:
        scores = token_scores(
            logits.detach(), target, ignore_index=loss.ignore_index, columns=loss.columns, softcap=loss.softcap,
            label_smoothing=loss.label_smoothing,
        )  # fmt: skip
        ctx.save_for_backward(logits, target)
        ctx.log_z, ctx.loss = scores.log_z, loss
        return losses_of(scores, loss)

    @staticmethod
    def backward(ctx: Any, slope: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        refuse_second_order()
        logits, target = ctx.saved_tensors
        return gradient(logits.detach(), target, ctx.log_z, slope, loss=ctx.loss), None, None


@standard_mode
def gradient(
    logits: torch.Tensor,
    target: torch.Tensor,
    log_z: Any,
    slope: torch.Tensor,
    *,
    loss: Loss,
    shard: tuple[int, int] | None = None,
) -> torch.Tensor:
    """The gradient of ``(slope * losses).sum()`` with respect to rows of logits."""
    words = _core.token_gradients(
        floats(logits, "input", contiguous=False, table=True), target.contiguous().numpy(), log_z=log_z,
        factors=slope.detach().double().contiguous().numpy(), ignore_index=loss.ignore_index, softcap=loss.softcap,
        label_smoothing=loss.label_smoothing, z_loss=loss.z_loss, shard=shard,
    )  # fmt: skip
    return as_tensor(words, logits)


def row_losses(rows: torch.Tensor, classes: torch.Tensor, loss: Loss) -> torch.Tensor:
    """The losses of ``[..., V]`` logits in float64, in the shape of the classes; 0 for those that do not count."""
    side_by_side = rows.stride(-1) == 1 or rows.shape[-1] == 1
    losses: torch.Tensor = _CrossEntropy.apply(rows if side_by_side else rows.contiguous(), classes.contiguous(), loss)
    return losses


def cross_entropy(
    input: torch.Tensor,  # torch's name
    target: torch.Tensor,
    *,
    ignore_index: int = -100,
    reduction: Reduction = "mean",
    label_smoothing: float = 0.0,
    z_loss: float = 0.0,
    softcap: float | None = None,
) -> torch.Tensor:
    """Compute the cross-entropy of class indices, as ``torch.nn.functional.cross_entropy``, on the CPU.

    For a row x of V logits, y = ``softcap tanh(x / softcap)`` (or x), a target t and e = ``label_smoothing``::

        loss = (1 - e) (log_z - y_t) + e (log_z - mean(y)) + z_loss log_z**2,    log_z = log(sum(exp(y)))

    Its gradient is ``(p (1 + 2 z_loss log_z) - e / V - (1 - e) [v = t]) dy/dx`` with p the softmax of y. Forward reads
    the logits once and keeps one number a row; backward reads them once more and writes the gradient. No array of
    probabilities is made, and no copy of the logits where the classes of a row lie side by side in memory.

    Parameters
    ----------
    input : float32, float64, bfloat16 or float16 tensor, shape [V], [N, V] or [N, V, ...]
        Logits. In the last form classes are the second axis, as in torch.
    target : integer tensor, shape [], [N] or [N, ...]
        Class indices in ``0..V-1``, or ``ignore_index``.
    ignore_index : int
        Targets that do not count.
    reduction : {"mean", "sum", "none"}
        The mean over the targets that count (nan where none does), the sum, or every loss (0 where it does not count).
    label_smoothing : float
        e in 0..1.
    z_loss : float
        The factor of ``log_z**2``, at least 0; torch has none.
    softcap : float or None
        The bound of the logits, above 0; torch has none.

    Returns
    -------
    tensor
        float64 for float64 logits, else float32 (torch rounds the loss of 16-bit logits to 16 bits). It can be
        differentiated once, by ``backward`` or ``torch.autograd.grad``; ``torch.func`` is not supported.

    Raises
    ------
    TypeError
        For tensors on other devices, of other layouts or types, and for class probabilities as targets.
    RuntimeError
        For ``backward(create_graph=True)``.
    ValueError
        As ``steelyard.token_scores``: for a target out of range, and a row with a NaN, a ``+inf`` or only ``-inf``.

    Examples
    --------
    >>> import torch
    >>> from steelyard.torch import cross_entropy
    >>> logits = torch.tensor([[2.0, 0.0, -1.0], [0.0, 0.0, 0.0]], requires_grad=True)
    >>> loss = cross_entropy(logits, torch.tensor([0, 2]))
    >>> round(loss.item(), 4)
    0.6342
    >>> loss.backward()
    >>> logits.grad.round(decimals=3).tolist()
    [[-0.07800000160932541, 0.05700000002980232, 0.020999999716877937], [0.16699999570846558, 0.16699999570846558, -0.3330000042915344]]

    Notes
    -----
    torch writes the log-softmax of all logits, keeps it until backward, and sums losses of 16-bit logits in 16 bits.
    The z-loss is PaLM's (arXiv:2204.02311), the soft cap Gemma 2's (arXiv:2408.00118).
    """  # noqa: E501 # the output of the example
    logits, classes = checked_tensor(input, "input"), checked_classes(target)
    choice(reduction, "reduction", REDUCTIONS)
    loss = loss_of(ignore_index, label_smoothing, z_loss, softcap)
    rows = logits if logits.ndim <= 2 else logits.movedim(1, -1)
    if rows.ndim == 0 or rows.shape[-1] == 0:
        raise value_error("input", "classes along an axis, [V], [N, V] or [N, V, ...]", f"shape {tuple(logits.shape)}")
    if classes.shape != rows.shape[:-1]:
        expected = f"shape {tuple(rows.shape[:-1])}, that of input without its classes"
        raise value_error("target", expected, f"shape {tuple(classes.shape)}")
    check_range(classes, rows.shape[-1], loss.ignore_index)
    counted = int((classes != loss.ignore_index).sum())
    with called(ARGUMENTS):
        losses = row_losses(rows, classes, loss)
    return reduced(losses, counted, reduction, logits)
