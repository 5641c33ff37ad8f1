"""The ABC interval: bootstrap limits from derivatives, without resampling."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from numpy.typing import NDArray

from .. import _core
from .._columns import Array
from .._levels import Nested
from .._progress import OnProgress
from .._rows import Rows
from ..errors import value_error
from ._callables import Called
from ._designs import Design, design_of
from ._request import Options
from ._statistics import Chosen, is_of_sums

__all__ = ["ABC", "abc_limits", "of_sums_alone"]

ABC = "abc"


def of_sums_alone(*statistics: Chosen | Called) -> None:
    """Raise for a statistic whose derivatives are not known."""
    for statistic in statistics:
        if not (isinstance(statistic, Chosen) and is_of_sums(statistic.name)):
            expected = f"another one than {ABC!r} for {str(statistic)!r}, which has no derivatives"
            raise value_error("method", expected, repr(ABC))


def abc_limits(
    values: list[NDArray[Any]],
    columns: Mapping[str, Array],
    rows: Rows,
    options: Options,
    progress: OnProgress,
) -> tuple[dict[str, Any], Design]:
    """The limits of one problem, with the names that the core gives to those of resamples; and its design."""
    if options.blocks is not None:
        raise value_error("blocks", f"None with method={ABC!r}, whose rows are independent", repr(options.blocks.kind))
    if rows.several is not None:
        nests = isinstance(rows.several, Nested)
        fix = "the outermost ids alone have the error of nested clusters" if nests else "pass the ids of one kind"
        raise value_error("clusters", f"one kind with method={ABC!r}", rows.several.words, fix)
    if options.sampling is not None:
        raise value_error("sampling", f"'multinomial' with method={ABC!r}, which draws nothing", options.sampling.kind)
    design = design_of(rows, options._replace(n_resamples=1), columns)
    codes, total = rows.clusters or (None, 0)
    found = _core.abc_interval(
        values, options.statistic.name, codes=codes, clusters=total, confidence_level=options.confidence.level,
        alternative=options.confidence.alternative, progress=progress, **design.keywords,
    )  # fmt: skip
    if "refused" in found:
        return found, design
    detail = {name: found[name] for name in ("acceleration", "z0", "curvature", "bias")}
    binary = options.statistic.name == "mean" and bool(((values[0] == 0) | (values[0] == 1)).all())
    without = {"replicates": None, "low_error": 0.0, "high_error": 0.0}
    return found | without | {"binary": binary, "detail": detail | {"n_resamples": math.inf}}, design
