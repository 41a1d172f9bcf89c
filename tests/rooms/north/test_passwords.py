"""The file of users: who is in it gets in by their password and by nothing else."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from edge.errors import ConfigError
from edge.north.passwords import Users, read_users, set_password

RIGHT = "correct horse"


def test_a_password_is_right_or_wrong(tmp_path: Path) -> None:
    path = tmp_path / "users"
    users = Users(path)
    assert not users.verify("ada", RIGHT), "there is no file yet"
    assert set_password(path, "ada", RIGHT)
    assert set_password(path, "bob", "another one")
    assert users.verify("ada", RIGHT)
    assert len(users) == 2
    for name, password in (("ada", "another one"), ("ada", ""), ("eve", RIGHT), ("", ""), ("ada", RIGHT + "x")):
        assert not users.verify(name, password)
    assert not set_password(path, "ada", "a newer one")
    assert users.verify("ada", "a newer one")
    assert not users.verify("ada", RIGHT)


def test_a_password_that_was_changed_within_the_clocks_tick_is_the_new_one(tmp_path: Path) -> None:
    """Two files of the same size and time: a file system's clock ticks every few milliseconds, or every second."""
    path = tmp_path / "users"
    set_password(path, "ada", RIGHT)
    users, stamp = Users(path), path.stat()
    set_password(path, "ada", "a newer one")
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    assert path.stat().st_size == stamp.st_size
    assert users.verify("ada", "a newer one")
    assert not users.verify("ada", RIGHT)


def test_the_file_says_no_password_and_is_its_owners_alone(tmp_path: Path) -> None:
    path = tmp_path / "deep/users"
    set_password(path, "ada", RIGHT)
    set_password(path, "bob", RIGHT)
    assert RIGHT not in path.read_text()
    assert path.stat().st_mode & 0o777 == 0o600
    (ada, bob) = read_users(path).values()
    assert ada != bob, "each has a salt of its own"
    assert [p.name for p in path.parent.iterdir()] == ["users"]


@pytest.mark.parametrize("name", ["", "a:b", "ada\n", " ada", "x" * 64, "ä"])
def test_names_that_are_none(tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="not a user's name"):
        set_password(tmp_path / "users", name, RIGHT)


@pytest.mark.parametrize("password", ["", "short", "x" * 257])
def test_passwords_that_are_none(tmp_path: Path, password: str) -> None:
    with pytest.raises(ConfigError, match="characters"):
        set_password(tmp_path / "users", "ada", password)


@pytest.mark.parametrize(
    "text", ["ada", "ada:scrypt:00:11", "ada:md5:00:" + "11" * 32, ":scrypt:00:" + "11" * 32, "\0"]
)
def test_lines_that_are_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "users"
    path.write_text(f"# no comment\n{text}\n" if text == "\0" else f"{text}\n")
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="line 1 is no user"):
        Users(path)


def test_a_file_that_others_may_read_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "users"
    set_password(path, "ada", RIGHT)
    path.chmod(0o640)
    with pytest.raises(ConfigError, match="chmod 0600"):
        Users(path)


def test_a_file_that_broke_since_leaves_the_users_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "users"
    set_password(path, "ada", RIGHT)
    users = Users(path)
    path.write_text("no user\n")
    assert users.verify("ada", RIGHT)
    path.unlink()
    assert not users.verify("ada", RIGHT)
