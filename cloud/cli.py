"""``babbitt cloud``: the receiver with its pages, and the training of bundles."""

from __future__ import annotations

import click


@click.group()
def cloud() -> None:
    """Receive what gateways send, show the fleet, train what gateways judge with."""
