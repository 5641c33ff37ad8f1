"""A section of the caller's own in a report."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from .._estimate import Estimate
from .._mode import standard_mode_methods
from ..errors import type_error, value_error

if TYPE_CHECKING:
    from matplotlib.figure import Figure


@standard_mode_methods
@dataclass(frozen=True)
class Section:
    """A section of the caller's own, shown after those that the records give.

    Attributes
    ----------
    title, text : str
        Plain text; nothing in it can become markup.
    estimates : mapping of str to Estimate
        A row of the section's table for each. Each Estimate is of one problem.
    draw : callable, optional
        Draws a picture for the page on the empty Matplotlib ``Figure`` that it is given, for which the page's style is
        set. It may draw lines, shapes and text, but no raster images: the page shows none.
    size : (float, float)
        Width and height of that figure in inches; 8.9 fills the page.

    Examples
    --------
    >>> import steelyard as sy
    >>> from steelyard import report
    >>> noted = report.Section("Raters", "Two raters, alike in", {"answers": sy.proportion(87, 100)})
    >>> noted.to_dict()["estimates"]["answers"]["value"]
    0.87
    """

    title: str
    text: str = ""
    estimates: Mapping[str, Estimate] = field(default_factory=dict)
    draw: Callable[[Figure], object] | None = None
    size: tuple[float, float] = (8.9, 3.6)

    def __post_init__(self) -> None:
        for name in ("title", "text"):
            if not isinstance(value := getattr(self, name), str):
                raise type_error(name, "a string", f"{type(value).__name__} {value!r}")
        if not isinstance(self.estimates, Mapping):
            raise type_error("estimates", "a dictionary of Estimates", type(self.estimates).__name__)
        for name, estimate in self.estimates.items():
            if not isinstance(estimate, Estimate):
                raise type_error(f"estimates[{name!r}]", "an Estimate", f"{type(estimate).__name__} {estimate!r}")
            if not isinstance(estimate.value, float):
                raise value_error(f"estimates[{name!r}]", "an Estimate of one problem", f"{len(estimate)}", "pick one")
        if self.draw is not None and not callable(self.draw):
            raise type_error("draw", "a function of a Matplotlib figure", f"{type(self.draw).__name__}")

    def to_dict(self) -> dict[str, Any]:
        """Return the section without its picture, in types that JSON has."""
        estimates = {str(name): estimate.to_dict() for name, estimate in self.estimates.items()}
        return {"title": self.title, "text": self.text, "estimates": estimates}
