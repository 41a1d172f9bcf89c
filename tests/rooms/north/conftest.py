"""Servers take seconds to start: tests that do not stop them share two."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.rooms.north.hosted import Hosted


@pytest.fixture(scope="session")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """As it is by default."""
    hosted = Hosted(tmp_path_factory.mktemp("strict"))
    yield hosted
    assert hosted.close() == 0


@pytest.fixture(scope="session")
def lenient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosted]:
    """With all that must be allowed expressly: plain channels, anonymous readers, and a contract for one tag."""
    config = 'security = ["none", "sign", "sign-and-encrypt"]\nanonymous = true\nsessions_max = 4\nitems_max = 20'
    hosted = Hosted(tmp_path_factory.mktemp("lenient"), config, allow="tank-1/pump_speed")
    yield hosted
    assert hosted.close() == 0
