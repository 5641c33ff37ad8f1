"""Advantages: what answers, or their tokens, were worth beyond a baseline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .. import _core
from .._arrays import aligned, codes, floats, to_float64
from .._mode import standard_mode, standard_mode_methods
from .._options import NanPolicy, at_least_zero, choice, fraction, omits_nan, whole
from .._result import Result
from ..errors import shown, value_error
from .answers import the_first
from .tokens_given import Counted, counted_of, table

__all__ = ["Advantages", "advantages"]

Floats = NDArray[np.float64]
Method = Literal["group", "leave_one_out", "gae"]
Normalise = Literal["group", "batch", "none"]
METHODS = ("group", "leave_one_out", "gae")
GAMMA, LAM = 1.0, 0.95


@standard_mode_methods
@dataclass(frozen=True, eq=False, kw_only=True, repr=False)
class Advantages(Result):
    """Advantages, and how many groups have none.

    Attributes
    ----------
    advantages : ndarray, shape [n] or [n, T]
        The advantage of each answer, or with "gae" of each token; 0 for what does not count.
    returns : ndarray, shape [n, T], or None
        With "gae" ``advantages + values``, before they are normalised: what a critic is trained on.
    alone : int
        The groups with too few rewards for a baseline or a standard deviation, such as those of one: their advantages
        are 0.
    equal : int
        The other groups whose rewards are all equal: their advantages are 0.
    left_out : dict
        ``"nan"``: the number of rewards that are missing, with ``nan_policy="omit"``.

    Examples
    --------
    >>> import steelyard as sy
    >>> out = sy.preference.advantages([1.0, 0.0, 0.5, 2.0, 2.0], groups=[1, 1, 2, 3, 3])
    >>> out.alone, out.equal
    (1, 1)
    """

    advantages: Floats
    returns: Floats | None
    alone: int
    equal: int
    left_out: dict[str, int]

    def to_dict(self) -> dict[str, Any]:
        """Return everything in types that JSON has."""
        returns = None if self.returns is None else self.returns.tolist()
        return {
            "advantages": self.advantages.tolist(), "returns": returns, "alone": self.alone, "equal": self.equal,
            "left_out": dict(self.left_out),
        }  # fmt: skip

    def __repr__(self) -> str:
        shape = " x ".join(map(str, self.advantages.shape))
        return f"<Advantages {shape}, {self.alone} groups alone, {self.equal} without spread>"


@standard_mode
def advantages(
    rewards: ArrayLike,
    *,
    method: Method = "group",
    groups: Any = None,
    normalise: Normalise | None = None,
    ddof: int = 1,
    epsilon: float = 0.0,
    values: ArrayLike | None = None,
    bootstrap: ArrayLike | None = None,
    gamma: float | None = None,
    lam: float | None = None,
    where: Any = None,
    lengths: Any = None,
    nan_policy: NanPolicy = "raise",
) -> Advantages:
    """Compute advantages from rewards: within groups of answers to one prompt, or along the tokens of each answer.

    With the rewards r of a group of k answers, their mean m, sum S and standard deviation s, and for "gae" with the
    reward and value of each token and V' the value of the next one::

        "group"          (r - m) / s                (GRPO; with normalise="none" r - m, Dr. GRPO)
        "leave_one_out"  r - (S - r) / (k - 1)      (RLOO)
        "gae"            d + gamma lam A',  d = reward + gamma V' - V,  A' that of the next token

    Parameters
    ----------
    rewards : array of float, shape [n]; for "gae" [n, T] or [n]
        The reward of each answer, or of each token; one number an answer goes to its last token that counts.
    method : {"group", "leave_one_out", "gae"}
        See above.
    groups : array of ids, shape [n]
        The group of each answer, usually its prompt ("group" and "leave_one_out").
    normalise : {"group", "batch", "none"}, optional
        "group": divide by the standard deviation of the group's rewards, the default of "group". "batch": subtract the
        mean over all that counts and divide by its standard deviation ("whitening"). "none": neither, the default of
        the others.
    ddof : int
        What is subtracted from the number of values in a standard deviation, 0 or more; 1 by default.
    epsilon : float
        What is added to a standard deviation, at least 0.
    values : array of float, shape [n, T]
        The critic's values of the tokens ("gae").
    bootstrap : array of float, shape [n], optional
        The values after the answers, for those that were cut off; by default 0, as after an end ("gae").
    gamma, lam : float, optional
        Discount and lambda, from 0 to 1; by default 1 and 0.95 ("gae").
    where : array of bool, shape [n, T], optional
        The tokens that count ("gae"); others are skipped, as if they were not there.
    lengths : array of int, shape [n], optional
        The numbers of tokens of the answers ("gae").
    nan_policy : {"raise", "omit"}
        What happens where the reward of an answer is NaN: raise, or leave it out of its group, with the advantage 0,
        and count it in ``left_out`` ("group" and "leave_one_out").

    Returns
    -------
    Advantages
        The advantages, returns, and the numbers of groups without an advantage.

    Raises
    ------
    TypeError, ValueError
        For other types and shapes, numbers that are not finite, and a keyword that the method does not use.

    Examples
    --------
    >>> import steelyard as sy
    >>> sy.preference.advantages([1.0, 0.0, 0.0, 1.0], groups=["a", "a", "a", "a"]).advantages.round(4)
    array([ 0.866, -0.866, -0.866,  0.866])
    >>> sy.preference.advantages([1.0, 0.0, 0.5], method="leave_one_out", groups=[7, 7, 7]).advantages
    array([ 0.75, -0.75,  0.  ])
    >>> sy.preference.advantages([1.0], method="gae", values=[[0.5, 0.75]], lam=1.0).advantages
    array([[0.5 , 0.25]])

    Notes
    -----
    The results are 0, and counted, where there is nothing to compare: in groups of one and in groups without spread.
    There TRL divides by ``s + 1e-4`` and verl by ``s + 1e-6`` (``epsilon``), so that what rounding leaves of equal
    rewards becomes an advantage; for a group of one verl returns the reward itself. Both use ``ddof=1``; NumPy's
    default, and so that of loops written with it, is 0. TRL's ``scale_rewards="batch"`` divides by the standard
    deviation of the rewards of the batch, not of their differences from the groups' means. verl whitens what "gae"
    gives (``normalise="batch", epsilon``: it adds 1e-8 to the variance).

    Means and standard deviations do not depend on the order of the rows.

    Shao et al., "DeepSeekMath", 2024 (GRPO). Ahmadian et al., "Back to Basics", 2024 (RLOO). Schulman et al.,
    "High-Dimensional Continuous Control Using Generalized Advantage Estimation", 2016.
    """
    choice(method, "method", METHODS)
    how = ("group" if method == "group" else "none") if normalise is None else normalise
    choice(how, "normalise", ("group", "batch", "none"))
    if how == "group" and method == "gae":
        raise value_error("normalise", "'batch' or 'none' with method='gae'", repr(how))
    degrees, added = whole(ddof, "ddof", 0), at_least_zero("epsilon", epsilon)
    if method == "gae":
        refuse_given(method, groups=groups, nan_policy=None if nan_policy == "raise" else nan_policy)
        aligned(rewards=rewards, values=values, bootstrap=bootstrap, where=where, lengths=lengths)
        share = [value if given is None else fraction(given, name)
                 for given, name, value in ((gamma, "gamma", GAMMA), (lam, "lam", LAM))]  # fmt: skip
        found, counted = _along_tokens(rewards, values, bootstrap, (where, lengths), share)
        keep, worth = counted.mask(), found["advantages"]
        if how == "batch":
            worth[keep] = _within(worth[keep], None, ddof=degrees, epsilon=added, scaled=True)["advantages"]
        return Advantages(
            advantages=_read_only(worth), returns=_read_only(found["returns"]), alone=0, equal=0, left_out={}
        )
    refuse_given(method, values=values, bootstrap=bootstrap, gamma=gamma, lam=lam, where=where, lengths=lengths)
    aligned(rewards=rewards, groups=groups)
    return _of_groups(rewards, groups, nan_policy, leave_one_out=method == "leave_one_out", how=how,
                      ddof=degrees, epsilon=added)  # fmt: skip


def refuse_given(method: str, **unused: Any) -> None:
    """Refuse arguments that the method does not use."""
    for name, value in unused.items():
        if value is not None:
            raise value_error(name, f"nothing: the method {method!r} does not use it", shown(value))


def _read_only(array: Floats) -> Floats:
    array.setflags(write=False)
    return array


def _within(
    rewards: Floats, groups: Any, *, ddof: int, epsilon: float, scaled: bool, leave_one_out: bool = False
) -> _core._Compared:
    """Compare rewards within groups, or for None all of them."""
    of, count = np.zeros(len(rewards), np.int64), 1
    if groups is not None:
        of, unique = codes(groups, "groups", len(rewards))
        count = len(unique)
    return _core.group_advantages(
        rewards, of, count=count, leave_one_out=leave_one_out, scaled=scaled, ddof=ddof, epsilon=epsilon
    )


def _of_groups(
    rewards: Any, groups: Any, nan_policy: str, *, leave_one_out: bool, how: str, ddof: int, epsilon: float
) -> Advantages:
    """The advantages of answers within groups."""
    omit = omits_nan(nan_policy)
    if groups is None:
        raise value_error("groups", "the group of each answer", "None")
    numbers = to_float64(floats(rewards, "rewards", ndim=1, numbers=True))
    if not len(numbers):
        raise value_error("rewards", "at least one value", "none")
    keep = ~np.isnan(numbers) if omit else np.ones(len(numbers), np.bool_)
    of, unique = codes(groups, "groups", len(numbers), keep if omit else None, fix="leave those rows out")
    fix = "nan_policy='omit' leaves it out" if np.isnan(numbers).any() else ""
    the_first(keep & ~np.isfinite(numbers), numbers, "rewards", "finite values", fix)
    found = _core.group_advantages(
        numbers[keep], of, count=len(unique), leave_one_out=leave_one_out, scaled=how == "group", ddof=ddof,
        epsilon=epsilon,
    )  # fmt: skip
    worth = found["advantages"]
    if how == "batch":
        worth = _within(worth, None, ddof=ddof, epsilon=epsilon, scaled=True)["advantages"]
    the_first(~np.isfinite(worth), numbers[keep], "rewards", "rewards whose differences float64 holds")
    whole_column = np.zeros(len(numbers))
    whole_column[keep] = worth
    gone = int(np.count_nonzero(~keep))
    return Advantages(
        advantages=_read_only(whole_column), returns=None, alone=found["alone"], equal=found["equal"],
        left_out={"nan": gone} if gone else {},
    )  # fmt: skip


def at_the_end(rewards: Floats, counted: Counted) -> Floats:
    """Rewards of answers as rewards of tokens: each goes to the last token that counts, where there is one."""
    keep = counted.mask()
    placed = np.zeros(keep.shape)
    filled = keep.any(axis=1)
    last = keep.shape[1] - 1 - np.argmax(keep[:, ::-1], axis=1)
    placed[filled, last[filled]] = rewards[filled]
    return placed


def rewards_of_tokens(rewards: Any, counted: Counted) -> Floats:
    """Rewards [n] or [n, T] as finite float64 [n, T], 0 for tokens that do not count."""
    numbers = to_float64(floats(rewards, "rewards", numbers=True))
    shape = counted.shape
    if numbers.shape not in (shape[:1], shape):
        raise value_error("rewards", f"shape {shape[:1]} or {shape}", f"shape {numbers.shape}")
    keep = counted.mask()
    used = keep if numbers.ndim == 2 else keep.any(axis=1)
    the_first(used & ~np.isfinite(numbers), numbers, "rewards", "finite values")
    return np.where(keep, numbers, 0.0) if numbers.ndim == 2 else at_the_end(numbers, counted)


def _along_tokens(
    rewards: Any, values: Any, bootstrap: Any, counted: tuple[Any, Any], discounts: Sequence[float]
) -> tuple[_core._AlongTokens, Counted]:
    """The advantages and returns of tokens, and which of them count."""
    if values is None:
        raise value_error("values", "the critic's values of the tokens, [n, T], which 'gae' needs", "None")
    worth = to_float64(table(values, "values"))
    marks = counted_of(*counted, worth.shape)
    the_first(marks.mask() & ~np.isfinite(worth), worth, "values", "finite values")
    last = None
    if bootstrap is not None:
        last = to_float64(floats(bootstrap, "bootstrap", ndim=1, numbers=True))
        if last.shape != worth.shape[:1]:
            raise value_error("bootstrap", f"{len(worth)} values, one per answer", str(len(last)))
        the_first(~np.isfinite(last), last, "bootstrap", "finite values")
    gamma, lam = discounts
    found = _core.token_advantages(
        rewards_of_tokens(rewards, marks), worth, width=worth.shape[1], last=last, counted=marks.for_core, gamma=gamma,
        lam=lam,
    )  # fmt: skip
    shaped: _core._AlongTokens = {
        "advantages": found["advantages"].reshape(worth.shape),
        "returns": found["returns"].reshape(worth.shape),
    }
    the_first(~np.isfinite(shaped["returns"]), worth, "values", "values and rewards whose sums float64 holds")
    return shaped, marks
