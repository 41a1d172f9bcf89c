"""``babbitt gateway panel``: lamps and display as a process of their own."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option(
    "--log-level", type=click.Choice(["debug", "info", "warning"]), default="info", show_default=True,
    help="How much to say on stderr.",
)  # fmt: skip
@click.option("--trace", type=click.Path(path_type=Path), help="Append each change of the lamps to this file, as JSON.")
def panel(config: Path, log_level: str, trace: Path | None) -> None:
    """Show what the gateway of CONFIG tells, until Ctrl-C or SIGTERM.

    It goes on when the gateway dies, shows then that nobody watches (never green), and takes up again with the next.
    `babbitt gateway run` starts one by itself where none answers; run it apart where a service manager is to keep it,
    and the gateway with --panel-apart.

    \b
    Example:
      babbitt gateway panel site.toml
    """
    # In the place of this process: the panel alone weighs a third of the command line with all that it can do.
    traced = [] if trace is None else ["--trace", str(trace)]
    command = [sys.executable, "-P", "-m", "edge.panel", str(config), "--log-level", log_level, *traced]
    os.execv(sys.executable, command)  # noqa: S606 - there is no shell to start it with
