"""Writes to machines: the table ``[command]`` of the site file. Without it none is ever made."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Set
from typing import Annotated

from msgspec import Meta

from edge.config.profiles.signal import Strict


class Commands(Strict, frozen=True, kw_only=True):
    """Writes to machines, under contracts that an engineer signed. Without this table none is ever made."""

    contract_keys: Annotated[
        tuple[str, ...],
        Meta(
            min_length=1,
            max_length=16,
            description="Files of public keys (PEM) whose contracts count, relative to the site file; made by"
            " `babbitt gateway contract key`. No other does, least of all the key of shipped bundles.",
        ),
    ]
    contracts: Annotated[
        str,
        Meta(
            description="Folder of contracts (`ID.toml`, and `ID.sig` beside it), relative to the site file. By default"
            " `contracts` in the folder `profiles`, or beside the site file where there is none."
        ),
    ] = ""
    enable_gpio: Annotated[
        Annotated[int, Meta(ge=0, le=27)] | None,
        Meta(
            description="BCM pin of a key switch: nothing is written but while it is high. It is pulled down, so that a"
            " broken wire forbids."
        ),
    ] = None
    enable_tag: Annotated[
        str,
        Meta(
            description="The same by a tag, as `asset.tag`: nothing is written but while it is read well, and is true"
            " or not 0.",
        ),
    ] = ""

    @property
    def enabled_by(self) -> tuple[str, str] | None:
        """Asset and tag of ``enable_tag``."""
        asset, _, tag = self.enable_tag.rpartition(".")
        return (asset, tag) if tag else None


def problems_of_enabling(
    command: Commands, *, pins: Mapping[str, int], tags: Mapping[str, Set[str]]
) -> Iterator[tuple[str, str, str]]:
    """Key, problem and hint of what enables writes; ``pins`` are taken by others, ``tags`` those of each asset."""
    for key, pin in pins.items():
        if pin == command.enable_gpio:
            yield "enable_gpio", f"pin {pin} is also that of `{key}`", "give each a pin of its own"
    if not command.enable_tag:
        return
    asset, _, tag = command.enable_tag.rpartition(".")
    if not asset:
        yield "enable_tag", f"found {command.enable_tag!r}", "write `asset.tag`"
    elif asset not in tags:
        yield "enable_tag", f"there is no asset {asset!r}", f"assets: {', '.join(sorted(tags))}"
    elif tag not in tags[asset]:
        yield "enable_tag", f"{asset} has no tag {tag!r}", f"tags: {', '.join(sorted(tags[asset]))}"
