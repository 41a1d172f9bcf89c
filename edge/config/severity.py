"""Severity zones: one TOML file under ``firmware_profiles/severity`` holds a standard's numbers with their edition."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

import msgspec

from edge.config.load import load
from edge.errors import ConfigError
from edge.features.severity import Boundaries

Positive = Annotated[float, msgspec.Meta(gt=0)]
Support = Literal["rigid", "flexible"]


class Group(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Machines of one size: above ``power_above_kw``, or with shafts at ``shaft_height_from_mm`` or higher.

    ``rigid`` and ``flexible`` are the boundaries A/B, B/C and C/D in mm/s on such a support.
    """

    id: str
    power_above_kw: Positive
    shaft_height_from_mm: Positive
    rigid: tuple[Positive, Positive, Positive]
    flexible: tuple[Positive, Positive, Positive]


class Severity(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``edition`` says whose numbers they are. Outside ``power_above_kw`` and ``speed_rpm`` the standard is silent."""

    id: str
    title: str
    edition: str
    source: str
    power_above_kw: Positive
    speed_rpm: tuple[Positive, Positive]
    group: tuple[Group, ...]

    def boundaries(
        self, *, power_kw: float, support: Support, shaft_height_mm: float | None = None, speed_rpm: float | None = None
    ) -> Boundaries:
        """The zones of one machine.

        Raises ``ConfigError`` where the standard does not cover it: no number is made up.
        """
        group = self.group_of(power_kw=power_kw, shaft_height_mm=shaft_height_mm, speed_rpm=speed_rpm)
        return Boundaries(*(group.rigid if support == "rigid" else group.flexible))

    def group_of(
        self, *, power_kw: float, shaft_height_mm: float | None = None, speed_rpm: float | None = None
    ) -> Group:
        """The first group that fits by power or by shaft height; a height outranks the power of a smaller group.

        Raises as ``boundaries``.
        """
        hint = "judge it by its own baseline, or by limits of its builder"
        if not power_kw > self.power_above_kw:
            problem = f"{power_kw:g} kW: covers machines above {self.power_above_kw:g} kW alone"
            raise ConfigError(self.id, problem, hint)
        if speed_rpm is not None and not self.speed_rpm[0] <= speed_rpm <= self.speed_rpm[1]:
            low, high = self.speed_rpm
            raise ConfigError(self.id, f"{speed_rpm:g} 1/min: covers {low:g} to {high:g} 1/min alone", hint)
        for group in self.group:
            tall = shaft_height_mm is not None and shaft_height_mm >= group.shaft_height_from_mm
            if tall or power_kw > group.power_above_kw:
                return group
        raise ConfigError(self.id, f"{power_kw:g} kW: no group of machines fits", hint)


def load_severity(path: Path) -> Severity:
    """Read and check one file. Raises ``ConfigError``."""
    severity = load(path, Severity)
    for i, group in enumerate(severity.group):
        for support in ("rigid", "flexible"):
            try:
                Boundaries(*getattr(group, support))
            except ValueError as error:
                hint = "A/B, B/C and C/D in mm/s, rising"
                raise ConfigError(str(path), f"`group[{i}].{support}`: {error}", hint) from error
    return severity
