"""The command line: ``babbitt GROUP COMMAND``. Groups are imported only when they are called, see ``lazy``."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from edge.cli.lazy import LazyGroup
from edge.errors import BabbittError
from edge.extras import words_of_missing

# numpy's linear algebra would start a thread and 8 MB of buffers for each core; a gateway needs neither.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

_OWN = {
    "gateway": "edge.cli.gateway:gateway", "plant": "edge.cli.plant:plant", "profile": "edge.cli.profile:profile",
    "decode": "edge.cli.decode:decode", "scan": "edge.cli.scan:scan", "browse": "edge.cli.browse:browse",
    "bundle": "edge.cli.bundle:bundle", "panel": "edge.cli.pictures:panel",
}  # fmt: skip


def _others() -> EntryPoints:
    """What other packages registered. Reading it takes a while, which none of the edge's own groups waits for."""
    from importlib.metadata import entry_points

    return entry_points(group="babbitt.commands")


class _Root(LazyGroup):
    """Finds groups by name: the edge's own, and those that other packages register as ``babbitt.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted({*super().list_commands(ctx), *(point.name for point in _others())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.places:
            self.places |= {point.name: point.value for point in _others()}
        return super().get_command(ctx, cmd_name)


@click.group(cls=_Root, places=_OWN, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="babbitt")
def babbitt() -> None:
    """Babbitt: an edge-first industrial gateway with a digital twin.

    Start with `babbitt demo`: a plant, a gateway and a cloud on this machine, and their story in three minutes.
    """


def main() -> None:
    """Run a command; an error that a person must act on is one line on stderr and its own exit code."""
    try:
        babbitt()
    except BabbittError as error:
        _end(str(error), error.exit_code)
    except ModuleNotFoundError as error:
        words = words_of_missing(error)
        if not words:
            raise
        _end(words, 1)


def _end(said: str, exit_code: int) -> NoReturn:
    click.secho(f"babbitt: {said}", err=True, fg="red")
    sys.exit(exit_code)
