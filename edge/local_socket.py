"""A question and an answer, as JSON lines over a Unix socket: how the command line asks a running plant or gateway.

The socket is made with mode 0600: whoever may read the process's files may ask it. A request is one line
``{"command": name, ...arguments}``; the answer is one line, ``{"error": text}`` where it cannot be done. Numbers that
are none (NaN, infinity) are null in it.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

from edge.errors import BabbittError
from edge.stand_in import answers_at, bound_at, is_answered

LINE_BYTES_MAX = 1024 * 1024
ANSWER_TIMEOUT_S = 5.0
_UNKNOWN = "unknown command"
_STARTED = ("gateway", "plant")
"""What a person starts by ``babbitt NAME run``."""

Answer = dict[str, Any]
Handler = Callable[..., Answer] | Callable[..., Awaitable[Answer]]


class UnknownCommandError(BabbittError):
    """What answers was asked for something that it has not."""


@contextlib.asynccontextmanager
async def answering(path: Path, handlers: dict[str, Handler]) -> AsyncIterator[None]:
    """Answer at ``path`` while the context lasts. A stale socket of a process that is gone is replaced.

    Where its folder takes no socket, in the folder's stand-in, where ``ask`` finds it too. Raises ``BabbittError``
    where another process answers there already, or where no socket can be made.
    """
    if is_alive(path):
        raise BabbittError(str(path), "another process answers here", "stop it, or name another folder")

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # Whatever breaks in a handler, whoever asked is not left waiting.
        with contextlib.closing(writer), contextlib.suppress(ConnectionError, TimeoutError, ValueError):
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                line = await reader.readline()
            # Not by the standard library: it takes 20 ms for half a megabyte, in which nothing else is done.
            writer.write(msgspec.json.encode(await _dispatch(line, handlers)) + b"\n")
            async with asyncio.timeout(ANSWER_TIMEOUT_S):
                await writer.drain()

    listener, place = bound_at(path)
    server = await asyncio.start_unix_server(answer, sock=listener, limit=LINE_BYTES_MAX)
    try:
        yield
    finally:
        # In this order: once nobody listens here, the next one may have put its own there.
        place.unlink(missing_ok=True)
        server.close()


def ask(path: Path, command: str, *, within_s: float = ANSWER_TIMEOUT_S, **arguments: Any) -> Answer:
    """Ask the process that answers at ``path``, a file named as it is: gateway.sock, plant.sock.

    Raises ``BabbittError`` where none does, or where it refuses.
    """
    try:
        with socket.socket(socket.AF_UNIX) as connection:
            connection.settimeout(within_s)
            connection.connect(str(answers_at(path)))
            connection.sendall(_question(command, arguments))
            with connection.makefile("rb") as stream:
                return _answer_of(path, command, stream.readline(LINE_BYTES_MAX))
    except (OSError, ValueError) as error:
        raise _nobody(path, error) from error


async def asked(
    path: Path, command: str, *, within_s: float = ANSWER_TIMEOUT_S, bytes_max: int = LINE_BYTES_MAX, **arguments: Any
) -> Answer:
    """``ask`` for who has other things to do meanwhile. ``within_s`` is for the whole, however slowly it comes."""
    try:
        async with asyncio.timeout(within_s):
            reader, writer = await asyncio.open_unix_connection(answers_at(path), limit=bytes_max)
            with contextlib.closing(writer):
                writer.write(_question(command, arguments))
                return _answer_of(path, command, await reader.readline())
    except TimeoutError as error:
        raise BabbittError(str(path), f"no answer to {command!r} within {within_s:g} s", "its log says why") from error
    except (OSError, ValueError) as error:
        raise _nobody(path, error) from error


def _question(command: str, arguments: dict[str, Any]) -> bytes:
    return json.dumps({"command": command, **arguments}).encode() + b"\n"


def _answer_of(path: Path, command: str, line: bytes) -> Answer:
    if not line:
        raise BabbittError(str(path), f"no answer to {command!r}", "its log says why")
    answer = json.loads(line)
    if str(answer.get("error", "")).startswith(_UNKNOWN):
        hint = "it was started before the site file asked for it, or is another version: start it anew"
        raise UnknownCommandError(str(path), f"what runs there does not know {command!r}", hint)
    if "error" in answer:
        raise BabbittError(path.stem, str(answer["error"]))
    assert isinstance(answer, dict)
    return answer


def _nobody(path: Path, error: Exception) -> BabbittError:
    if isinstance(error, PermissionError):
        return BabbittError(str(path), "may not be asked by this user", "ask as the user whose process it is")
    why = "" if isinstance(error, FileNotFoundError | ConnectionRefusedError) else f": {error}"
    start = f" `babbitt {path.stem} run` starts it" if path.stem in _STARTED else ""
    return BabbittError(str(path), f"nobody answers{why}", f"is it running, with this site file?{start}")


def is_alive(path: Path) -> bool:
    """Whether a process answers that is to be found at ``path``."""
    return is_answered(answers_at(path))


async def _dispatch(line: bytes, handlers: dict[str, Handler]) -> Answer:
    try:
        request = json.loads(line)
        handler = handlers.get(request.pop("command", ""))
        if handler is None:
            return {"error": f"{_UNKNOWN}; known: {', '.join(sorted(handlers))}"}
        answer = handler(**request)
        return answer if isinstance(answer, dict) else await answer
    except (ValueError, TypeError, AttributeError) as error:
        return {"error": f"bad request: {error}"}
    except BabbittError as error:
        return {"error": str(error)}
