"""A UDP socket that can send to everybody."""

from __future__ import annotations

import socket

from edge.errors import LineError


def bound(address: tuple[str, int], *, shared: bool, hint: str) -> socket.socket:
    """A bound, non-blocking socket, where ``shared`` beside those of other programs. Raises ``LineError``."""
    one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        one.setblocking(False)
        one.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        if shared:
            one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        one.bind(address)
    except OSError as error:
        one.close()
        raise LineError(f"{address[0]}:{address[1]}", f"cannot be bound: {error.strerror}", hint) from error
    return one
