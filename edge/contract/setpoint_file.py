"""The keys of one small TOML file, each as the type that is wanted: what does not fit is collected, not thrown."""

from __future__ import annotations

import base64
import binascii
import math
import re
import tomllib
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from edge.errors import ConfigError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_T = TypeVar("_T")


def tables_of(data: bytes, where: str) -> dict[str, Any]:
    """The file's tables. Raises ``ConfigError``."""
    try:
        return tomllib.loads(data.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(where, "is no text in UTF-8", "write it with a plain editor") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(where, f"not TOML: {error}", "strings want quotes, tables [brackets]") from error
    except (RecursionError, ValueError) as error:
        raise ConfigError(where, "not TOML that anybody meant", "see edge/contract/README.md") from error


class Table:
    """One table. Each call names a key, and gives something of the type even where ``problems`` now says why not.

    A key without a default must be there. ``problems`` are the whole file's.
    """

    def __init__(
        self, found: dict[str, Any], *, where: str, at: str = "", problems: list[ConfigError] | None = None
    ) -> None:
        self._found, self._where, self._at, self._known = found, where, at, dict[str, None]()
        self.problems: list[ConfigError] = [] if problems is None else problems

    def wrong(self, name: str, problem: str, hint: str = "") -> None:
        self.problems.append(ConfigError(self._where, f"`{self._at}{name}`: {problem}", hint))

    def nothing_else(self) -> None:
        """Keys that nobody asked for are refused."""
        for name in self._found:
            if name not in self._known:
                self.wrong(_short(name)[1:-1], "is no key here", f"accepted here: {', '.join(self._known)}")

    def text(self, name: str, pattern: str, wanted: str, default: str | None = None) -> str:
        found = self._value(name, default, wanted)
        if found is None or found is default:
            return found or ""
        if not isinstance(found, str) or not re.fullmatch(pattern, found):
            self.wrong(name, f"found {_short(found)}", wanted)
            return ""
        return found

    def real(self, name: str, least: float, most: float, default: float | None = None, *, above: bool = False) -> float:
        """A finite number from ``least`` on, or ``above`` it, to ``most``; NaN where there is none."""
        wanted = f"a number {'above' if above else 'from'} {least:g}, at most {most:g}"
        found = self._value(name, default, wanted)
        if found is None:
            return math.nan
        fits = type(found) in (int, float) and (least < found if above else least <= found) and found <= most
        if not fits:
            self.wrong(name, f"found {_short(found)}", wanted)
            return math.nan
        return float(found)

    def whole(self, name: str, least: int, most: int, default: int) -> int:
        found = self._value(name, default, "")
        if type(found) is not int or not least <= found <= most:
            self.wrong(name, f"found {_short(found)}", f"a whole number from {least} to {most}")
            return default
        return int(found)

    def choice(self, name: str, choices: Sequence[str]) -> str:
        wanted = " or ".join(f'"{choice}"' for choice in choices)
        found = self._value(name, None, wanted)
        if found is not None and found not in choices:
            self.wrong(name, f"found {_short(found)}", wanted)
        return str(found) if found in choices else str(choices[0])

    def moment(self, name: str) -> int:
        """Nanoseconds since the epoch; 0 where there is none."""
        wanted = "a time with its zone, such as 2027-03-01T06:00:00Z"
        found = self._value(name, None, wanted)
        if found is None:
            return 0
        try:
            told = datetime.fromisoformat(found) if isinstance(found, str) else found
            if isinstance(told, datetime) and told.tzinfo is not None:
                return (told - _EPOCH) // timedelta(microseconds=1) * 1000
        except (ValueError, OverflowError):
            pass
        self.wrong(name, f"found {_short(found)}", wanted)
        return 0

    def key(self, name: str) -> bytes:
        wanted = "an Ed25519 public key: its 32 bytes in base64, as `babbitt gateway contract key` prints them"
        found = self._value(name, None, wanted)
        if found is None:
            return b""
        try:
            key = base64.b64decode(found, validate=True) if isinstance(found, str) else b""
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != 32:
            self.wrong(name, f"found {_short(found)}", wanted)
            return b""
        return key

    def texts(self, name: str, count_max: int, length_max: int, *, least: int = 0) -> list[str]:
        """A list of texts that is empty by default."""
        wanted = f"a list of {least} to {count_max} texts of up to {length_max} characters"
        found = self._value(name, [] if not least else None, wanted)
        if found is None:
            return []
        fits = isinstance(found, list) and least <= len(found) <= count_max
        if not fits or not all(isinstance(entry, str) and 0 < len(entry) <= length_max for entry in found):
            self.wrong(name, f"found {_short(found)}", wanted)
            return []
        return list(found)

    def tables(self, name: str, count_max: int) -> list[Table]:
        """A list of tables that is empty by default."""
        found = self._value(name, [], "")
        if not isinstance(found, list) or len(found) > count_max or not all(isinstance(entry, dict) for entry in found):
            self.wrong(name, f"found {_short(found)}", f"a list of up to {count_max} tables")
            return []
        return [
            Table(entry, where=self._where, at=f"{self._at}{name}[{i}].", problems=self.problems)
            for i, entry in enumerate(found)
        ]

    def _value(self, name: str, default: _T | None, wanted: str) -> Any:
        self._known[name] = None
        found = self._found.get(name, default)
        if found is None:
            self.wrong(name, "is missing", wanted)
        return found


def _short(value: object) -> str:
    """What was found, in one short line."""
    if isinstance(value, datetime):
        return value.isoformat()
    try:
        text = ascii(value)
    except ValueError:
        return "a number of thousands of digits"
    return text if len(text) <= 60 else text[:57] + "..."
