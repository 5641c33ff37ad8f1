"""What reports of their own kind have in common: the forms in which their sections are shown."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Protocol

from .._files import check_target, write
from .._mode import standard_mode_methods
from .._text import html_table, in_markdown, printable
from . import tables
from .sections import Block, Finding

__all__ = ["Forms", "View"]


class View(Protocol):
    """What a report says, in its sections and sentences: a module with these functions."""

    def headline(self, report: Any, /) -> str:
        """One line: what the report is about."""

    def cautions(self, report: Any, /) -> Sequence[str]:
        """What would be misread otherwise."""

    def findings(self, report: Any, /) -> Sequence[Finding]:
        """The report in sentences."""

    def blocks(self, report: Any, /) -> Sequence[Block]:
        """The sections in their order."""

    def page(self, report: Any, /) -> str:
        """The whole page."""


@standard_mode_methods
class Forms:
    """Shows a report as text, Markdown or a page; it has ``notes`` and ``sources``."""

    notes: tuple[str, ...]
    sources: tuple[str, ...]

    def _view(self) -> View:
        raise NotImplementedError

    def __str__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """Render as the tables that a notebook shows."""
        view = self._view()
        found = [table for block in view.blocks(self) for table in block.tables]
        made = [html_table(table.rows, [column.title for column in table.columns], table.title) for table in found]
        return "".join([html_table([[view.headline(self)]]), *made])

    def to_text(self, width: int = 80) -> str:
        """The report as plain text for a terminal of ``width`` columns."""
        view = self._view()
        pieces = [tables.wrap(view.headline(self), width)]
        pieces += [[line for text in view.cautions(self) for line in tables.wrap(f"Caution: {text}", width, "  ")]]
        shown = [table for block in view.blocks(self) if not block.page_only for table in block.tables]
        pieces += [list(tables.text_lines(table, width)) for table in shown]
        pieces += [[line for note in self.notes for line in tables.wrap(printable(note), width, "  ")]]
        return "\n\n".join("\n".join(piece) for piece in pieces if piece)

    def to_markdown(self) -> str:
        """The report as Markdown, for a job summary or a pull request."""
        view = self._view()
        lines = [f"## {in_markdown(view.headline(self))}", ""]
        lines += [f"- {in_markdown(finding.text)}" for finding in view.findings(self)]
        lines += [""]
        for block in view.blocks(self):
            if not block.page_only:
                lines += [line for table in block.tables for line in tables.markdown_lines(table)]
        lines += [f"- {in_markdown(printable(note))}" for note in self.notes]
        return "\n".join([*lines, ""])

    def page(self) -> str:
        """The report as one HTML page without scripts that loads nothing and has the same bytes each time."""
        return self._view().page(self)

    def to_html(self, path: str | Path) -> None:
        """Write the page; to a file beside ``path``, then renamed. A file that was read is never overwritten."""
        check_target(path, sources=self.sources)
        write(path, self.page(), sources=self.sources)
