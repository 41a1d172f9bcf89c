"""What snapshots of vibration say of a machine's bearing: which part is damaged, in words for a verdict.

One snapshot may be struck by a forklift; a place is told once two of a sensor's last three snapshots name it, and taken
back once they do not. Only places and words are kept, so that the state is small and the same on every processor.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from edge.config.nameplate import Service
from edge.contract.types import Reason, Waveform
from edge.errors import UnitError
from edge.features.bearing import Bearing
from edge.features.describe import describe

_REMEMBERED, _AGREE = 3, 2
_SENSORS_MAX = 16
"""More sensors than a machine has; what comes from further ones is passed over."""


class Snapshots:
    """One asset. Without a bearing's geometry it says nothing."""

    def __init__(self, service: Service) -> None:
        plate = service.nameplate.bearing if service.nameplate is not None else None
        geometry = plate.geometry if plate is not None else None
        self._bearing = (
            Bearing(geometry.balls, geometry.ball_mm, geometry.pitch_mm, geometry.contact_angle_deg)
            if geometry is not None
            else None
        )
        self._said: dict[str, list[tuple[str, str, int]]] = {}
        self._trouble: dict[str, str] = {}

    def observe(self, wave: Waveform, speed_rpm: float | None) -> None:
        """Take a snapshot; ``speed_rpm`` is the shaft's when it was taken, None where that is not known."""
        if self._bearing is None or (wave.tag not in self._said and len(self._said) >= _SENSORS_MAX):
            return
        said = self._said.setdefault(wave.tag, [])
        try:
            told = describe(
                wave.samples, rate_hz=wave.rate_hz, unit=wave.unit, bearing=self._bearing, speed_rpm=speed_rpm,
                where=wave.tag,
            )  # fmt: skip
        except UnitError as error:
            self._trouble[wave.tag] = f"{error.where}: {error.problem}"
            return
        self._trouble.pop(wave.tag, None)
        if told.notes and told.notes[-1].startswith("no bearing orders"):
            return
        found = told.found
        said.append((found.place.value, found.words, wave.at_ns) if found is not None else ("", "", wave.at_ns))
        del said[:-_REMEMBERED]

    @property
    def reasons(self) -> tuple[Reason, ...]:
        """The damaged part by each sensor that names one; its share is whole, it is no matter of degrees."""
        found = []
        for tag, said in sorted(self._said.items()):
            for place in dict.fromkeys(place for place, _, _ in said if place):
                named = [one for one in said if one[0] == place]
                if len(named) >= _AGREE:
                    found.append(Reason(tag, 1.0, named[-1][1], since_ns=named[0][2]))
        return tuple(found)

    @property
    def trouble(self) -> str:
        """What keeps snapshots from being read, in words; empty for nothing."""
        return "; ".join(words for _, words in sorted(self._trouble.items()))

    def kept(self) -> dict[str, Any]:
        """What a restart needs, as plain JSON data; empty where there never was a snapshot."""
        if not self._said:
            return {}
        said = {tag: [list(one) for one in rows] for tag, rows in self._said.items()}
        return {"said": said, "trouble": dict(self._trouble)}

    def restore(self, kept: Mapping[str, Any]) -> None:
        """Continue. Raises ``KeyError``, ``TypeError`` or ``ValueError`` for what ``kept`` never gave."""
        said = {
            str(tag): [(str(place), str(words), int(at_ns)) for place, words, at_ns in rows[-_REMEMBERED:]]
            for tag, rows in kept["said"].items()
        }
        self._trouble = {str(tag): str(words) for tag, words in kept["trouble"].items()}
        self._said = said
