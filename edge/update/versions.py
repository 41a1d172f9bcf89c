"""The configurations that ran here: ten that were kept, and the last that were tried and did not hold.

Is: a folder ``config`` beside the store, with ``versions.json`` (replaced as a whole, so that a power cut leaves the
old one or the new) and a folder a version: ``site.toml`` as it was, and every profile and class of the site's own that
it names. Is not: another place to configure from. The site file that a person named is the configuration; it and the
site's own profiles are replaced only when a trial is kept, or back when one did not hold.

Promise: whenever the power is cut, the next start runs the last configuration that was kept. ``recover`` puts it back,
but never over a file that somebody edited since.
"""

from __future__ import annotations

import contextlib
import getpass
import hashlib
import logging
import os
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from edge.config.load import convert, read_toml
from edge.config.site import Site, load_site, profiles_root
from edge.config.tables import Gateway
from edge.deferred import Deferred
from edge.errors import BabbittError, ConfigError

if TYPE_CHECKING:
    import shutil
else:
    shutil = Deferred("shutil")

KEPT_MAX = 10
FAILED_MAX = 3
FOLDER = "config"
INDEX = "versions.json"
SITE = "site.toml"

log = logging.getLogger("babbitt.update")

Contents = dict[str, bytes]
"""What a version is made of: the site file's bytes, and those of its own profiles, by name within the version."""
Write = Callable[[Path, bytes], None]
"""Replaces a file as a whole and durably."""
State = Literal["kept", "on trial", "rolled back"]


class Version(msgspec.Struct, frozen=True):
    """``hash`` is the SHA-256 of its contents, ``note`` how its trial ended where it did not hold."""

    number: int
    at: str
    who: str
    why: str
    hash: str
    state: State
    note: str = ""


class Index(msgspec.Struct, frozen=True):
    """``current`` is the number of the last kept version; ``trial`` that of the one on trial."""

    current: int = 0
    trial: int | None = None
    versions: tuple[Version, ...] = ()

    def version(self, number: int) -> Version | None:
        return next((version for version in self.versions if version.number == number), None)


class Versions:
    """The versions of the site at ``site_path``, in ``folder``. It touches the disk: not for the event loop."""

    def __init__(self, folder: Path, site_path: Path, *, write: Write | None = None) -> None:
        self._folder = folder
        self._site = site_path
        self._write = write or replace_file

    def index(self) -> Index:
        """Empty where nothing was kept yet. Raises ``ConfigError`` for a file that is no index."""
        path = self._folder / INDEX
        try:
            return msgspec.json.decode(path.read_bytes(), type=Index)
        except FileNotFoundError:
            return Index()
        except (OSError, msgspec.DecodeError) as error:
            hint = "take it away: versions begin anew, the site file stays as it is"
            raise ConfigError(str(path), f"cannot be read: {error}", hint) from error

    def started(self, site: Site, who: str) -> None:
        """The gateway runs ``site``: a version of its own, unless it is the current one."""
        contents = contents_of(site)
        index = self.index()
        current = index.version(index.current)
        if current is None or current.hash != digest_of(contents):
            number = self._store(index, contents)
            self._enter(index, _version(number, who, "started with it", contents, "kept"), current=number)

    def begin(self, contents: Contents, *, who: str, why: str) -> int:
        """Write a version that goes on trial; its number. Raises ``BabbittError`` where it could not be kept later."""
        index = self.index()
        if not os.access(self._site.parent, os.W_OK):
            hint = "the gateway's user must be able to replace the site file there"
            raise BabbittError(str(self._site.parent), "may not be written to", hint)
        number = self._store(index, contents)
        self._enter(index, _version(number, who, why, contents, "on trial"), trial=number)
        return number

    def load(self, number: int) -> Site:
        """A version as a site, read as if it stood in the site file's place. Raises ``ConfigError``."""
        folder = self._folder / f"{number:04}"
        if not (folder / SITE).exists():
            known = ", ".join(str(version.number) for version in self.index().versions)
            raise ConfigError(str(self._folder), f"there is no version {number}", f"versions: {known or 'none'}")
        return load_site(self._site, source=folder / SITE, first=folder)

    def keep(self, number: int) -> None:
        """The version on trial, or a former one, is the configuration from now on: in the site's own files too."""
        index = self.index()
        if index.trial != number:
            # From the first file that is replaced to the last it counts as a trial: a power cut undoes it.
            self._replace(msgspec.structs.replace(index, trial=number))
        self._put(self._contents(number), over=self._contents(index.current))
        self._settle(index, number, "kept", current=number)

    def roll_back(self, note: str) -> None:
        """The version on trial did not hold; what was kept before it is the configuration still."""
        index = self.index()
        if index.trial is None:
            return
        self._put(self._contents(index.current), over=self._contents(index.trial), only=True)
        self._settle(index, index.trial, "rolled back", note=note, current=index.current)

    def _settle(self, index: Index, number: int, state: State, *, current: int, note: str = "") -> None:
        settled = [
            msgspec.structs.replace(version, state=state, note=note)
            if version.number == number and version.state == "on trial"
            else version
            for version in index.versions
        ]
        self._replace(Index(current, None, tuple(settled)))

    def _enter(self, index: Index, version: Version, *, current: int | None = None, trial: int | None = None) -> None:
        self._replace(
            Index(index.current if current is None else current, trial, (*index.versions, version)),
        )

    def _replace(self, index: Index) -> None:
        """Make ``index`` the index, without the versions that are one too many."""
        kept = [v.number for v in index.versions if v.state == "kept" and v.number != index.current]
        failed = [v.number for v in index.versions if v.state == "rolled back"]
        gone = {*kept[: max(0, len(kept) - KEPT_MAX + 1)], *failed[: max(0, len(failed) - FAILED_MAX)]}
        versions = tuple(version for version in index.versions if version.number not in gone)
        self._write(
            self._folder / INDEX,
            msgspec.json.format(msgspec.json.encode(msgspec.structs.replace(index, versions=versions))),
        )
        for number in gone:
            shutil.rmtree(self._folder / f"{number:04}", ignore_errors=True)

    def _store(self, index: Index, contents: Contents) -> int:
        number = max((version.number for version in index.versions), default=0) + 1
        folder = self._folder / f"{number:04}"
        if folder.exists():
            shutil.rmtree(folder, ignore_errors=True)
        for name, data in contents.items():
            self._write(folder / name, data)
        return number

    def _contents(self, number: int) -> Contents:
        folder = self._folder / f"{number:04}"
        return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*.toml")} if folder.is_dir() else {}

    def _put(self, contents: Contents, *, over: Contents, only: bool = False) -> None:
        """Make the site's own files say ``contents``, the site file last.

        What stands there and is not ``over`` was edited meanwhile: it is set aside, or left alone where ``only``.
        """
        home = self._home(contents)
        for name in sorted(contents, key=lambda name: name == SITE):
            path = self._site if name == SITE else home / name
            stands = path.read_bytes() if path.exists() else None
            if stands == contents[name]:
                continue
            if stands is not None and stands != over.get(name):
                if only:
                    log.warning("%s was edited by hand and stays as it is", path)
                    continue
                aside = path.with_name(f"{path.name}.edited")
                self._write(aside, stands)
                log.warning("%s was edited by hand meanwhile: that lies in %s now", path, aside)
            self._write(path, contents[name])

    def _home(self, contents: Contents) -> Path:
        """The site's own folder of profiles."""
        if SITE not in contents:
            return self._site.parent
        tables = msgspec.toml.decode(contents[SITE])
        return self._site.parent / str(tables.get("profiles", ""))


def contents_of(site: Site, source: Path | None = None) -> Contents:
    """What ``site`` was read from, ``source`` being its site file: that, and its own profiles and classes."""
    contents = {SITE: (source or site.path).read_bytes()}
    shipped = profiles_root()
    for room, held in (("devices", [*site.profiles]), ("assets", [*site.classes])):
        for name in held:
            found = next((f for folder in site.folders if (f := folder / room / f"{name}.toml").is_file()), None)
            if found is not None and not found.is_relative_to(shipped):
                contents[f"{room}/{name}.toml"] = found.read_bytes()
    return contents


def digest_of(contents: Contents) -> str:
    """SHA-256 in hex."""
    whole = hashlib.sha256()
    for name in sorted(contents):
        whole.update(f"{name}\0{len(contents[name])}\0".encode())
        whole.update(contents[name])
    return whole.hexdigest()


def recover(site_path: Path) -> str:
    """Before a start: where a trial was under way, the last kept configuration is put back. Says so, or is empty."""
    try:
        folder = data_dir_of(site_path) / FOLDER
    except ConfigError:
        return ""  # Whoever loads it says what is wrong.
    try:
        if not (folder / INDEX).exists():
            return ""
        versions = Versions(folder, site_path.resolve())
        index = versions.index()
        if index.trial is None:
            return ""
        versions.roll_back("the gateway ended amid the trial")
    except (ConfigError, OSError) as error:
        return f"versions are not used: {error}"
    return f"version {index.trial} was on trial when the gateway ended: rolled back to version {index.current}"


def user() -> str:
    """Who this process works for, by name where there is one."""
    with contextlib.suppress(OSError, KeyError):
        return os.environ.get("SUDO_USER") or getpass.getuser()
    return f"uid {os.getuid()}"


def config_folder(site: Site) -> Path:
    return site.resolve(site.file.gateway.data_dir) / FOLDER


def data_dir_of(site_path: Path) -> Path:
    """The gateway's folder by the site file, whatever else that says. Raises ``ConfigError``."""
    gateway = convert(read_toml(site_path).get("gateway"), Gateway, where=str(site_path))
    return site_path.resolve().parent / gateway.data_dir


def replace_file(path: Path, data: bytes) -> None:
    """Replace ``path`` as a whole, durably: written beside it, synced, renamed, its folder synced; its mode stays."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("wb") as file:
        if path.exists():
            os.fchmod(file.fileno(), path.stat().st_mode & 0o777)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)


def _version(number: int, who: str, why: str, contents: Contents, state: State) -> Version:
    at = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return Version(number, at, who, why, digest_of(contents), state)
