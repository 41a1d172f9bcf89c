"""An asset class: one TOML file under ``firmware_profiles/assets`` says what to watch a kind of machine for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from edge.config.load import load
from edge.config.rule import Rule
from edge.config.rule_checks import problems_of_rule
from edge.config.sensors import Balance, Fault, Redundant
from edge.errors import ConfigError

__all__ = ["RESERVED_RULES", "AssetClass", "Rule", "load_asset_class"]

RESERVED_RULES = frozenset({
    "no_data", "anomaly", "rul_warning", "rul_critical", "sensor_drifting", "sensor_bad", "chattering", "flood",
})  # fmt: skip
"""Ids of the alarms that every watched asset has without a rule in a file."""


class AssetClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``bundle`` names the folder under ``firmware_profiles/bundles`` with the models that judge this class.

    ``hour_meter`` and ``speed`` name the tags of operating hours and speed, where the class has them,
    ``speed_setpoint`` that of the speed that is asked for; ``watch`` the
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
    speed_setpoint: str = ""
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
    taken = set(RESERVED_RULES)
    for i, rule in enumerate(asset_class.rule):
        for problem, hint in problems_of_rule(rule, taken):
            raise ConfigError(str(path), f"`rule[{i}]` ({rule.id}): {problem}", hint)
        taken.add(rule.id)
    return asset_class
