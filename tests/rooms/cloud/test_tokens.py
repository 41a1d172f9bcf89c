"""Tokens: made once, kept as hashes in a file that only its owner reads."""

from __future__ import annotations

from pathlib import Path

import pytest

from cloud.ingest.tokens import Tokens, make, read, write_secret
from edge.errors import ConfigError


def test_a_token_is_kept_as_its_hash_in_a_private_file(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = make(path, "gateway-1")
    assert path.stat().st_mode & 0o777 == 0o600
    assert token not in path.read_text()
    assert Tokens(path).owner(token, "gateway-1") == "gateway-1"
    assert Tokens(path).owner(token, "another") == "gateway-1"
    assert Tokens(path).owner(token + "x", "gateway-1") is None
    assert Tokens(path).owner("", "gateway-1") is None


def test_a_gateway_may_have_two_tokens_while_one_replaces_the_other(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    old = make(path, "gateway-1")
    tokens = Tokens(path)
    new = make(path, "gateway-1")
    assert tokens.owner(old, "gateway-1") == tokens.owner(new, "gateway-1") == "gateway-1"
    path.write_text(path.read_text().splitlines()[1] + "\n")
    assert tokens.owner(old, "gateway-1") is None
    assert tokens.owner(new, "gateway-1") == "gateway-1"


def test_a_file_whose_last_line_has_no_end_takes_another_token(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    first = make(path, "gateway-1")
    path.write_text(path.read_text().rstrip())
    second = make(path, "gateway-2")
    tokens = Tokens(path)
    assert (tokens.owner(first, "gateway-1"), tokens.owner(second, "gateway-2")) == ("gateway-1", "gateway-2")


def test_a_file_that_goes_bad_while_running_leaves_the_tokens_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "tokens"
    token = make(path, "gateway-1")
    tokens = Tokens(path)
    path.write_text("half a li")
    assert tokens.owner(token, "gateway-1") == "gateway-1"
    path.unlink()
    assert tokens.owner(token, "gateway-1") == "gateway-1"


@pytest.mark.parametrize(
    ("text", "mode", "said"),
    [
        (None, 0, "no tokens file"),
        ("gateway-1 " + "a" * 64, 0o644, "others may read it"),
        ("gateway-1 secret", 0o600, "tokens:1: wants"),
        ("# fine\n\n../x " + "a" * 64, 0o600, "tokens:3: wants"),
    ],
)
def test_a_wrong_file_says_what_to_do(tmp_path: Path, text: str | None, mode: int, said: str) -> None:
    path = tmp_path / "tokens"
    if text is not None:
        path.write_text(text)
        path.chmod(mode)
    with pytest.raises(ConfigError, match=said) as caught:
        read(path)
    assert caught.value.hint


def test_a_gateway_id_that_could_not_be_one_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is no gateway id"):
        make(tmp_path / "tokens", "two words")


def test_a_token_never_overwrites_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    write_secret(path, "first")
    assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="exists already"):
        write_secret(path, "second")
    assert path.read_text() == "first\n"
