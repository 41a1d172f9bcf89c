"""The file of notifications: how people are reached, who is on shift, and who is called about what."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from datetime import time
from email.errors import MessageError
from email.headerregistry import Address as Mailbox
from pathlib import Path
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import httpx
import msgspec
from msgspec import Meta

from edge.config.load import load
from edge.contract.types import Priority
from edge.errors import ConfigError

SECRET_BYTES_MAX = 4096
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: tuple[Day, ...] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]
_CLOCK = re.compile(r"^([01]\d|2[0-3]):([0-5]\d)$")
_ADDRESS = re.compile(r"^[^\s@<>,;:\"]+@[^\s@<>,;:\"]+$")


class _Strict(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Every table is frozen, and a key that it does not know is an error."""


class Smtp(_Strict, frozen=True, kw_only=True):
    """The server that takes our mail. ``security`` none is for a server on this machine alone."""

    host: str
    sender: str
    port: Annotated[int, Meta(ge=1, le=65_535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    user: str = ""
    password_file: str = ""
    ca: str = ""
    timeout_s: Annotated[float, Meta(gt=0, le=120)] = 20.0


class Webhook(_Strict, frozen=True, kw_only=True):
    """An address that is posted to, signed after the Standard Webhooks specification with the secret in a file."""

    name: Name
    url: str
    secret_file: str
    ca: str = ""
    timeout_s: Annotated[float, Meta(gt=0, le=120)] = 10.0


class Mqtt(_Strict, frozen=True, kw_only=True):
    """A broker on which every alarm has a retained topic: ``TOPIC/GATEWAY/ASSET/RULE``."""

    host: str
    port: Annotated[int, Meta(ge=1, le=65_535)] = 1883
    topic: Annotated[str, Meta(pattern=r"^[^#+/\x00][^#+\x00]{0,200}$")] = "babbitt/alarms"
    tls: bool = False
    ca: str = ""
    user: str = ""
    password_file: str = ""
    client_id: Name = "babbitt-cloud"


class Person(_Strict, frozen=True, kw_only=True):
    """Whom we can reach, at which address."""

    name: Name
    email: str


class Shift(_Strict, frozen=True, kw_only=True):
    """People who are on duty from ``begins`` to ``ends`` o'clock on ``days``; over midnight where it ends earlier.

    Several of one ``name`` make a roster: whose hours it is, is called.
    """

    name: Name
    people: Annotated[tuple[Name, ...], Meta(min_length=1)]
    begins: str = "00:00"
    ends: str = "00:00"
    days: tuple[Day, ...] = DAYS

    @property
    def hours(self) -> tuple[time, time]:
        return time.fromisoformat(self.begins), time.fromisoformat(self.ends)


class Escalation(_Strict, frozen=True, kw_only=True):
    """Whom else to call where nobody has acknowledged ``after_min`` minutes after the last call."""

    after_min: Annotated[float, Meta(gt=0, le=10_080)]
    to: Annotated[tuple[str, ...], Meta(min_length=1)]


class Route(_Strict, frozen=True, kw_only=True):
    """Who is called about which alarms; of several routes the first that fits an alarm counts.

    ``assets`` are patterns of GATEWAY/ASSET, ``*`` for any characters; ``rules`` patterns of the alarm's name. ``to``
    are people, ``shift:NAME``, ``webhook:NAME`` or ``mqtt``.
    """

    to: tuple[str, ...]
    assets: tuple[str, ...] = ("*",)
    rules: tuple[str, ...] = ("*",)
    priority: Annotated[tuple[Priority, ...], Meta(min_length=1)] = tuple(Priority)
    escalate: tuple[Escalation, ...] = ()


class NotifyFile(_Strict, frozen=True, kw_only=True):
    """The file as it is written. ``page`` is the fleet page's address, for links; ``zone`` that of shifts and of times
    in messages; ``gather_s`` how long calls to one address wait for each other; ``per_hour_max`` how many messages one
    address gets an hour, the rest being gathered into the next; ``away_min`` after how many minutes of silence a
    gateway is an alarm itself (0: never).
    """

    route: Annotated[tuple[Route, ...], Meta(min_length=1)]
    person: tuple[Person, ...] = ()
    shift: tuple[Shift, ...] = ()
    smtp: Smtp | None = None
    webhook: tuple[Webhook, ...] = ()
    mqtt: Mqtt | None = None
    page: str = ""
    zone: str = "UTC"
    gather_s: Annotated[float, Meta(ge=0, le=300)] = 2.0
    per_hour_max: Annotated[int, Meta(ge=1, le=1000)] = 30
    away_min: Annotated[float, Meta(ge=0, le=10_080)] = 5.0


class Settings(msgspec.Struct, frozen=True):
    """A checked file; ``path`` is for errors and for what is relative in it."""

    path: Path
    file: NotifyFile

    @property
    def zone(self) -> ZoneInfo:
        return ZoneInfo(self.file.zone)

    def resolve(self, name: str) -> Path:
        return self.path.parent / name

    def secret(self, name: str) -> str:
        """The one line of a file of mode 0600. Raises ``ConfigError``."""
        path = self.resolve(name)
        try:
            mode = stat.S_IMODE(path.stat().st_mode)
            if mode & 0o077:
                raise ConfigError(str(path), f"others may read it (mode {mode:04o})", f"chmod 600 {path}")
            text = path.read_bytes()[:SECRET_BYTES_MAX].decode().strip()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(str(path), f"cannot be read: {error}", "put the secret there, in one line") from error
        if not text or "\n" in text:
            raise ConfigError(str(path), "holds no secret", "one line of text")
        return text


def load_settings(path: Path) -> Settings:
    """Read and check the file. Raises ``ConfigError`` with the first thing that is wrong."""
    settings = Settings(path=path.resolve(), file=load(path, NotifyFile))
    for key, problem, hint in problems(settings):
        raise ConfigError(str(path), f"`{key}`: {problem}", hint)
    return settings


def problems(settings: Settings) -> Iterator[tuple[str, str, str]]:
    """Key, what is wrong and what to do, of all that can be told without reaching anybody."""
    file = settings.file
    yield from _unique(file)
    try:
        ZoneInfo(file.zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        yield "zone", f"there is no {file.zone!r}", "a name such as Europe/Berlin"
    if file.page and _host_of(file.page) is None:
        yield "page", f"found {file.page!r}", "the address of the fleet page, such as https://plant.example"
    yield from _reachable(settings)
    people = {person.name for person in file.person}
    for i, person in enumerate(file.person):
        if not _is_address(person.email):
            yield f"person[{i}].email", f"found {person.email!r}", "an address such as ada@plant.example"
    for i, shift in enumerate(file.shift):
        for key, clock in (("begins", shift.begins), ("ends", shift.ends)):
            if not _CLOCK.match(clock):
                yield f"shift[{i}].{key}", f"found {clock!r}", "hours and minutes, such as 06:00"
        for name in shift.people:
            if name not in people:
                yield f"shift[{i}].people", f"there is no person {name!r}", f"people: {_listed(people)}"
    for i, route in enumerate(file.route):
        yield from _targets(file, f"route[{i}].to", route.to)
        for j, step in enumerate(route.escalate):
            yield from _targets(file, f"route[{i}].escalate[{j}].to", step.to)


def _is_address(text: str) -> bool:
    """Whether a message can be written to it: the library that writes them has the last word."""
    if not _ADDRESS.match(text):
        return False
    try:
        Mailbox(addr_spec=text)
    except (MessageError, ValueError, AttributeError, IndexError):
        return False
    return True


def _unique(file: NotifyFile) -> Iterator[tuple[str, str, str]]:
    for key, names in (("person", [p.name for p in file.person]), ("webhook", [w.name for w in file.webhook])):
        for name in sorted({name for name in names if names.count(name) > 1}):
            yield key, f"{name!r} stands twice", "give each a name of its own"


def _reachable(settings: Settings) -> Iterator[tuple[str, str, str]]:
    file = settings.file
    if file.smtp is not None:
        yield from _safe("smtp", file.smtp.host, secure=file.smtp.security != "none", hint="`security` starttls or tls")
        if not _is_address(file.smtp.sender):
            yield "smtp.sender", f"found {file.smtp.sender!r}", "the address that mail comes from"
        if bool(file.smtp.user) != bool(file.smtp.password_file):
            yield "smtp", "one of `user` and `password_file` alone", "give both, or neither"
    if file.mqtt is not None:
        yield from _safe("mqtt", file.mqtt.host, secure=file.mqtt.tls, hint="`tls` = true")
        if bool(file.mqtt.user) != bool(file.mqtt.password_file):
            yield "mqtt", "one of `user` and `password_file` alone", "give both, or neither"
    for i, hook in enumerate(file.webhook):
        host = _host_of(hook.url)
        if host is None:
            yield f"webhook[{i}].url", f"found {hook.url!r}", "an address such as https://pager.example/babbitt"
        else:
            yield from _safe(f"webhook[{i}].url", host, secure=hook.url.lower().startswith("https:"), hint="use https")
    named = {"smtp.ca": file.smtp and file.smtp.ca, "mqtt.ca": file.mqtt and file.mqtt.ca}
    named |= {f"webhook[{i}].ca": hook.ca for i, hook in enumerate(file.webhook)}
    for key, name in named.items():
        if name and not os.access(settings.resolve(name), os.R_OK):
            yield key, f"{name} cannot be read", "a PEM file"


def _host_of(url: str) -> str | None:
    """Of an address of the web, by the library that will reach it; None for what is none."""
    try:
        found = httpx.URL(url)
    except httpx.InvalidURL:
        return None
    is_web = found.scheme in ("http", "https") and (found.port or 0) < 2**16
    return found.host if is_web and found.host and not set(found.host) & set(" %[]") else None


def _safe(key: str, host: str, *, secure: bool, hint: str) -> Iterator[tuple[str, str, str]]:
    """What leaves this machine in clear text would tell everybody on the way which machine is down, and passwords."""
    if not secure and host not in ("localhost", "127.0.0.1", "::1"):
        yield key, f"{host} would be reached without encryption", hint


def _targets(file: NotifyFile, key: str, targets: tuple[str, ...]) -> Iterator[tuple[str, str, str]]:
    people, shifts = {p.name for p in file.person}, {s.name for s in file.shift}
    hooks = {w.name for w in file.webhook}
    for target in targets:
        kind, _, name = target.partition(":")
        if target == "mqtt":
            if file.mqtt is None:
                yield key, "there is no [mqtt]", "say where the broker is"
        elif kind == "shift" and name:
            if name not in shifts:
                yield key, f"there is no shift {name!r}", f"shifts: {_listed(shifts)}"
        elif kind == "webhook" and name:
            if name not in hooks:
                yield key, f"there is no webhook {name!r}", f"webhooks: {_listed(hooks)}"
        elif target not in people:
            yield (
                key,
                f"there is nobody called {target!r}",
                f"people: {_listed(people)}; shift:NAME, webhook:NAME, mqtt",
            )
        if (kind == "shift" or target in people) and file.smtp is None:
            yield key, f"{target} is reached by e-mail, and there is no [smtp]", "say which server takes mail"


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"
