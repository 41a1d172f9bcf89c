"""What the link accepts from its configuration and from the other end."""

from __future__ import annotations

import asyncio
import json
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.config.tables import Uplink as UplinkConfig
from edge.contract.block import encode_block
from edge.contract.types import Ack, Key, Lane
from edge.errors import ConfigError
from edge.ports import LinkDown, StoredBlock
from edge.uplink import HttpLink
from edge.uplink.http import parse_answer, read_token

EPOCH = "0" * 32


def token_file(folder: Path, text: str = "secret\n", mode: int = 0o600) -> Path:
    path = folder / "token"
    path.write_text(text)
    path.chmod(mode)
    return path


def block() -> StoredBlock:
    key = Key("gw-1", EPOCH, 1)
    data = encode_block(key, boot=EPOCH, lane=Lane.TELEMETRY, sealed_ns=1, batches=[], records=[])
    return StoredBlock(1, Lane.TELEMETRY, 0, data)


def test_a_token_is_one_line_that_nobody_else_may_read(tmp_path: Path) -> None:
    assert read_token(token_file(tmp_path)) == "secret"


@pytest.mark.parametrize(
    ("text", "mode", "words"),
    [
        ("secret", 0o640, r"others may read it \(mode 0640\) \(chmod 600 "),
        ("secret", 0o604, "others may read it"),
        ("", 0o600, "holds no token"),
        ("two words", 0o600, "holds no token"),
        ("sécret", 0o600, "holds no token"),
        ("x" * 5000, 0o600, "holds no token"),
    ],
)
def test_a_token_that_cannot_be_used_is_one_error(tmp_path: Path, text: str, mode: int, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        read_token(token_file(tmp_path, text, mode))


def test_a_missing_token_names_its_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent: cannot be read: No such file"):
        read_token(tmp_path / "absent")


@pytest.mark.parametrize("url", ["", "fleet.example", "ftp://fleet.example", "http://", "http://[::1"])
def test_an_address_that_is_none_is_one_error(tmp_path: Path, url: str) -> None:
    token = token_file(tmp_path)
    with pytest.raises(ConfigError, match=r"uplink.url"):
        HttpLink(UplinkConfig(url=url, token_file="token"), token_file=token, gateway="gw-1")  # noqa: S106


def test_an_answer_is_read_strictly() -> None:
    answer = {"epoch": EPOCH, "through": 7, "also": [9, 11], "refused": [[8, "altered"]], "more": "of a later version"}
    assert parse_answer(json.dumps(answer).encode()) == Ack(EPOCH, 7, (9, 11), ((8, "altered"),))


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{}", '{"epoch": "%s"}', '{"epoch": "%s", "through": -1}', '{"epoch": "%s", "through": 1.5}',
        '{"epoch": "%s", "through": true}', '{"epoch": "XY", "through": 1}',
        '{"epoch": "%s", "through": 9223372036854775808}',
        '{"epoch": "%s", "through": 1, "also": [-1]}', '{"epoch": "%s", "through": 1, "also": "9"}',
        '{"epoch": "%s", "through": 1, "refused": [[1]]}', '{"epoch": "%s", "through": 1, "refused": [[1, 2]]}',
    ],
)  # fmt: skip
def test_an_answer_that_is_no_acknowledgement_moves_nothing(text: str) -> None:
    with pytest.raises(LinkDown):
        parse_answer(text.replace("%s", EPOCH).encode())


@given(st.binary(max_size=200))
def test_whatever_bytes_come_they_are_an_acknowledgement_or_a_link_that_is_down(data: bytes) -> None:
    try:
        ack = parse_answer(data)
    except LinkDown:
        return
    assert len(ack.epoch) == 32


def test_nobody_at_the_address_is_a_link_that_is_down(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"

        async def scenario() -> None:
            config = UplinkConfig(url=url, token_file="token")  # noqa: S106
            link = HttpLink(config, token_file=token_file(tmp_path), gateway="gw-1")
            with pytest.raises(LinkDown) as caught:
                await link.send([block()], live=True, oldest=1, backlog_blocks=1, backlog_readings=0)
            assert str(caught.value)
            await link.close()

        asyncio.run(scenario())
