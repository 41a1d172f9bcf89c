"""When a lamp is lit, and the buzzer sounds: patterns in time.

The two rates of blinking are within those that IEC 60073 gives for normal and for urgent information (0.4 to 0.8 Hz and
1.4 to 2.8 Hz), lit for half of the time. All lamps follow one clock, so that those of one pattern blink together.
"""

from __future__ import annotations

from collections.abc import Mapping

from edge.ports import Pattern

STEPS_S: Mapping[Pattern, tuple[float, ...]] = {
    Pattern.SLOW: (0.8, 0.8),
    Pattern.FAST: (0.2, 0.2),
    Pattern.FLASH: (0.1, 1.5),
    Pattern.DOUBLE: (0.1, 0.2, 0.1, 1.2),
}
"""For how long in turn it is lit, dark, lit, dark; then it begins anew."""


def is_lit(pattern: Pattern, at_s: float) -> bool:
    """``at_s`` counts from when the pattern began, which is with light."""
    if pattern not in STEPS_S:
        return pattern is Pattern.ON
    return _step(pattern, at_s)[0] % 2 == 0


def change_in(pattern: Pattern, at_s: float) -> float | None:
    """For how many seconds it stays as it is; None where it stays so for good."""
    return _step(pattern, at_s)[1] if pattern in STEPS_S else None


def _step(pattern: Pattern, at_s: float) -> tuple[int, float]:
    steps = STEPS_S[pattern]
    left = at_s % sum(steps)
    for number, lasts in enumerate(steps):
        if left < lasts:
            return number, lasts - left
        left -= lasts
    # What is left of a rounding error belongs to the last step.
    return len(steps) - 1, 1e-3
