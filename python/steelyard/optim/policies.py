"""Limits for the norm of gradients that follow its history, for ``max_norm`` of the optimizers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .. import _core
from .._mode import Number, standard_mode_methods
from .._options import at_least_zero, fraction, number, whole
from ..errors import shown, type_error, value_error

__all__ = ["AutoClip", "ClipPolicy", "ZClip"]


@standard_mode_methods
class ClipPolicy:
    """A limit that depends on the norms so far: :class:`ZClip` or :class:`AutoClip`."""

    __slots__ = ("_options", "core")

    def __init__(self, core: _core.ClipPolicy, options: dict[str, Any]) -> None:
        self.core, self._options = core, options

    def limit(self, norm: float) -> float:
        """Take one more norm, and return the limit for it; infinity where it is not to be clipped.

        The optimizers call the core's part of this within a step, and only a step that was made counts. It is meant for
        other uses, such as ``clip_by_global_norm_(grads, policy.limit(norm), norm=norm)``. A norm that is NaN or
        infinite is not taken; one below 0 is refused, as no norm is.
        """
        given = number(norm, "norm")
        if given < 0.0:
            raise value_error("norm", "a number that is at least 0", repr(given))
        return Number(self.core.limit(given))

    def state_dict(self) -> dict[str, Any]:
        """Return the policy's name, its options and what it has seen; JSON can hold all of it."""
        return {"policy": type(self).__name__, **self._options, "state": self.core.state()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Continue from what :meth:`state_dict` of a policy with the same options returned."""
        if not isinstance(state, Mapping):
            raise type_error("state", "a mapping, as state_dict() returns", shown(state))
        own = {"policy": type(self).__name__, **self._options}
        other = {name: state[name] for name in state if name != "state"}
        if "state" not in state or other != own:
            raise value_error("state", f"the state of {self!r}", shown(other))
        self.core.load(list(state["state"]))

    def __reduce__(self) -> tuple[Any, ...]:
        return _restored, (self.state_dict(),)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self._options.items())})"


@standard_mode_methods
class ZClip(ClipPolicy):
    """Clip norms whose z-score is an outlier (Kumar, Owen, Roy Chowdhury and Gura 2025).

    With ``m`` and ``v`` the moving mean and variance of the norm and ``z = (norm - m) / (sqrt(v) + eps)``::

        limit = m + z_thresh sqrt(v) z_thresh / z    where z > z_thresh, else no limit but max_norm

    The norm, or this limit in its place where ``z > z_thresh``, then enters the averages,
    ``m <- alpha m + (1 - alpha) x`` and ``v <- alpha v + (1 - alpha) (x - m)^2``. The first ``warmup_steps`` norms,
    whose mean and variance the averages begin with, are limited by ``max_norm`` alone.

    Parameters
    ----------
    z_thresh : float
        The z-score above which a norm is an outlier, above 0.
    alpha : float
        The share of the averages that each step keeps, from 0 to 1.
    warmup_steps : int
        How many norms the averages begin with, at least 1.
    max_norm : float, optional
        A limit that always holds; None for none.
    eps : float
        Added to the standard deviation, at least 0.

    Examples
    --------
    >>> import steelyard as sy
    >>> policy = sy.optim.ZClip(warmup_steps=2, max_norm=None)
    >>> [round(policy.limit(norm), 3) for norm in (1.0, 3.0, 2.5, 9.0)]
    [inf, inf, inf, 2.889]
    >>> import numpy as np
    >>> opt = sy.AdamW(np.ones(3), max_norm=sy.optim.ZClip())

    References
    ----------
    "ZClip: Adaptive Spike Mitigation for LLM Pre-Training", 2025; its defaults, with the option "adaptive_scaling".
    """

    __slots__ = ()

    def __init__(
        self,
        z_thresh: float = 2.5,
        alpha: float = 0.97,
        warmup_steps: int = 25,
        max_norm: float | None = 1.0,
        eps: float = 1e-6,
    ) -> None:
        threshold = at_least_zero("z_thresh", z_thresh)
        if threshold == 0.0:
            raise value_error("z_thresh", "a number above 0", repr(threshold))
        options: dict[str, Any] = {
            "z_thresh": threshold,
            "alpha": fraction(alpha, "alpha"),
            "warmup_steps": whole(warmup_steps, "warmup_steps", 1, 2**31),
            "max_norm": None if max_norm is None else at_least_zero("max_norm", max_norm),
            "eps": at_least_zero("eps", eps),
        }
        limit = float("inf") if options["max_norm"] is None else options["max_norm"]
        super().__init__(_core.ClipPolicy.zclip(**options | {"max_norm": limit}), options)


@standard_mode_methods
class AutoClip(ClipPolicy):
    """Clip to a percentile of the norms so far, this one included (Seetharaman et al. 2020).

    Parameters
    ----------
    percentile : float
        From 0 to 100. Between two norms it is interpolated linearly, as ``numpy.percentile`` does.
    window : int, optional
        How many norms count, the last ones; None for all, as in the paper. All of them take 16 bytes per step, and a
        saved state lists them.

    Examples
    --------
    >>> import steelyard as sy
    >>> policy = sy.optim.AutoClip(percentile=50)
    >>> [policy.limit(norm) for norm in (4.0, 2.0, 8.0, 1.0)]
    [4.0, 3.0, 4.0, 3.0]

    References
    ----------
    Seetharaman, Wichern, Pardo and Le Roux, "AutoClip: Adaptive Gradient Clipping for Source Separation Networks",
    2020.
    """

    __slots__ = ()

    def __init__(self, percentile: float = 10.0, window: int | None = None) -> None:
        share = number(percentile, "percentile", "a number from 0 to 100")
        if not 0.0 <= share <= 100.0:
            raise value_error("percentile", "a number from 0 to 100", repr(share))
        last = None if window is None else whole(window, "window", 1, 2**31)
        core = _core.ClipPolicy.autoclip(percentile=share, window=last or 0)
        super().__init__(core, {"percentile": share, "window": last})


_POLICIES: dict[str, type[ClipPolicy]] = {"ZClip": ZClip, "AutoClip": AutoClip}


def _restored(saved: Mapping[str, Any]) -> ClipPolicy:
    """The policy that ``state_dict`` described."""
    kind = _POLICIES.get(saved.get("policy", ""))
    if kind is None:
        raise value_error("max_norm", f"one of the policies {', '.join(_POLICIES)}", shown(saved.get("policy")))
    policy = kind(**{name: value for name, value in saved.items() if name not in ("policy", "state")})
    policy.load_state_dict(saved)
    return policy


def limit_of(max_norm: Any) -> float | ClipPolicy | None:
    """Check what was given as ``max_norm`` of an optimizer."""
    if max_norm is None or isinstance(max_norm, ClipPolicy):
        return max_norm
    if isinstance(max_norm, Mapping):
        return _restored(max_norm)
    return at_least_zero("max_norm", max_norm, infinite=True)


def limit_for_core(max_norm: float | ClipPolicy | None) -> float | _core.ClipPolicy | None:
    """The limit as the core's steps take it."""
    return max_norm.core if isinstance(max_norm, ClipPolicy) else max_norm


def limit_to_save(max_norm: float | ClipPolicy | None) -> Any:
    """The limit as JSON can hold it."""
    return max_norm.state_dict() if isinstance(max_norm, ClipPolicy) else max_norm
