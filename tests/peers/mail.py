"""A real mail server that is not ours: aiosmtpd in a thread, with STARTTLS, a login, and wishes to refuse."""

from __future__ import annotations

import asyncio
import email
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from email import policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword

DEADLINE_S = 60.0


class Mail:
    """``came``: the messages; ``refusal``: what to answer instead of taking one, such as "451 later".

    ``refused`` is what to answer to the name of a recipient, ``sender_refused`` to the sender's.
    """

    def __init__(self) -> None:
        self.came: list[EmailMessage] = []
        self.refusal = self.sender_refused = ""
        self.refused: dict[str, str] = {}
        self.port = 0
        self._news = threading.Condition()

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:  # noqa: N802 - aiosmtpd's name
        if self.refusal:
            return self.refusal
        message = email.message_from_bytes(envelope.content, policy=policy.default)
        assert isinstance(message, EmailMessage)
        with self._news:
            self.came.append(message)
            self._news.notify_all()
        return "250 taken"

    async def handle_MAIL(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:  # fmt: skip
        envelope.mail_from = address
        return self.sender_refused or "250 OK"

    async def handle_RCPT(  # noqa: N802
        self, _server: Any, _session: Any, envelope: Any, address: str, _options: list[str]
    ) -> str:  # fmt: skip
        if (answer := self.refused.get(address.partition("@")[0])) is not None:
            return answer
        envelope.rcpt_tos.append(address)
        return "250 OK"

    def take(self, count: int) -> list[EmailMessage]:
        """The first ``count`` that came, once they did."""
        with self._news:
            assert self._news.wait_for(lambda: len(self.came) >= count, DEADLINE_S), [m["Subject"] for m in self.came]
            return self.came[:count]


@contextmanager
def mail_server(tls: tuple[Path, Path] | None = None, password: str = "") -> Iterator[Mail]:
    """A server on a port of its own; ``tls`` are certificate and key for STARTTLS, which is then wanted."""
    mail = Mail()

    def authenticate(_server: Any, _session: Any, _envelope: Any, _mechanism: str, found: Any) -> AuthResult:
        good = isinstance(found, LoginPassword) and found.password == password.encode()
        return AuthResult(success=good, handled=good)  # Else it is left to the server to refuse.

    settings: dict[str, Any] = {}
    if tls is not None:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(*tls)
        settings = {"tls_context": context, "require_starttls": True}
    if password:
        settings |= {"authenticator": authenticate, "auth_required": True}
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()

    spoken: list[SMTP] = []

    def made() -> SMTP:
        spoken.append(SMTP(mail, hostname="mail.example", loop=loop, **settings))
        return spoken[-1]

    async def listen() -> asyncio.Server:
        return await loop.create_server(made, "127.0.0.1", 0)

    async def end(server: asyncio.Server) -> None:
        """With whoever is connected still: a socket left open fails whichever test runs when it is collected."""
        server.close()
        for one in spoken:
            if isinstance(one.transport, asyncio.Transport):
                one.transport.abort()
        speaking = asyncio.all_tasks() - {asyncio.current_task()}
        for task in speaking:
            task.cancel()
        await asyncio.gather(*speaking, return_exceptions=True)

    server = asyncio.run_coroutine_threadsafe(listen(), loop).result(DEADLINE_S)
    try:
        mail.port = server.sockets[0].getsockname()[1]
        yield mail
    finally:
        asyncio.run_coroutine_threadsafe(end(server), loop).result(DEADLINE_S)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(DEADLINE_S)
        loop.close()
