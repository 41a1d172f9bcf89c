"""An asset class: one TOML file under ``firmware_profiles/assets`` says what a kind of machine should be watched for."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import msgspec

from edge.config.load import load
from edge.contract.types import Priority
from edge.errors import ConfigError


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A limit on one tag. Give ``above`` or ``below`` (value strictly past the limit raises).

    It clears only when the value is back by more than ``deadband`` (in the tag's unit), and raises or clears only after
    the condition has held for the delay. ``sentence`` may use {name}, {value}, {unit} and {limit}.
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
    cause: str = ""
    action: str = ""


class AssetClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """``bundle`` names the folder under ``firmware_profiles/bundles`` with the models that judge this class.

    ``hour_meter`` and ``speed`` name the tags of operating hours and speed, where the class has them; ``watch`` the tags
    that tell its health.
    """

    id: Annotated[str, msgspec.Meta(pattern=r"^[a-z][a-z0-9_]*$")]
    title: str
    source: str
    watch: tuple[str, ...] = ()
    hour_meter: str = ""
    speed: str = ""
    bundle: str = ""
    rule: tuple[Rule, ...] = ()


def load_asset_class(path: Path) -> AssetClass:
    """Read and check one class. Raises ``ConfigError``."""
    asset_class = load(path, AssetClass)
    for i, rule in enumerate(asset_class.rule):
        if (rule.above is None) == (rule.below is None):
            raise ConfigError(str(path), f"`rule[{i}]` ({rule.id}): wants one limit", "give `above` or `below`")
    return asset_class
