"""Who may write on the pages: people with a token, known by a cookie once they have entered it. Reading needs none.

The cookie names a session in this process's memory: it goes with the browser's window, with ``SESSION_S``, with the
server, or with the token. It is never sent from another site (``SameSite=Strict``), and each form carries the session's
own word besides.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from cloud.ingest.tokens import Tokens, digest_of

COOKIE = "babbitt_person"
SESSION_S = 12 * 3600.0
SESSIONS_MAX = 1000
TOKEN_CHARS_MAX = 200
WRITES_PER_MIN, TRIES_PER_MIN = 30, 10
_KEYS_MAX = 10_000


@dataclass(frozen=True, slots=True)
class Session:
    """``word`` stands in every form of this session; it ends with the token whose ``digest`` it was opened by."""

    person: str
    digest: str
    word: str
    until_s: float


class TooOftenError(Exception):
    """``retry_after_s``: when to come again."""

    def __init__(self, retry_after_s: int) -> None:
        self.retry_after_s = retry_after_s
        super().__init__(f"too often; try again in {retry_after_s} s")


class People:
    """Belongs to the event loop."""

    def __init__(self, tokens: Tokens, *, monotonic_s: Callable[[], float] = time.monotonic) -> None:
        self._tokens, self._monotonic_s = tokens, monotonic_s
        self._sessions: OrderedDict[str, Session] = OrderedDict()
        self._writes = _Rate(WRITES_PER_MIN, monotonic_s)
        self._tries = _Rate(TRIES_PER_MIN, monotonic_s)

    def known(self, token: str, request: Request) -> str | None:
        """Whose token it is. Raises ``TooOftenError`` where an address has tried wrong ones too often."""
        address = request.client.host if request.client else ""
        self._tries.check(address)
        person = self._tokens.owner(token) if 0 < len(token) <= TOKEN_CHARS_MAX else None
        if person is None:
            self._tries.count(address)
        return person

    def session(self, request: Request) -> Session | None:
        """Of the request's cookie; None where there is none that holds."""
        found = self._sessions.get(request.cookies.get(COOKIE, ""))
        if found is None or found.until_s <= self._monotonic_s():
            return None
        return found if self._tokens.owner_of(found.digest, found.person) == found.person else None

    def sign_in(self, person: str, token: str, response: Response, *, secure: bool) -> None:
        name, word = secrets.token_urlsafe(32), secrets.token_urlsafe(24)
        self._sessions[name] = Session(person, digest_of(token), word, self._monotonic_s() + SESSION_S)
        while len(self._sessions) > SESSIONS_MAX:
            self._sessions.popitem(last=False)
        response.set_cookie(COOKIE, name, httponly=True, samesite="strict", secure=secure, path="/")

    def sign_out(self, request: Request, response: Response) -> None:
        self._sessions.pop(request.cookies.get(COOKIE, ""), None)
        response.delete_cookie(COOKIE, httponly=True, samesite="strict", path="/")

    def writes(self, person: str) -> None:
        """Count one thing that a person writes. Raises ``TooOftenError``."""
        self._writes.check(person)
        self._writes.count(person)


def has_word(session: Session, word: str) -> bool:
    return hmac.compare_digest(session.word.encode(), word.encode())


class _Rate:
    """At most ``per_min`` a minute by key, at once or spread."""

    def __init__(self, per_min: int, monotonic_s: Callable[[], float]) -> None:
        self._per_min, self._monotonic_s = per_min, monotonic_s
        self._free_s: OrderedDict[str, float] = OrderedDict()
        """When all that was counted of a key is a minute's share behind."""

    def check(self, key: str) -> None:
        wait_s = self._free_s.get(key, 0.0) - self._monotonic_s() - 60.0 * (self._per_min - 1) / self._per_min
        if wait_s > 0:
            raise TooOftenError(int(wait_s) + 1)

    def count(self, key: str) -> None:
        now_s = self._monotonic_s()
        self._free_s[key] = max(self._free_s.pop(key, now_s), now_s) + 60.0 / self._per_min
        while len(self._free_s) > _KEYS_MAX:
            self._free_s.popitem(last=False)
