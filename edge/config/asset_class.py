"""An asset class: one TOML file under ``firmware_profiles/assets`` says what to watch a kind of machine for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from edge.config.load import load
from edge.config.sensors import Balance, Fault, Redundant
from edge.contract.types import Priority
from edge.errors import ConfigError

RESERVED_RULES = frozenset({
    "no_data", "anomaly", "rul_warning", "rul_critical", "sensor_drifting", "sensor_bad", "chattering", "flood",
})  # fmt: skip
"""Ids of the alarms that every watched asset has without a rule in a file."""


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit on one tag. Give ``above`` or ``below`` (value strictly past the limit raises).

    It clears only when the value is back by more than ``deadband`` (in the tag's unit), and raises or clears only after
    the condition has held for the delay. ``sentence`` may use {name}, {value}, {unit} and {limit}. ``enabled_by`` names
    a tag of state without which the limit means nothing: a stopped pump has no flow, and that is no alarm.

    One that may ``latch`` stays after its condition has gone until an operator resets it. ``group`` names alarms with
    one likely cause, of which the first is marked. ``re_alarm_s``: when it calls again unacknowledged, where that is
    not as the site has it (0: never).
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_-]*$")]
    tag: str
    priority: Priority
    sentence: str
    above: float | None = None
    below: float | None = None
    deadband: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    on_delay_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    off_delay_s: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    enabled_by: str = ""
    latch: bool = False
    group: str = ""
    re_alarm_s: Annotated[float, msgspec.Meta(ge=0)] | None = None
    cause: str = ""
    action: str = ""


class AssetClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``bundle`` names the folder under ``firmware_profiles/bundles`` with the models that judge this class.

    ``hour_meter`` and ``speed`` name the tags of operating hours and speed, where the class has them; ``watch`` the
    tags that tell its health. ``anomaly_alarms_per_week`` is how many alarms of anomaly a healthy asset may raise at
    most, on average; an asset of the site may have its own.

    The rest tells bad sensors from faults of the machine: ``conditions`` are the tags of what is asked of the machine
    (speed and load by default), ``ambient`` that of the air around it; ``redundant`` and ``balance`` say which sensors
    check each other, ``fault`` which signals a fault of the machine moves together.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    source: str
    watch: tuple[str, ...] = ()
    hour_meter: str = ""
    speed: str = ""
    bundle: str = ""
    anomaly_alarms_per_week: Annotated[float, msgspec.Meta(ge=0.01, le=1000)] = 1.0
    conditions: tuple[str, ...] = ()
    ambient: str = ""
    redundant: tuple[Redundant, ...] = ()
    balance: tuple[Balance, ...] = ()
    fault: tuple[Fault, ...] = ()
    rule: tuple[Rule, ...] = ()


def load_asset_class(path: Path) -> AssetClass:
    """Read and check one class. Raises ``ConfigError``."""
    asset_class = load(path, AssetClass)
    seen: set[str] = set()
    for i, rule in enumerate(asset_class.rule):
        here = f"`rule[{i}]` ({rule.id})"
        if (rule.above is None) == (rule.below is None):
            raise ConfigError(str(path), f"{here}: wants one limit", "give `above` or `below`")
        if rule.id in seen or rule.id in RESERVED_RULES:
            raise ConfigError(str(path), f"{here}: the id is taken", f"not {', '.join(sorted(seen | RESERVED_RULES))}")
        seen.add(rule.id)
        _check_sentence(str(path), here, rule.sentence)
    return asset_class


def _check_sentence(where: str, here: str, sentence: str) -> None:
    try:
        sentence.format(name="", value="", unit="", limit="")
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        hint = "use {name}, {value}, {unit} and {limit}"
        raise ConfigError(where, f"{here}: `sentence` cannot be filled: {error}", hint) from error
