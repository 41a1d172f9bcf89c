"""The ways to people and machines: each takes one batch, or says why not and whether to try again."""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import json
import re
import smtplib
import ssl
import time
from collections.abc import Callable
from datetime import UTC, datetime, tzinfo
from email.headerregistry import Address as Mailbox
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Protocol

import httpx

from cloud.notify import words
from cloud.notify.config import Settings, Smtp, Webhook
from cloud.notify.outbox import Batch
from edge.errors import ConfigError

SECRET_PREFIX = "whsec_"  # noqa: S105 - how the specification marks secrets, none itself
SECRET_BYTES_MIN = 24


class NotDeliveredError(Exception):
    """It was not taken. ``for_good``: trying again is in vain."""

    def __init__(self, problem: str, *, for_good: bool = False) -> None:
        self.for_good = for_good
        super().__init__(problem)


class Channel(Protocol):
    """``gathers``: several incidents go out as one message, and only so many an hour."""

    gathers: bool

    async def send(self, batch: Batch) -> None:
        """Returns once the other side has taken it. Raises ``NotDeliveredError`` in time."""

    async def close(self) -> None: ...


def message_id(batch: Batch) -> str:
    """The same for every try, so that whoever gets it twice can tell."""
    return f"babbitt-{batch.made_ns}-{batch.number}"


class Email:
    """By SMTP, in a thread: one connection a message."""

    gathers = True

    def __init__(self, settings: Settings, smtp: Smtp) -> None:
        """Raises ``ConfigError`` for a password or an authority that cannot be read."""
        self._smtp, self._page, self._zone = smtp, settings.file.page, settings.zone
        self._password = settings.secret(smtp.password_file) if smtp.password_file else ""
        self._tls = context(settings, smtp.ca)

    async def send(self, batch: Batch) -> None:
        await asyncio.to_thread(self._send, email_of(batch, self._smtp.sender, page=self._page, zone=self._zone))

    def _send(self, message: EmailMessage) -> None:
        smtp = self._smtp
        try:
            with self._connection() as server:
                if smtp.security == "starttls":
                    self._start_tls(server)
                if smtp.user:
                    server.login(smtp.user, self._password)
                server.send_message(message)
        except smtplib.SMTPRecipientsRefused as error:
            code, said = next(iter(error.recipients.values()))
            raise _refused(code, _text(said), before="refused: ") from error
        except smtplib.SMTPDataError as error:
            raise _refused(error.smtp_code, _text(error.smtp_error)) from error
        except smtplib.SMTPResponseException as error:  # Of connection, login or sender: for a person to mend.
            raise NotDeliveredError(f"{error.smtp_code} {_text(error.smtp_error)}") from error
        except (smtplib.SMTPException, OSError) as error:
            raise NotDeliveredError(f"{smtp.host}:{smtp.port}: {error}") from error

    def _start_tls(self, server: smtplib.SMTP) -> None:
        try:
            server.starttls(context=self._tls)
        except smtplib.SMTPNotSupportedError as error:
            smtp = self._smtp
            hint = '`smtp.security` "tls" for port 465, "none" for a server on this machine'
            raise NotDeliveredError(f"{smtp.host}:{smtp.port}: offers no STARTTLS ({hint})") from error

    def _connection(self) -> smtplib.SMTP:
        smtp = self._smtp
        if smtp.security == "tls":
            return smtplib.SMTP_SSL(smtp.host, smtp.port, timeout=smtp.timeout_s, context=self._tls)
        return smtplib.SMTP(smtp.host, smtp.port, timeout=smtp.timeout_s)

    async def close(self) -> None:
        """Nothing stays open."""


def _refused(code: int, text: str, *, before: str = "") -> NotDeliveredError:
    return NotDeliveredError(f"{before}{code} {text}", for_good=no_such_mailbox(code, text))


def no_such_mailbox(code: int, text: str) -> bool:
    """Whether a mail server's answer means that the recipient will never get mail there (RFC 5321, 4.2.3; RFC 3463).

    All other refusals somebody may mend: authentication and policy (530, 535, 554, X.7), a mailbox that is full (552,
    X.2.2), the sender, or the server itself.
    """
    if (enhanced := _ENHANCED.match(text)) is not None:
        return code >= 500 and enhanced[1] in _NO_MAILBOX
    return code in (550, 551, 553, 556)


_ENHANCED = re.compile(r"\s*5\.(\d{1,3}\.\d{1,3})\b")
_NO_MAILBOX = {"1.0", "1.1", "1.2", "1.3", "1.6", "1.10", "2.1"}
"""Bad, unknown or moved mailbox; no such host, or one that takes no mail (RFC 7505); a mailbox that is disabled."""


def email_of(batch: Batch, sender: str, *, page: str, zone: tzinfo) -> EmailMessage:
    said = words.sorted_by_weight(batch.said)
    message = EmailMessage()
    message["From"] = Mailbox("Babbitt", addr_spec=sender)
    message["To"] = Mailbox(batch.address.name, addr_spec=batch.address.to)
    message["Subject"] = words.subject(said)
    message["Date"] = format_datetime(datetime.fromtimestamp(batch.made_ns / 1e9, UTC))
    message["Message-ID"] = f"<{message_id(batch)}@{sender.rpartition('@')[2]}>"
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(words.body(said, page=page, zone=zone))
    return message


class Hook:
    """By POST, signed after the Standard Webhooks specification (webhook-id, webhook-timestamp, webhook-signature)."""

    gathers = True

    def __init__(self, settings: Settings, hook: Webhook, *, now_s: Callable[[], float] = time.time) -> None:
        """Raises ``ConfigError`` for a secret that is none."""
        self._hook, self._page, self._now_s = hook, settings.file.page, now_s
        # Many services put a secret into the address: neither a log nor a list of what was said may hold it.
        self._where = httpx.URL(hook.url).host
        self._secret = secret_of(settings.secret(hook.secret_file), str(settings.resolve(hook.secret_file)))
        self._client = httpx.AsyncClient(
            verify=context(settings, hook.ca), timeout=hook.timeout_s, follow_redirects=False, trust_env=False
        )

    async def send(self, batch: Batch) -> None:
        alarms = [words.plain(kind, one, page=self._page) for kind, one in words.sorted_by_weight(batch.said)]
        whole = {"type": "babbitt.alarms", "timestamp": _iso(batch.made_ns), "data": {"alarms": alarms}}
        body = json.dumps(whole, separators=(",", ":")).encode()
        stamp = str(int(self._now_s()))
        headers = {
            "Content-Type": "application/json", "webhook-id": message_id(batch), "webhook-timestamp": stamp,
            "webhook-signature": signature(self._secret, message_id(batch), stamp, body),
        }  # fmt: skip
        try:
            async with asyncio.timeout(2 * self._hook.timeout_s):
                async with self._client.stream("POST", self._hook.url, content=body, headers=headers) as answer:
                    status = answer.status_code
        except (httpx.HTTPError, TimeoutError) as error:
            raise NotDeliveredError(f"{self._where}: {error or type(error).__name__}") from error
        if not 200 <= status < 300:
            raise NotDeliveredError(f"{self._where} answers {status}", for_good=status == 410)

    async def close(self) -> None:
        await self._client.aclose()


def signature(secret: bytes, number: str, stamp: str, body: bytes) -> str:
    """``v1,`` and HMAC-SHA256 of ``id.timestamp.body`` in base64 (Standard Webhooks, version 1)."""
    signed = number.encode() + b"." + stamp.encode() + b"." + body
    return "v1," + base64.b64encode(hmac.digest(secret, signed, hashlib.sha256)).decode()


def secret_of(text: str, where: str) -> bytes:
    """The bytes of ``whsec_`` and base64. Raises ``ConfigError``."""
    try:
        secret = base64.b64decode(text.removeprefix(SECRET_PREFIX), validate=True)
    except binascii.Error:
        secret = b""
    if not text.startswith(SECRET_PREFIX) or len(secret) < SECRET_BYTES_MIN:
        hint = "make one with `babbitt cloud notify secret FILE`"
        raise ConfigError(where, f"wants {SECRET_PREFIX} and at least {SECRET_BYTES_MIN} bytes in base64", hint)
    return secret


def context(settings: Settings, ca: str) -> ssl.SSLContext:
    """How to speak TLS, believing ``ca`` where it is named. Raises ``ConfigError``."""
    try:
        made = ssl.create_default_context(cafile=str(settings.resolve(ca)) if ca else None)
    except OSError as error:
        raise ConfigError(str(settings.resolve(ca)), f"cannot be used: {error}", "name a PEM file") from error
    made.minimum_version = ssl.TLSVersion.TLSv1_2
    return made


def _text(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join(text.split())


def _iso(at_ns: int) -> str:
    return datetime.fromtimestamp(at_ns / 1e9, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
