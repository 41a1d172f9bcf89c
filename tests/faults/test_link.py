"""The link of the fault rounds leaves nothing open, whoever comes in the moment in which it goes."""

from __future__ import annotations

import gc
import random
import socket
import sys
import time
from contextlib import ExitStack

import pytest

from tests.faults.link import Link
from tests.seeds import fresh_seed


def test_whoever_comes_while_it_closes_is_not_left_open(monkeypatch: pytest.MonkeyPatch) -> None:
    chance, left = random.Random(fresh_seed()), list[str]()
    monkeypatch.setattr(sys, "unraisablehook", lambda told: left.append(str(told.exc_value)))
    with ExitStack() as open_ones:
        target = open_ones.enter_context(socket.create_server(("127.0.0.1", 0), backlog=500))
        for _ in range(60):
            link = Link(target.getsockname()[1], seed=7)
            for _ in range(3):
                open_ones.enter_context(socket.create_connection(("127.0.0.1", link.port)))
            time.sleep(chance.random() * 0.002)
            link.close()
        del link
        gc.collect()
    assert left == []
