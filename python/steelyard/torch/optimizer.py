"""The base of the optimizers: groups, state and hooks as torch has them, and one step over all groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import torch

from .. import _core
from .._mode import standard_mode
from .._options import at_least_zero, choice
from ..errors import value_error
from ..optim import StepInfo
from ._groups import Hyper, hyper_of, refuse_unsupported
from ._state import begin, keep, taken
from ._tensors import check_gradient, check_parameter, in_layout_of, is_dense

__all__ = ["Optimizer"]

NONFINITE = ("raise", "skip", "propagate")


class _Row(NamedTuple):
    """A parameter that a step updates."""

    name: str
    param: torch.Tensor
    grad: torch.Tensor
    state: dict[str, Any]
    hyper: Hyper


class Optimizer(torch.optim.Optimizer):
    """An optimizer of torch parameters on the CPU; the rule of the update comes from the class derived from it."""

    # GradScaler then hands over its scale and whether it found an infinity, instead of writing the gradients.
    _step_supports_amp_scaling = True

    def __init__(
        self, params: Any, defaults: dict[str, Any], *, max_norm: float | None = None, nonfinite: str = "propagate"
    ) -> None:
        self._set_options(max_norm, nonfinite)
        refuse_unsupported(defaults, "")
        hyper_of(defaults, "")
        super().__init__(params, defaults)

    def _set_options(self, max_norm: Any, nonfinite: Any) -> None:
        self.max_norm = None if max_norm is None else at_least_zero("max_norm", max_norm, infinite=True)
        self.nonfinite = choice(nonfinite, "nonfinite", NONFINITE)
        self._last: StepInfo | None = None

    @property
    def step_info(self) -> StepInfo | None:
        """What the last step did; None before the first."""
        return self._last

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Add a group of parameters, as in torch; its options are checked."""
        index = len(self.param_groups)
        super().add_param_group(param_group)
        try:
            self._check_group(index)
        except (TypeError, ValueError):
            del self.param_groups[index]
            raise

    def _check_group(self, index: int) -> None:
        group = self.param_groups[index]
        refuse_unsupported(group, _place(index))
        hyper_of(group, _place(index))
        for row, param in enumerate(group["params"]):
            check_parameter(param, self._name(index, row))

    def _name(self, group: int, row: int) -> str:
        """What messages call a parameter."""
        found = self.param_groups[group]
        if "param_names" in found:
            return f'params["{found["param_names"][row]}"]'
        return f"params[{row}]" if len(self.param_groups) == 1 else f"{_place(group)}['params'][{row}]"

    def _names(self) -> Iterator[tuple[torch.Tensor, str]]:
        for index, group in enumerate(self.param_groups):
            for row, param in enumerate(group["params"]):
                yield param, self._name(index, row)

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient, once.

        Parameters
        ----------
        closure : callable, optional
            Called first, with gradients enabled; it computes the loss and the gradients anew.

        Returns
        -------
        object
            What ``closure`` returned; None without one. :attr:`step_info` says what the step did.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        self._update()
        return loss

    @torch._disable_dynamo
    @torch.no_grad()
    @standard_mode
    def _update(self) -> None:
        hypers = [hyper_of(group, _place(index)) for index, group in enumerate(self.param_groups)]
        rows = list(self._rows(hypers))
        found_inf = getattr(self, "found_inf", None)
        lr = hypers[0].lr if hypers else 0.0
        if found_inf is not None and found_inf.item():
            self._last = StepInfo(self._count(rows), lr, None, 1.0, skipped=True)
            return
        scale = getattr(self, "grad_scale", None)
        grads = [_gradient(row, scale) for row in rows]
        norm = factor = None
        if rows and (self.max_norm is not None or self.nonfinite != "propagate"):
            found = _core.sum_of_squares(tuple(_numpy(grad) for grad in grads))
            norm = found["norm"]
            if found["nonfinite"] and self.nonfinite != "propagate":
                name = f"{rows[found['first'] or 0].name}.grad"
                self._last = StepInfo(self._count(rows), lr, norm, 1.0, found["nonfinite"], name, skipped=True)
                if self.nonfinite == "raise":
                    got = f"{found['nonfinite']} NaN or infinite"
                    raise value_error(name, "finite gradients", got, "nothing was written; nonfinite='skip' goes on")
                return
            if self.max_norm is not None:
                factor = 1.0 if norm <= self.max_norm else self.max_norm / norm
        calls: defaultdict[tuple[Hyper, int], list[int]] = defaultdict(list)
        for index, row in enumerate(rows):
            calls[row.hyper, int(row.state["step"].item()) + 1].append(index)
        for (hyper, step), chosen in calls.items():
            part = [rows[i] for i in chosen]
            _plan_step(hyper, step, part, [grads[i] for i in chosen], factor)
            for row in part:
                row.state["step"].fill_(step)
        torch.autograd.graph.increment_version([row.param for row in rows])
        self._last = StepInfo(self._count(rows), lr, norm, 1.0 if factor is None else factor)

    def _count(self, rows: list[_Row]) -> int:
        return max((int(row.state["step"].item()) for row in rows), default=0)

    def _rows(self, hypers: list[Hyper]) -> Iterator[_Row]:
        for index, (group, hyper) in enumerate(zip(self.param_groups, hypers, strict=True)):
            for place, param in enumerate(group["params"]):
                if param.grad is None:
                    continue
                name = self._name(index, place)
                check_parameter(param, name)
                check_gradient(param.grad, param, f"{name}.grad")
                state = self.state[param]
                begin(state, param, _moments(hyper))
                yield _Row(name, param, param.grad, state, hyper)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a saved state, of this class or of torch's, without a bit lost; it is copied.

        Where the call raises, nothing has been changed.
        """
        handle = self.register_load_state_dict_pre_hook(keep)
        try:
            super().load_state_dict(state_dict)
        finally:
            handle.remove()

    def __getstate__(self) -> dict[str, Any]:
        """What torch saves of an optimizer, and the options that torch's have not."""
        return super().__getstate__() | {"_options": (self.max_norm, self.nonfinite)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Take what was pickled, copied or (from :meth:`load_state_dict`) saved."""
        options = state.get("_options")
        saved = {key: value for key, value in state.items() if key != "_options"}
        defaults = saved.get("defaults") or self.defaults
        for index, group in enumerate(saved["param_groups"]):
            for option, default in defaults.items():
                group.setdefault(option, default)
            group["decoupled_weight_decay"] = defaults["decoupled_weight_decay"]
            refuse_unsupported(group, _place(index))
            hyper_of(group, _place(index))
        if options is None:  # from load_state_dict
            names = dict(self._names())
            found = saved["state"].items()
            fresh = {
                key: taken(key, value, names[key]) if isinstance(key, torch.Tensor) else value for key, value in found
            }
            saved["state"] = defaultdict(dict, fresh)
        super().__setstate__(saved)
        if options is not None:
            self._set_options(*options)


def _place(index: int) -> str:
    return f"param_groups[{index}]"


def _moments(hyper: Hyper) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq", "max_exp_avg_sq") if hyper.amsgrad else ("exp_avg", "exp_avg_sq")


def _numpy(tensor: torch.Tensor) -> Any:
    """The elements in the order of memory."""
    flat = torch.as_strided(tensor.detach(), (tensor.numel(),), (1,), tensor.storage_offset())
    return flat.numpy()


def _gradient(row: _Row, scale: torch.Tensor | None) -> torch.Tensor:
    grad = row.grad.detach()
    if not (is_dense(row.param) and grad.stride() == row.param.stride()):
        grad = in_layout_of(row.param, grad)
    return grad if scale is None else grad / scale.to(grad.dtype)


def _plan_step(hyper: Hyper, step: int, rows: list[_Row], grads: list[torch.Tensor], factor: float | None) -> None:
    own = [row.param if is_dense(row.param) else in_layout_of(row.param, row.param) for row in rows]
    params = [_numpy(param) for param in own]
    moments = [[_numpy(row.state[moment]) for row in rows] for moment in _moments(hyper)]
    plan = _core.AdamWPlan(
        paths=[row.name for row in rows], given=params, params=params, moments=moments, steps=step - 1, options=None
    )
    if factor is not None and factor != 1.0:
        grads = [grad * factor for grad in grads]
    plan.step(
        tuple(_numpy(grad) for grad in grads),
        lambda row: params[row],
        step=step,
        lr=hyper.lr,
        beta1=hyper.beta1,
        beta2=hyper.beta2,
        eps=hyper.eps,
        weight_decay=hyper.weight_decay,
        maximize=hyper.maximize,
        max_norm=None,
        scan=False,
        stop_nonfinite=False,
    )
    for row, param in zip(rows, own, strict=True):
        if param is not row.param:
            row.param.copy_(param)
