"""The command line: ``babbitt GROUP COMMAND``. Groups are imported only when they are called."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, NoReturn

import click

from edge.errors import BabbittError

# numpy's linear algebra would start a thread and 8 MB of buffers for each core; a gateway needs neither.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

if TYPE_CHECKING:
    from importlib.metadata import EntryPoints

_OWN = {
    "gateway": "edge.cli.gateway:gateway", "plant": "edge.cli.plant:plant", "profile": "edge.cli.profile:profile",
    "decode": "edge.cli.decode:decode", "scan": "edge.cli.scan:scan", "browse": "edge.cli.browse:browse",
    "bundle": "edge.cli.bundle:bundle", "panel": "edge.cli.pictures:panel",
}  # fmt: skip
# What the extras of the distribution bring, by the names under which it is imported.
_EXTRAS = {
    "edge": ("ai_edge_litert", "httpx", "paho", "google", "pymodbus", "serial", "tomli_w", "gpiozero", "lgpio", "luma"),
    "cloud": ("jinja2", "rich", "starlette", "uvicorn"),
    "opcua": ("asyncua", "cryptography"),
    "train": ("flatbuffers", "sklearn", "threadpoolctl", "xgboost"),
}


def _others() -> EntryPoints:
    """What other packages registered. Reading it costs 3 MB, which a running gateway does not need."""
    from importlib.metadata import entry_points

    return entry_points(group="babbitt.commands")


class _Lazy(click.Group):
    """Finds groups by name: the edge's own, and those that other packages register as ``babbitt.commands``."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return sorted({*_OWN, *(point.name for point in _others())})

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        target = _OWN.get(cmd_name)
        if target is None:
            target = next((point.value for point in _others() if point.name == cmd_name), None)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(cls=_Lazy, context_settings={"help_option_names": ["-h", "--help"]})
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
        package = (error.name or "").partition(".")[0]
        extra = next((extra for extra, packages in _EXTRAS.items() if package in packages), None)
        if extra is None:
            raise
        _end(f"{package}: the package is not installed (pip install 'babbitt[{extra}]')", 1)


def _end(said: str, exit_code: int) -> NoReturn:
    click.secho(f"babbitt: {said}", err=True, fg="red")
    sys.exit(exit_code)
