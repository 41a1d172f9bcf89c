"""The foreign peer of the commissioning tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.peers import modbus_peers as peers


@pytest.fixture(scope="session")
def libmodbus_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return peers.compiled(tmp_path_factory.mktemp("libmodbus"))
