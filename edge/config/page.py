"""The gateway's own page for people on the floor: the table ``[page]`` of the site file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import msgspec
from msgspec import Meta

from edge.config.load import load
from edge.config.profiles.signal import Strict

HostName = Annotated[str, Meta(pattern=r"^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,251}[A-Za-z0-9_])?$")]


class Page(Strict, frozen=True, kw_only=True):
    """The gateway's own page, from a process beside it: machines, values, alarms, lines, without any network beyond.

    Everybody who reaches it may read. Nobody may act on it, until a PIN was set by `babbitt gateway pin`.
    """

    host: Annotated[
        str, Meta(description="Address to listen on; `0.0.0.0` to be reached from phones and other machines.")
    ] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port.")] = 8580
    names: Annotated[
        tuple[HostName, ...],
        Meta(
            max_length=32,
            description="Names by which browsers may call it, beside its addresses, `localhost`, the machine's own name"
            " and the gateway's id. Others are turned away, so that no foreign page can read it through a browser.",
        ),
    ] = ("gateway",)
    pin_file: Annotated[
        str,
        Meta(
            description="File of the operators' PIN, mode 0600, made by `babbitt gateway pin`, relative to the site"
            " file. Without the file the page is read-only."
        ),
    ] = "page.pin"

    @property
    def url(self) -> str:
        """Where it is looked at from this machine, or from everywhere."""
        return f"http://{f'[{self.host}]' if ':' in self.host else self.host}:{self.port}"


class Found(msgspec.Struct, frozen=True):
    """What the page's process needs of a site file; paths are whole."""

    page: Page
    gateway: str
    data_dir: Path
    pin_file: Path


class _Gateway(msgspec.Struct, frozen=True):
    id: str
    data_dir: str = "var/gateway"


class _File(msgspec.Struct, frozen=True):
    """The two tables; whether the rest holds is for the gateway to say."""

    gateway: _Gateway
    page: Page = Page()


def load_page(path: Path) -> Found:
    """Of the site file at ``path`` what concerns the page, as it is by default where it has no such table.

    Raises ``ConfigError``.
    """
    file, home = load(path, _File), path.resolve().parent
    resolved = [Path(os.path.normpath(home / name)) for name in (file.gateway.data_dir, file.page.pin_file)]
    return Found(file.page, file.gateway.id, *resolved)
