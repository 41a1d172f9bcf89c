"""What gateway and panel tell each other over a Unix socket: frames of msgpack, each behind its length.

msgpack and not JSON, for a value that is no number must travel too. A frame is bounded both ways; whatever is no frame
of this version ends the connection.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import replace

import msgspec

from edge.config.panel import Panel as PanelConfig
from edge.panel.state import PanelState

VERSION = 2
FRAME_BYTES_MAX = 4 * 1024 * 1024
ALARMS_MAX = 1000
"""Of a state too large for a frame so many alarms are told, which come by priority, and no verdicts."""
_HEAD = struct.Struct(">I")


class Hello(msgspec.Struct, frozen=True, tag=True):
    """A gateway's first word. A panel of another version or configuration ends, so that it is started as it should."""

    gateway: str
    panel: PanelConfig
    version: int = VERSION


class Told(msgspec.Struct, frozen=True, tag=True):
    """The heartbeat: what stands, and in ``trouble`` why nobody watches, empty while polls become alarms."""

    state: PanelState
    trouble: str = ""


class Goodbye(msgspec.Struct, frozen=True, tag=True):
    """The gateway ends as it should."""


class Here(msgspec.Struct, frozen=True, tag=True):
    """A panel's answer to ``Hello``. One ``of_gateway`` was started by a gateway, and ends with its goodbye."""

    pid: int
    of_gateway: bool
    version: int = VERSION


class Shown(msgspec.Struct, frozen=True, tag=True):
    """What was told is shown, but for what the panel's ``trouble`` keeps from it."""

    trouble: tuple[str, ...] = ()


class Acknowledged(msgspec.Struct, frozen=True, tag=True):
    """Somebody at the panel has seen the alarm ``rule`` of ``asset``."""

    asset: str
    rule: str


class Reset(msgspec.Struct, frozen=True, tag=True):
    """Somebody at the panel ends the latched alarm ``rule`` of ``asset``, which is acknowledged."""

    asset: str
    rule: str


ToPanel = Hello | Told | Goodbye
ToGateway = Here | Shown | Acknowledged | Reset

_encoder = msgspec.msgpack.Encoder()
_to_panel: msgspec.msgpack.Decoder[ToPanel] = msgspec.msgpack.Decoder(ToPanel)
_to_gateway: msgspec.msgpack.Decoder[ToGateway] = msgspec.msgpack.Decoder(ToGateway)


def frame(message: ToPanel | ToGateway) -> bytes:
    """``message`` as it goes over the wire; a state that is too large is told shorter."""
    data = _encoder.encode(message)
    if len(data) > FRAME_BYTES_MAX and isinstance(message, Told):
        state = replace(message.state, alarms=message.state.alarms[:ALARMS_MAX], verdicts={}, records={})
        data = _encoder.encode(Told(state, message.trouble))
    return _HEAD.pack(len(data)) + data


def to_panel(data: bytes) -> ToPanel:
    """Raises ``ValueError`` for what no gateway of this version says."""
    return _to_panel.decode(data)


def to_gateway(data: bytes) -> ToGateway:
    """Raises ``ValueError`` for what no panel of this version says."""
    return _to_gateway.decode(data)


class Frames:
    """Puts frames together again from whatever pieces they came in."""

    def __init__(self) -> None:
        self._left = bytearray()

    def feed(self, data: bytes) -> Iterator[bytes]:
        """The frames that ``data`` completes. Raises ``ValueError`` for one that is too long."""
        self._left += data
        while len(self._left) >= _HEAD.size:
            (length,) = _HEAD.unpack_from(self._left)
            if length > FRAME_BYTES_MAX:
                raise ValueError(f"a frame of {length} bytes")
            if len(self._left) < _HEAD.size + length:
                return
            found = bytes(self._left[_HEAD.size : _HEAD.size + length])
            del self._left[: _HEAD.size + length]
            yield found
