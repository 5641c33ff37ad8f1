"""Work that is done during backward, in hooks that torch calls as soon as a parameter's gradient is complete."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import torch
from torch.utils.weak import TensorWeakRef

from .. import _core
from ..errors import type_error, value_error
from ._distributed import array_of, is_shard

__all__ = ["BackwardHooks"]


class _Measured(NamedTuple):
    """The sum of squares of a gradient, and which gradient it was: its memory is free once nobody else holds it."""

    grad: TensorWeakRef
    version: int
    sum: float
    exponent: int

    def holds_for(self, grad: torch.Tensor) -> bool:
        """Whether the gradient has not been replaced since, nor written to by what raises its version."""
        return self.grad() is grad and self.version == grad._version


class BackwardHooks:
    """The hooks of an optimizer on the parameters of a model; :meth:`remove` takes them off.

    Returned by ``optimizer.hook_backward(model)``, where the schemes are described.
    """

    def __init__(
        self,
        model: torch.nn.Module,
        params: list[torch.Tensor],
        update: Callable[[torch.Tensor], bool],
        updates_at_once: Callable[[], bool],
    ) -> None:
        self._update, self._updates_at_once = update, updates_at_once
        self._paused = self._updated = False
        self._measured: dict[torch.Tensor, _Measured] = {}
        self._sums: dict[torch.Tensor, _core._SumOfSquares] = {}
        self._handles: list[Any] = []
        self.active = True
        """Whether the hooks are on."""
        if isinstance(model, torch.nn.parallel.DistributedDataParallel):
            self._own = set(params)
            # torch reads the annotations of what it is given, and takes only its own or none.
            model.register_comm_hook(model.process_group, lambda group, bucket: self._reduce(group, bucket))  # noqa: PLW0108
        else:
            self._handles = [param.register_post_accumulate_grad_hook(self._complete) for param in params]

    def remove(self) -> None:
        """Take the hooks off; from then on ``step`` does everything by itself.

        DistributedDataParallel keeps a hook for ever: from then on it does what the model does without.
        """
        for handle in self._handles:
            handle.remove()
        self.active = False
        self._measured.clear()

    def take_updated(self) -> bool:
        """Whether parameters have been updated since the last call."""
        updated, self._updated = self._updated, False
        return updated

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Leave gradients alone inside, so that they add up over several calls of ``backward``."""
        before, self._paused = self._paused, True
        try:
            yield
        finally:
            self._paused = before

    @torch.no_grad()
    def _complete(self, param: torch.Tensor) -> None:
        if self._paused or param.grad is None:
            return
        if not self._updates_at_once():
            self._measure(param, param.grad)
        elif self._update(param):
            self._updated = True
            param.grad = None

    def _reduce(self, group: Any, bucket: Any) -> Any:
        """What DistributedDataParallel calls for a bucket of gradients: reduce it, then measure what is in it."""
        from torch.distributed.algorithms.ddp_comm_hooks.default_hooks import allreduce_hook

        reduced = allreduce_hook(group, bucket)
        if not self.active:
            return reduced
        pairs = list(zip(bucket.parameters(), bucket.gradients(), strict=True))
        engine = torch.autograd.Variable._execution_engine
        if bucket.is_last():
            # The model writes its results into the gradients in a call that it queues after this one.
            engine.queue_callback(lambda: engine.queue_callback(self._settle))

        def measure(future: Any) -> Any:
            for param, grad in pairs:
                if param in self._own and not self._paused:
                    self._sums[param] = _core.sum_of_squares((array_of(grad),))
            return future.value()

        return reduced.then(measure)

    def _settle(self) -> None:
        """The gradients of DistributedDataParallel are complete: they are those that were measured."""
        for param, found in self._sums.items():
            if self._updates_at_once():
                self._complete(param)
            elif param.grad is not None:
                self._note(param, param.grad, found)
        self._sums.clear()

    def _measure(self, param: torch.Tensor, grad: torch.Tensor) -> _Measured:
        return self._note(param, grad, _core.sum_of_squares((array_of(grad),)))

    def _note(self, param: torch.Tensor, grad: torch.Tensor, found: _core._SumOfSquares) -> _Measured:
        measured = _Measured(TensorWeakRef(grad), grad._version, found["sum"], found["exponent"])
        self._measured[param] = measured
        return measured

    @torch.no_grad()
    def norm(self, params: list[torch.Tensor], *, unscaled: bool) -> float:
        """The norm of the gradients of these parameters; those that the hooks have not seen are measured now.

        ``unscaled`` says that a GradScaler has divided them since, which raises no version of theirs.
        """
        totals, bad = _core.GlobalNormTotals(), 0.0
        for param in params:
            measured, grad = self._measured.get(param), param.grad
            assert grad is not None
            if measured is None or unscaled or not measured.holds_for(grad):
                measured = self._measure(param, grad)
            if abs(measured.sum) < float("inf"):
                totals.add(measured.sum, measured.exponent)
            else:
                bad += measured.sum
        self._measured.clear()
        return bad or totals.norm()


def checked_parameters(model: Any, own: set[torch.Tensor]) -> list[torch.Tensor]:
    """The parameters of the model that the optimizer has."""
    if not isinstance(model, torch.nn.Module):
        raise type_error("model", "a torch.nn.Module", type(model).__name__)
    found = [param for param in model.parameters() if param in own and param.requires_grad]
    if not found:
        raise value_error("model", "a module some of whose parameters this optimizer has", "one without")
    if any(is_shard(param) for param in found):
        fix = "call step() after backward: the norm is taken over all processes there"
        raise type_error("model", "parameters that this process has whole", "DTensors", fix)
    return found
