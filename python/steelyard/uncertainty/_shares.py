"""Two models' shares of right answers compared by counts: as two samples, or as pairs of the same rows."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .. import _arrays, _core
from .._arrays import first_index
from .._estimate import Estimate
from .._options import Confidence, choice
from .._registries import names, titles
from ..errors import shown, type_error, value_error
from ._paired import ALIKE
from ._unpaired import ANSWERS

__all__ = ["broadcast", "difference", "place"]

Whole = NDArray[np.int64]
PAIRED, UNPAIRED = titles("paired.method"), titles("unpaired.method")
TESTS = {name: f"McNemar {title}" for name, title in titles("answers.test").items()}
MOST = 2**63 - 1


def broadcast(given: dict[str, NDArray[Any]]) -> list[NDArray[Any]]:
    """The arrays in one shape; the error names them as the caller does."""
    try:
        return list(np.broadcast_arrays(*given.values()))
    except ValueError:
        shapes = " and ".join(str(np.shape(x)) for x in given.values())
        raise value_error(", ".join(given), "shapes that broadcast", shapes) from None


def place(bad: NDArray[np.bool_]) -> tuple[tuple[int, ...], str]:
    """The index of the first entry that is bad, and how a message says it; nothing is said of a single number."""
    i = first_index(bad)
    return i, f" at index {i[0] if len(i) == 1 else i}" if bad.ndim else ""


def difference(
    k: Any, n: Any, baseline: Any, both: Any, confidence: Confidence, *, method: str | None, test: Any
) -> Estimate:
    """Estimate the difference of k/n and the baseline's share; ``both`` counts the rows that both got right."""
    if not isinstance(baseline, tuple | list) or len(baseline) != 2:
        raise type_error("baseline", "the counts (k, n) of the other model", shown(baseline))
    paired = both is not None
    methods = names("paired.method" if paired else "unpaired.method")
    by = {
        "method": methods[0] if method is None else choice(method, "method", methods),
        "test": "mid-p" if test is None else choice(test, "test", names("answers.test")),
    }
    given = {"k": k, "n": n, "baseline[0]": baseline[0], "baseline[1]": baseline[1]}
    given |= {"both": both} if paired else {}
    _arrays.aligned(**given)
    counts = broadcast({name: _arrays.integers(x, name) for name, x in given.items()})
    shape = np.shape(counts[0])
    _check(counts)
    hits, all_, base_hits, base_all, *of_both = (np.array(x).reshape(-1) for x in counts)

    def as_given(column: NDArray[Any]) -> Any:
        return column.reshape(shape) if shape else column.item()

    if paired:
        found = _core.paired_counts(k=hits, base_k=base_hits, both=of_both[0], n=all_, **by, **confidence.keywords)
        wins, losses = hits - of_both[0], base_hits - of_both[0]
        equal = (wins == all_) | (losses == all_) | (wins + losses == 0)
        kind, said = "pairs of 0/1 values", [ALIKE if alike else "" for alike in equal.tolist()]
        more, rows = {"wins": as_given(wins), "losses": as_given(losses)}, all_
    else:
        found = _core.unpaired_counts(k=hits, n=all_, base_k=base_hits, base_n=base_all, **by, **confidence.keywords)
        kind, said = "two samples of 0/1 values", [""] * len(hits)
        more, rows = {"n_new": as_given(all_), "n_baseline": as_given(base_all)}, all_ + base_all
    flat = len(shape) == 1
    return Estimate(
        value=as_given(found["value"]), standard_error=as_given(found["standard_error"]), low=as_given(found["low"]),
        high=as_given(found["high"]), confidence_level=confidence.level, n=as_given(rows),
        method=(PAIRED if paired else UNPAIRED)[by["method"]],
        reason=(tuple(kind + one for one in said) if flat else kind) if shape else kind + said[0],
        detail={"p_value": as_given(found["p"]), "test": (TESTS if paired else ANSWERS)[by["test"]], **more},
    )  # fmt: skip


def _check(counts: list[NDArray[Any]]) -> None:
    """Refuse counts that no two models have, naming the first place."""
    k, n, base_k, base_n, *of_both = counts
    for hits, all_, names_of in ((k, n, ("k", "n")), (base_k, base_n, ("baseline[0]", "baseline[1]"))):
        if (bad := all_ < 1).any():
            i, at = place(bad)
            raise value_error(names_of[1], "at least 1", f"{np.atleast_1d(all_)[i]}{at}")
        if (bad := (hits < 0) | (hits > all_)).any():
            i, at = place(bad)
            got = f"{np.atleast_1d(hits)[i]} of {np.atleast_1d(all_)[i]}{at}"
            raise value_error(names_of[0], f"0 <= {names_of[0]} <= {names_of[1]}", got)
    if not of_both:
        if (bad := n > MOST - base_n).any():
            i, at = place(bad)
            got = f"{np.atleast_1d(n)[i]} and {np.atleast_1d(base_n)[i]}{at}"
            raise value_error("n, baseline[1]", f"at most {MOST} rows together", got)
        return
    if (bad := base_n != n).any():
        i, at = place(bad)
        got = f"{np.atleast_1d(n)[i]} and {np.atleast_1d(base_n)[i]}{at}"
        raise value_error("n, baseline[1]", "the same number of rows for pairs", got, "leave both= out for two samples")
    (both,) = of_both
    if (bad := (both < np.maximum(0, k - (n - base_k))) | (both > np.minimum(k, base_k))).any():
        i, at = place(bad)
        k1, n1, j1, b1 = (np.atleast_1d(x)[i] for x in (k, n, base_k, both))
        expected = f"from {max(0, k1 - (n1 - j1))} to {min(k1, j1)} rows that both got right"
        raise value_error("both", expected, f"{b1}, for {k1} and {j1} of {n1}{at}")
