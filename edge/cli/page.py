"""``babbitt gateway page``: the gateway's own page, as a process by itself."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
def page(config: Path) -> None:
    """Serve the page of the gateway of CONFIG until Ctrl-C or SIGTERM.

    A gateway whose CONFIG has a table [page] starts it by itself. Run it this way to have it as a unit of its own that
    outlives the gateway and says so; the gateway then starts none. It needs nothing but the gateway's socket, and no
    network beyond those who look at it.

    \b
    Example:
      babbitt gateway page site.toml
      http://127.0.0.1:8580/             what a browser shows
      http://127.0.0.1:8580/api/status   the same as JSON
    """
    # In place of this process: the page needs a third of what the command line has loaded by now.
    os.execv(sys.executable, [sys.executable, "-P", "-m", "edge.page", str(config)])  # noqa: S606
