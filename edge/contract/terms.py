"""The parts of a condition on readings (``edge.contract.expression``): what they mean, and how they are written."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from edge.contract.types import Value


class Seen(NamedTuple):
    """What is known of a tag: its value where it is good and fresh enough for whoever asks, else None.

    ``age_s`` is how long ago it was last read well, None where it never was: it is known of what is too old, too.
    """

    value: Value = None
    age_s: float | None = None


@dataclass(frozen=True, slots=True)
class TagRef:
    """A tag; ``asset`` is empty where it is of the asset that is being asked about."""

    tag: str
    asset: str = ""

    def at(self, asset: str) -> TagRef:
        """The same with its asset, which is ``asset`` where it names none."""
        return self if self.asset else TagRef(self.tag, asset)

    def __str__(self) -> str:
        return f"{self.asset}.{self.tag}" if self.asset else self.tag


Look = Callable[[TagRef], Seen]


@dataclass(frozen=True, slots=True)
class Number:
    value: float


@dataclass(frozen=True, slots=True)
class Text:
    value: str


@dataclass(frozen=True, slots=True)
class Age:
    of: TagRef


@dataclass(frozen=True, slots=True)
class Absolute:
    of: Node


@dataclass(frozen=True, slots=True)
class Negative:
    of: Node


@dataclass(frozen=True, slots=True)
class Arithmetic:
    sign: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Comparison:
    sign: str
    left: Node
    right: Node


@dataclass(frozen=True, slots=True)
class Not:
    of: Node


@dataclass(frozen=True, slots=True)
class All:
    terms: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    terms: tuple[Node, ...]


Node = TagRef | Number | Text | Age | Absolute | Negative | Arithmetic | Comparison | Not | All | AnyOf


@dataclass(frozen=True, slots=True)
class Expression:
    """A condition. ``str`` gives it in a spelling that ``parse_expression`` reads as the same."""

    root: Node

    @property
    def tags(self) -> tuple[TagRef, ...]:
        """What it needs to know, each once, in order."""
        return tuple(dict.fromkeys(node for node in _walk(self.root) if isinstance(node, TagRef)))

    @property
    def spoken(self) -> tuple[tuple[TagRef, str], ...]:
        """Each tag that is compared with a text, and the text."""
        found = []
        for node in _walk(self.root):
            match node:
                case Comparison(_, TagRef() as ref, Text(text)) | Comparison(_, Text(text), TagRef() as ref):
                    found.append((ref, text))
        return tuple(found)

    @property
    def counted(self) -> tuple[TagRef, ...]:
        """Each tag whose value is taken for a number, or for true or false."""
        return tuple(dict.fromkeys(_counted(self.root)))

    def holds(self, look: Look) -> bool | None:
        """Whether it is so, by what ``look`` says of each tag; None where that cannot be told."""
        return _truth(self.root, look)

    def __str__(self) -> str:
        return _printed(self.root)[0]


# --- what it means ----------------------------------------------------------------------------------------------------

COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge, "==": operator.eq, "!=": operator.ne,
}  # fmt: skip
_COMPUTE: dict[str, Callable[[float, float], float]] = {
    "+": operator.add, "-": operator.sub, "*": operator.mul, "/": operator.truediv,
}  # fmt: skip


def _truth(node: Node, look: Look) -> bool | None:
    match node:
        case All(terms):
            found = [_truth(term, look) for term in terms]
            return False if False in found else None if None in found else True
        case AnyOf(terms):
            found = [_truth(term, look) for term in terms]
            return True if True in found else None if None in found else False
        case Not(of):
            inner = _truth(of, look)
            return None if inner is None else not inner
        case Comparison(sign, left, right) if isinstance(left, Text) or isinstance(right, Text):
            texts = _text(left, look), _text(right, look)
            return None if None in texts else (texts[0] == texts[1]) == (sign == "==")
        case Comparison(sign, left, right):
            a, b = _number(left, look), _number(right, look)
            return None if a is None or b is None else COMPARISONS[sign](a, b)
    figure = _number(node, look)
    return None if figure is None else figure != 0.0


def _number(node: Node, look: Look) -> float | None:
    found: float | None = None
    match node:
        case Number(value):
            found = value
        case TagRef():
            found = _plain(look(node).value)
        case Age(of):
            found = _plain(look(of).age_s)
        case Absolute(of):
            inner = _number(of, look)
            found = None if inner is None else abs(inner)
        case Negative(of):
            inner = _number(of, look)
            found = None if inner is None else -inner
        case Arithmetic(sign, left, right):
            a, b = _number(left, look), _number(right, look)
            found = None if a is None or b is None or (sign == "/" and b == 0.0) else _COMPUTE[sign](a, b)
    return found if found is not None and math.isfinite(found) else None


def _plain(value: Value) -> float | None:
    try:
        return None if value is None or isinstance(value, str) else float(value)
    except OverflowError:
        return None


def _text(node: Node, look: Look) -> str | None:
    if isinstance(node, Text):
        return node.value
    value = look(node).value if isinstance(node, TagRef) else None
    return value if isinstance(value, str) else None


def _counted(node: Node) -> Iterator[TagRef]:
    match node:
        case TagRef():
            yield node
        case Age() | Comparison(_, Text(), _) | Comparison(_, _, Text()):
            return
    for part in _parts(node):
        yield from _counted(part)


def _walk(node: Node) -> Iterator[Node]:
    yield node
    for part in _parts(node):
        yield from _walk(part)


def _parts(node: Node) -> tuple[Node, ...]:
    match node:
        case All(terms) | AnyOf(terms):
            return terms
        case Comparison(_, left, right) | Arithmetic(_, left, right):
            return left, right
        case Age(of) | Absolute(of) | Negative(of) | Not(of):
            return (of,)
    return ()


# --- how it is written ------------------------------------------------------------------------------------------------

_OR, _AND, _NOT, _COMPARISON, _SUM, _TERM, _FACTOR = range(7)


def _printed(node: Node) -> tuple[str, int]:
    """The text, and how tightly it binds."""
    match node:
        case AnyOf(terms):
            return " or ".join(_within(term, _AND) for term in terms), _OR
        case All(terms):
            return " and ".join(_within(term, _NOT) for term in terms), _AND
        case Not(of):
            return f"not {_within(of, _NOT)}", _NOT
        case Comparison(sign, left, right):
            return f"{_within(left, _SUM)} {sign} {_within(right, _SUM)}", _COMPARISON
        case Arithmetic(sign, left, right):
            binds = _SUM if sign in "+-" else _TERM
            return f"{_within(left, binds)} {sign} {_within(right, binds + 1)}", binds
        case Negative(of):
            return (f"-({_printed(of)[0]})" if isinstance(of, Number) else f"- {_within(of, _FACTOR)}"), _FACTOR
        case Absolute(of):
            return f"abs({_printed(of)[0]})", _FACTOR
        case Age(of):
            return f"age({of})", _FACTOR
        case Text(value):
            return f'"{value}"', _FACTOR
        case Number(value):
            return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value), _FACTOR
        case TagRef():
            return str(node), _FACTOR


def _within(node: Node, least: int) -> str:
    text, binds = _printed(node)
    return text if binds >= least else f"({text})"
