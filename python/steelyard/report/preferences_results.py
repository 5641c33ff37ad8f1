"""The data of a report on preference data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from .. import calibration, preference
from .._mode import standard_mode_methods


@standard_mode_methods
@dataclass(frozen=True)
class PreferencesContents:
    """What a preference set is worth, as data."""

    audit: preference.Audit
    reliability: calibration.Reliability | None
    doubtful: tuple[str, ...]
    sources: tuple[str, ...]
    columns: Mapping[str, str]
    read: Mapping[str, int]
    left_out: Mapping[str, int]
    guesses: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    title: str | None = None
    date: str | None = None
