"""Who may act: people who said their name and the PIN, known by a cookie until they are idle for a quarter of an hour.

The cookie names a session in this process's memory: it goes with the browser's window, with the process, and with the
PIN. It is never sent from another site (``SameSite=Strict``), and each form carries the session's own word besides.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

from edge.errors import ConfigError
from edge.page.pin import Pin, read_pin
from edge.page.tries import LockedError, Tries

COOKIE = "babbitt_operator"
log = logging.getLogger("babbitt.page")

IDLE_S, LONGEST_S = 15 * 60.0, 12 * 3600.0
SESSIONS_MAX = 50
NAME_CHARS_MAX = 60
CHECKS_AT_ONCE = 4
"""More tries that wait for their turn are turned away."""


@dataclass(frozen=True, slots=True)
class Session:
    """``word`` stands in every form of it. It ends with the ``pin`` that it was opened by."""

    name: str
    word: str
    pin: Pin
    began_s: float
    seen_s: float


class People:
    """Belongs to the event loop."""

    def __init__(self, pin_file: Path, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        """Raises ``ConfigError`` for a file that is no PIN, or that others may read."""
        self._pin_file, self._monotonic_s = pin_file, monotonic_s
        self._pin, self._stamp = read_pin(pin_file), _stamp(pin_file)
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._turn = asyncio.Lock()
        self._waiting = 0
        self.tries = Tries(monotonic_s)

    @property
    def may_act(self) -> bool:
        """Whether there is a PIN at all."""
        return self._current() is not None

    def session(self, request: Request) -> Session | None:
        """Of the request's cookie, which counts as a sign of life; None where there is none that holds."""
        key, now_s = request.cookies.get(COOKIE, ""), self._monotonic_s()
        found = self._sessions.pop(key, None)
        if found is None or now_s - found.seen_s > IDLE_S or now_s - found.began_s > LONGEST_S:
            return None
        if found.pin != self._current():
            return None
        self._sessions[key] = replace(found, seen_s=now_s)
        return found

    async def sign_in(self, name: str, digits: str, request: Request) -> tuple[str, Session] | None:
        """A new session and its cookie's value; None where the PIN is wrong. Raises ``LockedError``."""
        address, pin = request.client.host if request.client else "?", self._current()
        if pin is None:
            return None
        if self._waiting >= CHECKS_AT_ONCE:
            raise LockedError(1.0)
        self.tries.begin(address)
        self._waiting += 1
        try:
            async with self._turn:
                met = await asyncio.to_thread(pin.is_met, digits)
        finally:
            self._waiting -= 1
        if not met:
            self.tries.wrong(address)
            return None
        self.tries.right(address)
        log.info("%s signed in from %s", name, address)
        key, now_s = secrets.token_urlsafe(32), self._monotonic_s()
        self._sessions[key] = session = Session(name, secrets.token_urlsafe(24), pin, now_s, now_s)
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        return key, session

    def sign_out(self, request: Request, response: Response) -> None:
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")

    def _current(self) -> Pin | None:
        """As the file is now. One that became unreadable lets nobody act."""
        stamp = _stamp(self._pin_file)
        if stamp != self._stamp:
            self._stamp = stamp
            try:
                self._pin = read_pin(self._pin_file)
            except ConfigError:
                self._pin = None
        return self._pin


def remember(response: Response, key: str) -> None:
    """Put a session's cookie into ``response``. Not ``secure``: on the floor's network the page is served as HTTP."""
    response.set_cookie(COOKIE, key, httponly=True, samesite="strict", path="/")


def has_word(session: Session, word: str) -> bool:
    return hmac.compare_digest(session.word.encode(), word.encode("utf-8", "surrogatepass"))


def name_of(text: str) -> str:
    """A person's name as it may be recorded: one line, printable, not endless; empty where it is none."""
    return "".join(c for c in " ".join(text.split()) if c.isprintable())[:NAME_CHARS_MAX].strip()


def _stamp(path: Path) -> tuple[int, int, int] | None:
    try:
        stat = path.stat()
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ino, stat.st_mode
