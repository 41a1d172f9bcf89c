"""Everything that is wrong with a profile, at once: keys, types, meaning, overlaps, limits, and its own samples.

Loading a profile stops at the first problem, which is right for a gateway. Whoever writes one wants them all.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from edge.commission.piecewise import type_problems
from edge.config.load import read_toml
from edge.config.profiles import KINDS, Profile, parse_profile, problems_of
from edge.config.profiles.modbus import ModbusProfile, Point
from edge.contract.types import Value
from edge.errors import ConfigError
from edge.ports import Answer

UNKNOWN = "unknown"

Decode = Callable[[Any, Any], dict[str, Answer] | None]
"""What a sample of a profile says, by tag; None where nobody can tell. Raises ``ValueError`` where it is no message."""


@dataclass(frozen=True, slots=True)
class Problem:
    """``wrong`` things must be mended; others are worth a look. ``key`` is where, as in ``point[3].scale``."""

    wrong: bool
    key: str
    problem: str
    hint: str = ""


@dataclass(frozen=True, slots=True)
class Checked:
    """One file: of ``points`` values, ``proved`` are decoded rightly by a sample. ``id`` is empty where it has none."""

    path: Path
    id: str
    protocol: str
    points: int
    samples: int
    proved: int
    problems: tuple[Problem, ...]

    @property
    def sound(self) -> bool:
        return not any(problem.wrong for problem in self.problems)


def check_profile(path: Path, decode: Decode | None = None) -> Checked:
    """All problems of the file at ``path``; never raises for what is in it.

    ``decode`` is the drivers' word on what a sample says; without it samples are not judged.
    """
    try:
        data = read_toml(path)
    except ConfigError as error:
        return Checked(path, "", "", 0, 0, 0, (Problem(True, "", error.problem, error.hint),))
    problems, profile, kept = _loaded(data)
    points, samples, proved = _table_list(data, "point"), _table_list(data, "sample"), set[str]()
    if profile is not None:
        problems += [_renumbered(problem, kept) for problem in _beyond_types(path, profile, decode, proved)]
    device = data.get("device")
    known = device if isinstance(device, dict) else {}
    return Checked(
        path, str(known.get("id", "")), str(known.get("protocol", "modbus")), len(points), len(samples), len(proved),
        tuple(problems),
    )  # fmt: skip


def _beyond_types(path: Path, profile: Profile, decode: Decode | None, proved: set[str]) -> Iterator[Problem]:
    for problem, hint in problems_of(profile):
        yield Problem(True, *_split(problem), hint)
    if profile.device.id not in (path.stem, UNKNOWN):
        yield Problem(
            False,
            "device.id",
            f"found {profile.device.id!r}",
            f"name the file {profile.device.id}.toml, as sites look for it",
        )
    if isinstance(profile, ModbusProfile):
        yield from _overlaps(profile)
    if decode is not None and hasattr(profile, "sample"):
        yield from _untrue(profile, decode, proved)
        yield from _unproved(profile, proved)


def _renumbered(problem: Problem, kept: dict[str, list[int]]) -> Problem:
    """As the file counts its points and samples, with those that were left out."""
    match = re.match(r"(\w+)\[(\d+)\]", problem.key)
    if match is None or match[1] not in kept:
        return problem
    key = f"{match[1]}[{kept[match[1]][int(match[2])]}]{problem.key[match.end() :]}"
    return Problem(problem.wrong, key, problem.problem, problem.hint)


def _loaded(data: dict[str, Any]) -> tuple[list[Problem], Profile | None, dict[str, list[int]]]:
    """What is wrong with keys and types, the profile of all that is not, and the indices of the tables in it.

    So a bad point hides no other's problems.
    """
    device = data.get("device")
    protocol = device.get("protocol", "modbus") if isinstance(device, dict) else "modbus"
    kind = KINDS.get(protocol) if isinstance(protocol, str) else None
    if kind is None:
        return [Problem(True, "device.protocol", f"found {protocol!r}", f"accepted here: {', '.join(KINDS)}")], None, {}
    found = list(type_problems(data, kind))
    problems = [Problem(True, key, problem, hint) for key, problem, hint in found]
    sound, kept = _sound_part(data, kind, {key for key, _, _ in found})
    try:
        return problems, parse_profile(sound, where=""), kept
    except ConfigError:
        return problems, None, kept


def _sound_part(
    data: dict[str, Any], kind: type[Profile], bad: set[str]
) -> tuple[dict[str, Any], dict[str, list[int]]]:  # fmt: skip
    """``data`` without what is ``bad``, stand-ins for what must be there, and which points and samples were kept."""
    sound: dict[str, Any] = {}
    kept: dict[str, list[int]] = {}
    for field in msgspec.structs.fields(kind):
        name = field.encode_name
        table = data.get(name)
        if name in bad or table is None:
            continue
        sound[name] = table
        if isinstance(table, dict):
            sound[name] = {key: value for key, value in table.items() if f"{name}.{key}" not in bad}
        elif isinstance(table, list):
            kept[name] = [i for i in range(len(table)) if not any(key.startswith(f"{name}[{i}]") for key in bad)]
            sound[name] = [table[i] for i in kept[name]]
    known = sound.get("device", {})
    sound["device"] = {"id": UNKNOWN, "products": [UNKNOWN], "source": UNKNOWN} | known
    return sound, kept


def _table_list(data: dict[str, Any], name: str) -> list[Any]:
    found = data.get(name, [])
    return found if isinstance(found, list) else []


def _split(problem: str) -> tuple[str, str]:
    """Loading says "`key` (tag): problem" in one string."""
    match = re.match(r"`([^`]+)`(?: \((\w+)\))?: ?", problem)
    if match is None:
        return "", problem
    return match[1], (f"{match[2]}: " if match[2] else "") + problem[match.end() :]


def _overlaps(profile: ModbusProfile) -> Iterator[Problem]:
    """Points that share registers: half of each is a wrong address, the whole may be meant (bits of a word)."""
    ordered = sorted(enumerate(profile.point), key=lambda pair: (pair[1].function, pair[1].address))
    for at, (_, one) in enumerate(ordered):
        for j, other in ordered[at + 1 :]:
            if other.function != one.function or other.address >= one.address + one.registers:
                break
            if one.picked is not None or other.picked is not None:
                continue
            same = (one.address, one.registers) == (other.address, other.registers)
            yield Problem(
                not same, f"point[{j}]",
                f"{other.tag} {'reads the same registers as' if same else 'overlaps'} {one.tag} "
                f"({_registers(one)} and {_registers(other)})",
                "is that meant?" if same else "one of the addresses or types is wrong",
            )  # fmt: skip


def _registers(point: Point) -> str:
    return f"{point.address}" if point.registers == 1 else f"{point.address}–{point.address + point.registers - 1}"


def _untrue(profile: Any, decode: Decode, proved: set[str]) -> Iterator[Problem]:
    """Samples that are no messages, or decode to something else than they say; fills ``proved``."""
    scales = {point.tag: point.scale for point in profile.point}
    for i, sample in enumerate(profile.sample):
        key = f"sample[{i}]"
        try:
            answers = decode(profile, sample)
        except ValueError as error:
            yield Problem(True, key, str(error), "a message of the device, and what asked for it, as they are")
            continue
        if answers is None:
            proved |= sample.values.keys()
            continue
        for tag in sorted(sample.values.keys() - answers.keys()):
            yield Problem(
                True, f"{key}.values.{tag}", "the sample says nothing of it", "a tag, or an address, is wrong"
            )
        for tag, answer in answers.items():
            stated = sample.values.get(tag)
            if _agree(scales[tag], answer.value, stated):
                proved.add(tag)
            elif stated is None:
                problem = f"does not say what {tag} is; it decodes to {answer.value}"
                yield Problem(False, f"{key}.values", problem, "say so")
            else:
                found = answer.detail if answer.value is None else answer.value
                yield Problem(
                    True, f"{key}.values.{tag}", f"says {stated}, the message decodes to {found}",
                    "type, order, scale or offset is wrong, or the value is",
                )  # fmt: skip


def _agree(scale: float, value: Value, stated: Value) -> bool:
    """Equal, up to how a decimal fraction is written. Not available agrees with nothing said."""
    if isinstance(value, bool | str) or isinstance(stated, bool | str) or value is None or stated is None:
        return value == stated
    return math.isclose(value, stated, rel_tol=1e-9, abs_tol=abs(scale) * 1e-6)


def _unproved(profile: Any, proved: set[str]) -> Iterator[Problem]:
    missing = [point.tag for point in profile.point if point.tag not in proved]
    if missing:
        shown = ", ".join(missing[:5]) + (f" and {len(missing) - 5} more" if len(missing) > 5 else "")
        yield Problem(
            False, "sample", f"{len(missing)} points have no sample: {shown}", "capture a frame and its values"
        )


def as_json_object(checked: Sequence[Checked]) -> dict[str, Any]:
    """For scripts."""
    files = [
        {**msgspec.to_builtins(one, enc_hook=str), "path": str(one.path), "sound": one.sound} for one in checked
    ]  # fmt: skip
    return {"sound": all(one.sound for one in checked), "files": files}
