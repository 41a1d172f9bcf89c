"""What a terminal says of a trial whose gateway is killed."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import pytest

from edge.cli import trial
from edge.errors import BabbittError


def test_a_gateway_that_is_being_killed_has_ended_though_its_socket_still_listens(tmp_path: Path) -> None:
    """What it has open is closed one after the other, and the machine may be busy with others in between."""
    path = tmp_path / "gateway.sock"
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(path))
    listening.listen()

    def killed() -> None:
        listening.accept()[0].close()
        closing.start()

    closing = threading.Timer(0.3, listening.close)
    killing = threading.Thread(target=killed)
    killing.start()
    with pytest.raises(BabbittError, match="the gateway ended amid the trial"):
        trial._asked(path, "trial")
    killing.join()
    closing.join()
