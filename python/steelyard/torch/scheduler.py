"""A scheduler of torch that reads the rates of any schedule."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.optim import lr_scheduler

from .._mode import standard_mode
from .._options import number
from ..errors import shown, type_error, value_error
from ..optim import schedules

__all__ = ["LRScheduler"]

Function = Callable[[int], float]


class _Driven:
    """One option of all groups, and the schedules that it follows."""

    def __init__(self, name: str, argument: str, given: Any) -> None:
        self.name, self.argument = name, argument
        self.each = isinstance(given, list | tuple)
        self.schedules: list[Function] = list(given) if self.each else [given]
        if not self.schedules or not all(map(callable, self.schedules)):
            raise type_error(argument, "a schedule, or a list with one for each group", shown(given))
        # A plateau changes its rate later; the ratio of a group to it is that of the beginning.
        self.peaks = [float(getattr(schedule, "lr", 1.0)) for schedule in self.schedules]
        if not self.each and self.peaks[0] == 0:
            raise value_error(argument, "a schedule whose highest rate is above 0, to be scaled for each group", "0")

    def values(self, groups: list[dict[str, Any]], step: int) -> list[float]:
        """The value of each group after ``step`` updates."""
        if self.each:
            if len(self.schedules) != len(groups):
                raise value_error(
                    self.argument, f"{len(groups)} schedules, one for each group", str(len(self.schedules))
                )
            return [number(schedule(step), f"{self.argument}({step})") for schedule in self.schedules]
        rate, first = number(self.schedules[0](step), f"{self.argument}({step})"), f"initial_{self.name}"
        return [rate * (float(group.setdefault(first, group[self.name])) / self.peaks[0]) for group in groups]

    def saved(self) -> list[dict[str, Any] | None]:
        """The schedules as dictionaries; None for functions of the caller's."""
        kinds = schedules.Rates | schedules.Plateau
        return [schedule.to_dict() if isinstance(schedule, kinds) else None for schedule in self.schedules]

    def load(self, saved: Sequence[dict[str, Any] | None]) -> None:
        """Take saved schedules in place of those that are not functions of the caller's."""
        if len(saved) != len(self.schedules):
            raise value_error(f"state_dict[{self.argument!r}]", f"{len(self.schedules)} schedules", str(len(saved)))
        for index, fields in enumerate(saved):
            if fields is not None:
                kind = schedules.Rates if "shape" in fields else schedules.Plateau
                self.schedules[index] = kind.from_dict(fields)


class LRScheduler(lr_scheduler.LRScheduler):
    """Drive the learning rate of a torch optimizer, whichever it is, by a schedule; and its weight decay, if asked.

    After s steps of the scheduler, a group whose rate was ``lr`` when the scheduler was made has
    ``lr schedule(s) / schedule.lr``: the schedule gives the shape, each group its height, so that groups keep their
    ratios. With a list, group i has ``schedules[i](s)``. A plain function of the step is a factor, as in ``LambdaLR``.

    Rates are closed forms of ``last_epoch``: resuming at any step needs nothing else, and nothing drifts.

    Parameters
    ----------
    optimizer : torch.optim.Optimizer
    schedule : schedule, function or list
        One of :mod:`steelyard.schedules`, or one for each group.
    weight_decay : schedule, function or list, optional
        What the weight decay follows in the same way: ``weight_decay schedule(s) / schedule.lr`` of each group.
    last_epoch : int
        As in torch: the steps made so far, minus one; groups need their ``initial_lr`` then.

    Attributes
    ----------
    last_epoch : int
        The number of steps made.
    base_lrs : list of float
        The rate of each group when the scheduler was made.

    Raises
    ------
    TypeError, ValueError
        For what is no schedule, or a list with another number of schedules than there are groups.

    Examples
    --------
    >>> import torch
    >>> import steelyard as sy
    >>> from steelyard.torch import LRScheduler
    >>> optimizer = torch.optim.AdamW([torch.nn.Parameter(torch.ones(2))], lr=0.5)
    >>> scheduler = LRScheduler(optimizer, sy.schedules.linear(1.0, total_steps=4))
    >>> for _ in range(3):
    ...     print(scheduler.get_last_lr())
    ...     optimizer.step()
    ...     scheduler.step()
    [0.5]
    [0.375]
    [0.25]

    Notes
    -----
    ``state_dict`` holds the schedules as dictionaries and loads with ``torch.load(weights_only=True)``;
    :meth:`load_state_dict` takes the state of any scheduler of torch for its ``last_epoch``, and sets the rates of that
    step. Works inside ``SequentialLR``; for a product of rates use :func:`steelyard.schedules.product`.
    """

    def __init__(
        self, optimizer: torch.optim.Optimizer, schedule: Any, *, weight_decay: Any = None, last_epoch: int = -1
    ) -> None:
        self._driven = [_Driven("lr", "schedule", schedule)]
        if weight_decay is not None:
            self._driven.append(_Driven("weight_decay", "weight_decay", weight_decay))
        super().__init__(optimizer, last_epoch)

    @property
    def schedule(self) -> Any:
        """The schedule of the rate, or the list of schedules."""
        driven = self._driven[0]
        return driven.schedules if driven.each else driven.schedules[0]

    @standard_mode
    def get_lr(self) -> list[float | torch.Tensor]:
        """Return the rate of each group at ``last_epoch``."""
        return list(self._driven[0].values(self.optimizer.param_groups, max(self.last_epoch, 0)))

    _get_closed_form_lr = get_lr

    def _update_lr(self, epoch: int | None = None) -> None:
        super()._update_lr(epoch)
        self._update_others()

    @standard_mode
    def _update_others(self) -> None:
        groups = self.optimizer.param_groups
        for driven in self._driven[1:]:
            for group, value in zip(groups, driven.values(groups, max(self.last_epoch, 0)), strict=True):
                group[driven.name] = value

    def state_dict(self) -> dict[str, Any]:
        """Return the state in plain types."""
        return {
            "last_epoch": self.last_epoch,
            "_step_count": self._step_count,
            "base_lrs": [float(lr) for lr in self.base_lrs],
            "_last_lr": [float(lr) for lr in self._last_lr],
            **{driven.argument: driven.saved() for driven in self._driven},
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Load a state, and give each group the rate of that step; the schedules too, where the state has them."""
        last_epoch = state_dict.get("last_epoch") if isinstance(state_dict, dict) else None
        if not isinstance(last_epoch, int):
            raise type_error("state_dict", "the state of a scheduler, with its last_epoch", shown(state_dict))
        for driven in self._driven:
            if isinstance(saved := state_dict.get(driven.argument), list | tuple):
                driven.load(saved)
        self._step_count = state_dict.get("_step_count", last_epoch + 1)
        self._update_lr(last_epoch)
