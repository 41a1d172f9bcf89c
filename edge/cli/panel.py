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
@click.option(
    "--dark", is_flag=True,
    help="Only switch all lamps off and let the display say that nobody watches: for what a killed panel left lit.",
)  # fmt: skip
@click.option("--trace", type=click.Path(path_type=Path), help="Append each change of the lamps to this file, as JSON.")
def panel(config: Path, log_level: str, dark: bool, trace: Path | None) -> None:
    """Show what the gateway of CONFIG tells, until Ctrl-C or SIGTERM.

    It goes on when the gateway dies, shows then that nobody watches (never green), and takes up again with the next.
    `babbitt gateway run` starts one by itself where none answers; run it apart where a service manager is to keep it,
    and the gateway with --panel-apart.

    Pins outlive a panel that is killed: as a lamp was, so it stays, green too. So a service manager runs it with --dark
    whenever it has ended, as the unit that comes with Babbitt has it.

    \b
    Examples:
      babbitt gateway panel site.toml
      babbitt gateway panel --dark site.toml
    """
    # In the place of this process: the panel alone weighs a third of the command line with all that it can do.
    options = [*([] if trace is None else ["--trace", str(trace)]), *(["--dark"] if dark else [])]
    command = [sys.executable, "-P", "-m", "edge.panel", str(config), "--log-level", log_level, *options]
    os.execv(sys.executable, command)  # noqa: S606 - there is no shell to start it with
