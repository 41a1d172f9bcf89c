"""The ``Link`` port over HTTP: one request carries many blocks, its answer says what is held for good.

Survives: a receiver that is away, slow, busy (it says how long to wait) or that answers nonsense; all of these are
``LinkDown``. ``Refused`` is the receiver's own word that it will not take these bytes. A proxy's error page is
not the receiver's word: blocks are never given up for one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec

from edge.config.tables import Uplink as UplinkConfig
from edge.contract import exchange
from edge.contract.block import pack_frames, peek
from edge.contract.types import Ack
from edge.deferred import without
from edge.errors import ConfigError
from edge.ports import Hint, LinkDown, StoredBlock
from edge.uplink.answers import error_text, read_body, words_of
from edge.uplink.desk import HttpDesk

if TYPE_CHECKING:
    import httpx

CONNECTIONS_MAX = 3
"""One a lane, and one to ask: a large request of the backlog never stands before a live one."""
DICTIONARIES_KNOWN_MAX = 64
CONTENT_TYPE = "application/vnd.babbitt.blocks"
ANSWER_BYTES_MAX = 256 * 1024
RETRY_AFTER_S_MAX = 3600.0
TOKEN_BYTES_MAX = 4096
ISSUED_CHARS_MAX = 40
REFUSING = frozenset({400, 413})

Seq = Annotated[int, msgspec.Meta(ge=0, le=2**63 - 1)]
Why = Annotated[str, msgspec.Meta(max_length=1000)]


Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]


class Refused(LinkDown):
    """The receiver will not take this request. It may take a smaller one."""


class Answer(msgspec.Struct, frozen=True):
    """What the receiver says of a request that it took."""

    epoch: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    through: Seq
    also: Annotated[list[Seq], msgspec.Meta(max_length=20_000)] = []
    refused: Annotated[list[tuple[Seq, Why]], msgspec.Meta(max_length=20_000)] = []
    wants: Annotated[list[Digest], msgspec.Meta(max_length=20_000)] = []


class HttpLink:
    """Blocks to ``{url}/api/v1/blocks``. Keeps its connections; the environment's proxies are not used.

    A dictionary goes up with the first request that needs it and is known from the answer on, until the link fails or
    the receiver asks for it again.
    """

    def __init__(self, uplink: UplinkConfig, *, token_file: Path, gateway: str) -> None:
        """Raises ``ConfigError`` where the token or the address cannot be used."""
        # Only a gateway that has an uplink pays for it, and none for its own command line: 5 MB.
        with without("click"):
            import httpx

        self._timeout_s = uplink.timeout_s
        self._known: set[bytes] = set()
        self._hint = Hint()
        self._url = uplink.url.rstrip("/") + "/api/v1/blocks"
        self._identity = {
            "Authorization": f"Bearer {read_token(token_file)}",
            "Babbitt-Gateway": gateway,
            "Accept-Encoding": "identity",
        }
        self._headers = self._identity | {"Content-Type": CONTENT_TYPE, "Accept": "application/json"}
        try:
            parsed = httpx.URL(self._url)
        except httpx.InvalidURL as error:
            raise ConfigError("uplink.url", f"{uplink.url!r} is no address: {error}") from error
        if parsed.scheme not in ("http", "https") or not parsed.host:
            raise ConfigError("uplink.url", f"{uplink.url!r} is no address", "for example https://fleet.example:8443")
        self._client = httpx.AsyncClient(
            # Plain HTTP needs no certificates, and loading them costs memory and time.
            verify=parsed.scheme == "https",
            timeout=httpx.Timeout(uplink.timeout_s),
            limits=httpx.Limits(
                max_connections=CONNECTIONS_MAX, max_keepalive_connections=CONNECTIONS_MAX, keepalive_expiry=60.0
            ),
            follow_redirects=False,
            trust_env=False,
        )

    def desk(self) -> HttpDesk:
        """Where the same receiver is asked what it wants, by the same client."""
        base = self._url.removesuffix("/blocks")
        return HttpDesk(self._client, base, self._identity, timeout_s=self._timeout_s, hint=lambda: self._hint)

    async def send(
        self, blocks: Sequence[StoredBlock], *, live: bool, oldest: int, backlog_blocks: int, backlog_readings: int
    ) -> Ack:
        """Post ``blocks`` in one request. Raises ``LinkDown``, or ``Refused``, within the configured timeout."""
        assert blocks
        headers = self._headers | {
            "Babbitt-Epoch": peek(blocks[0].data).key.epoch,
            "Babbitt-Oldest": str(oldest),
            "Babbitt-Lane": "live" if live else "backlog",
            "Babbitt-Backlog-Blocks": str(backlog_blocks),
            "Babbitt-Backlog-Readings": str(backlog_readings),
        }
        dictionaries = dict.fromkeys(block.dictionary for block in blocks if block.dictionary)
        new = [dictionary for dictionary in dictionaries if dictionary not in self._known]
        try:
            ack = await self._post(pack_frames([*new, *(block.data for block in blocks)]), headers)
        except LinkDown:
            self._known.clear()
            raise
        self._remember(new, again=bool(ack.wants))
        return ack

    async def _post(self, body: bytes, headers: dict[str, str]) -> Ack:
        import httpx

        headers = headers | {exchange.HEADER: exchange.digest_of(headers, body)}
        try:
            async with (
                asyncio.timeout(self._timeout_s),
                self._client.stream("POST", self._url, content=body, headers=headers) as response,
            ):
                answer = await read_body(response, ANSWER_BYTES_MAX)
        except TimeoutError as error:
            raise LinkDown(f"no answer within {self._timeout_s:g} s") from error
        except httpx.HTTPError as error:
            raise LinkDown(words_of(error)) from error
        if response.headers.get(exchange.HEADER, exchange.digest_of({}, answer)) != exchange.digest_of({}, answer):
            raise LinkDown("the answer was altered on the way")
        if response.status_code != 200:
            raise _refusal(response, answer)
        ack = parse_answer(answer)
        self._hint = Hint(response.headers.get(exchange.ISSUED, "")[:ISSUED_CHARS_MAX], self._hint.answers + 1)
        return ack

    def _remember(self, told: Sequence[bytes], *, again: bool) -> None:
        """The receiver has seen these dictionaries; ``again``: it lacks one, so each goes once more where needed."""
        if again or len(self._known) + len(told) > DICTIONARIES_KNOWN_MAX:
            self._known.clear()
        if not again:
            self._known.update(told)

    async def close(self) -> None:
        await self._client.aclose()


def read_token(path: Path) -> str:
    """The gateway's token. Raises ``ConfigError`` where the file is missing, open to others, or holds none."""
    where = f"uplink.token_file: {path}"
    try:
        mode = path.stat().st_mode
        data = path.read_bytes()[: TOKEN_BYTES_MAX + 1]
    except OSError as error:
        hint = "put this gateway's token there (`babbitt cloud token` makes one), or leave out [uplink]"
        raise ConfigError(where, f"cannot be read: {error.strerror}", hint) from error
    if mode & 0o077:
        raise ConfigError(where, f"others may read it (mode {mode & 0o777:04o})", f"chmod 600 {path}")
    token = data.strip()
    if not token or len(data) > TOKEN_BYTES_MAX or not all(0x21 <= byte <= 0x7E for byte in token):
        raise ConfigError(where, "holds no token", "one line of printable ASCII, as the receiver gave it")
    return token.decode("ascii")


def parse_answer(data: bytes) -> Ack:
    """The receiver's acknowledgement, strictly. Raises ``LinkDown`` for anything else."""
    try:
        answer = msgspec.json.decode(data, type=Answer)
    except msgspec.DecodeError as error:
        raise LinkDown(f"the answer is not the receiver's: {error}") from error
    return Ack(answer.epoch, answer.through, tuple(answer.also), tuple(answer.refused), tuple(answer.wants))


def _refusal(response: httpx.Response, answer: bytes) -> LinkDown:
    """What a status other than 200 means. Only the receiver's own errors are JSON with an ``error``."""
    status = response.status_code
    said = error_text(answer)
    reason = f"{status} {response.reason_phrase}" + (f": {said}" if said else "")
    if status in REFUSING and said:
        return Refused(reason)
    return LinkDown(reason, retry_after_s=_retry_after_s(response.headers.get("Retry-After", "")))


def _retry_after_s(header: str) -> float | None:
    """Seconds only: a date means nothing on a machine whose clock may be wrong."""
    return min(float(header), RETRY_AFTER_S_MAX) if header.isascii() and header.isdigit() else None
