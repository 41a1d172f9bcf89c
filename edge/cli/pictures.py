"""``babbitt panel``: what a panel's lamps mean, and pictures of all that it shows."""

from __future__ import annotations

import json
from pathlib import Path

import click

from edge.errors import ConfigError

DISPLAYS = ("16x2", "20x4", "128x64")


@click.group()
def panel() -> None:
    """What the panel beside the machines shows, for who has none at hand.

    \b
    Example:
      babbitt panel lamps
      babbitt panel show pictures
    """


@panel.command()
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a table.")
def lamps(as_json: bool) -> None:
    """What each lamp means when it is lit or blinks in one way or another.

    \b
    Example:
      babbitt panel lamps
    """
    from edge.panel.lamps import MEANINGS

    if as_json:
        rows = [{"lamp": lamp, "pattern": pattern, "meaning": meaning} for lamp, pattern, meaning in MEANINGS]
        click.echo(json.dumps({"lamps": rows}))
        return
    for lamp, pattern, meaning in MEANINGS:
        click.echo(f"{lamp:10}{pattern:14}{meaning}")


@panel.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option(
    "--site", "config", type=click.Path(path_type=Path), help="Take the names of machines and the display from it."
)
@click.option("--display", type=click.Choice(DISPLAYS), help="This display alone; all of them by default.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of a line a picture.")
def show(folder: Path, config: Path | None, display: str | None, as_json: bool) -> None:
    """Draw every kind of page into FOLDER, one PNG each, lamps and buzzer with it.

    They show made-up situations: an alarm before and after it is acknowledged, data that stop, advice that waits.

    \b
    Example:
      babbitt panel show pictures --site site.toml
    """
    from edge.panel.examples import MACHINES, views

    try:
        from edge.panel.picture import draw
        from edge.panel.png import write_whole
    except ImportError as error:
        raise ConfigError("panel", f"{error.name} is not installed", "pip install luma.lcd") from error
    names, chosen = dict(MACHINES), (display,) if display is not None else DISPLAYS
    if config is not None:
        from edge.config.site import load_site

        file = load_site(config).file
        names = {asset.id: asset.name or asset.id for asset in file.asset}
        if display is None and file.panel.display != "none":
            chosen = (file.panel.display,)
    drawn = []
    for size in chosen:
        for example, view in views(size, names):
            path = folder / f"{example.name}-{size}.png"
            try:
                write_whole(draw(view), path)
            except OSError as error:
                raise ConfigError(str(path), f"cannot be written: {error.strerror}", "name another FOLDER") from error
            drawn.append({"picture": str(path), "shows": example.words})
            if not as_json:
                click.echo(f"{path}  {example.words}")
    if as_json:
        click.echo(json.dumps({"pictures": drawn}))
