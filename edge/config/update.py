"""What may be changed from far away: the table ``[update]`` of the site file. By default no configuration is."""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

from edge.config.profiles.signal import Strict


class Update(Strict, frozen=True, kw_only=True):
    """Configurations that come down from the cloud. Without keys none is ever taken."""

    configuration_keys: Annotated[
        tuple[str, ...],
        Meta(
            max_length=16,
            description="Files of public keys (PEM) whose configurations are tried, relative to the site file. Each"
            " runs as a trial and is kept only if coverage holds, as with `babbitt gateway apply`.",
        ),
    ] = ()
    configuration_minutes: Annotated[
        float, Meta(gt=0, le=1440, description="How long such a trial takes; at its end it is kept.")
    ] = 10.0
