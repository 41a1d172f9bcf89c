"""What is wrong with a sensor, in a sentence."""

from __future__ import annotations

from edge.contract.types import SensorFault
from edge.infer.words import spoken


def drifting(tag: str, unit: str, offset: float, reading: float, because: str, rival: str = "") -> str:
    """``because`` says what it was held against; ``rival`` is a sensor that would explain it nearly as well."""
    name = spoken(tag)[0]
    digits = 0 if abs(reading) >= 1000.0 else 1 if abs(reading) >= 10.0 else 2
    space = " " if unit and unit != "%" else ""
    words = f"{name} drifts: it reads {reading:.{digits}f}{space}{unit}, {offset:+.{digits}f} off, by {because}"
    return f"{words}; or else {spoken(rival)[0]} does" if rival else words


def plain(tag: str, fault: SensorFault) -> str:
    name = spoken(tag)[0]
    return {
        SensorFault.STUCK: f"{name} says the same value again and again while the others move",
        SensorFault.NOISY: f"{name} scatters several times as much as it used to",
        SensorFault.CLIPPED: f"{name} is cut off at the end of its range",
        SensorFault.SPIKING: f"{name} jumps away and back for single readings",
    }[fault]


def swapped(one: str, two: str) -> str:
    return f"{spoken(one)[0]} and {spoken(two)[0]} seem to be exchanged"


def together(tags: tuple[str, ...], coupling: str) -> str:
    names = [spoken(tag)[0] for tag in tags[:4]]
    if not names:
        return "what stands off is no single sensor's: the machine, not a sensor"
    return f"{', '.join(names)} moved together, as by {coupling}: the machine, not a sensor"
