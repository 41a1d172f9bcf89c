"""A small grammar for conditions on readings: safe to take from a file, and never wrong about what it does not know.

::

    condition  = both {"or" both}          both  = negation {"and" negation}
    negation   = "not" negation | comparison
    comparison = sum [("<" | "<=" | ">" | ">=" | "==" | "!=") (sum | text)]
    sum        = term {("+" | "-") term}   term  = factor {("*" | "/") factor}
    factor     = "-" factor | number | tag | "age(" tag ")" | "abs(" sum ")" | "(" condition ")"

for example ``running and motor_temp_c < 80``, ``age(flow_m3_h) < 5``, ``abs(speed_rpm - pump-1.setpoint_rpm) <= 50``,
``state == "remote"``. A tag is ``tag``, of whatever asset is being asked about, or ``asset.tag``: the last dot divides,
and a hyphen within ``pump-1.flow`` belongs to the asset's name, so a minus before such a name wants blanks around it. A
tag alone is a condition: true, or not zero. Nothing else can be called or reached, and length, depth and count of parts
are bounded. Numbers are IEEE doubles; true counts 1 and false 0 among them.

**What is not known gives None**, neither true nor false: a reading that is bad, missing or too old, a text where a
number is wanted, a division by zero. ``and`` and ``or`` follow Kleene: what is known decides where it can (false and
None is false, true or None is true). Whoever asks must say what None means to them: to permit on it is never safe.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from typing import NamedTuple

from edge.contract.terms import (
    COMPARISONS,
    Absolute,
    Age,
    All,
    AnyOf,
    Arithmetic,
    Comparison,
    Expression,
    Negative,
    Node,
    Not,
    Number,
    TagRef,
    Text,
)  # fmt: skip

TEXT_MAX = 500
PARTS_MAX = 100
DEPTH_MAX = 20
RESERVED = frozenset({"and", "or", "not", "true", "false"})


class ExpressionError(ValueError):
    """``problem`` in words, with the expression and a caret under the place ``at`` (from 0) in it on two more lines."""

    def __init__(self, text: str, at: int, problem: str) -> None:
        self.text, self.at, self.problem = text, at, problem
        start = max(at - 60, 0)
        shown = "".join(c if c.isprintable() else "\ufffd" for c in text[start : at + 60])
        super().__init__(f"{problem}\n    {shown}\n    {' ' * (at - start)}^")


def parse_expression(text: str) -> Expression:
    """Raises ``ExpressionError`` alone, whatever ``text`` is."""
    return Expression(_Parser(text).whole())


_TOKEN = re.compile(
    r"(?P<reference>[A-Za-z0-9][A-Za-z0-9_.-]{0,62}\.[a-z][a-z0-9_]{0,62}(?![A-Za-z0-9_]))"
    r"|(?P<number>\d+(?:\.\d+)?(?:[eE][+-]?\d+)?)"
    r"|(?P<name>[a-z][a-z0-9_]{0,62}(?![A-Za-z0-9_]))"
    r'|(?P<text>"[^"\\\x00-\x1f]{0,100}")'
    r"|(?P<sign><=|>=|==|!=|[-+*/<>(),])",
    re.ASCII,
)
_MEANT = {"=": "==", "&": "and", "|": "or", "!": "not", "'": '"', "^": "a product"}
_CONDITIONS = (Comparison, Not, All, AnyOf)


class _Token(NamedTuple):
    kind: str
    text: str
    at: int


class _Parser:
    """Recursive descent; every call that may nest goes by ``_factor`` or ``_negation``, which count the depth."""

    def __init__(self, text: str) -> None:
        self._text, self._next, self._depth, self._parts = text, 0, 0, 0
        if len(text) > TEXT_MAX:
            raise ExpressionError(text, TEXT_MAX, f"longer than {TEXT_MAX} characters")
        self._tokens = list(self._read())

    def whole(self) -> Node:
        at = self._here.at
        found = self._condition()
        if self._here.kind != "end":
            raise self._wrong(f"wanted `and`, `or`, a comparison or the end, found `{self._here.text}`")
        self._must_be_condition(found, at)
        return found

    def _read(self) -> Iterator[_Token]:
        at = 0
        while at < len(self._text):
            if self._text[at] == " ":
                at += 1
                continue
            found = _TOKEN.match(self._text, at)
            if found is None:
                meant = _MEANT.get(self._text[at])
                hint = f"; write {meant if meant == 'a product' else f'`{meant}`'}" if meant else ""
                raise ExpressionError(self._text, at, f"there is no {self._text[at]!a} in an expression{hint}")
            assert found.lastgroup is not None
            yield _Token(found.lastgroup, found[0], at)
            at = found.end()
        yield _Token("end", "", len(self._text))

    @property
    def _here(self) -> _Token:
        return self._tokens[self._next]

    def _wrong(self, problem: str, at: int | None = None) -> ExpressionError:
        return ExpressionError(self._text, self._here.at if at is None else at, problem)

    def _take(self, *texts: str) -> str:
        """The next token where it is one of ``texts``, else an empty text, and it stays."""
        if self._here.kind in ("sign", "name") and self._here.text in texts:
            self._next += 1
            return self._tokens[self._next - 1].text
        return ""

    def _must(self, text: str) -> None:
        if not self._take(text):
            raise self._wrong(f"wanted `{text}`, found {self._found()}")

    def _found(self) -> str:
        return f"`{self._here.text}`" if self._here.text else "the end"

    def _made(self, node: Node, at: int) -> Node:
        self._parts += 1
        if self._parts > PARTS_MAX:
            raise self._wrong(f"more than {PARTS_MAX} parts; make two expressions of it", at)
        return node

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise self._wrong(f"nested more than {DEPTH_MAX} deep")

    def _condition(self) -> Node:
        return self._joined("or", lambda: self._joined("and", self._negation, All), AnyOf)

    def _joined(self, word: str, part: Callable[[], Node], kind: type[All] | type[AnyOf]) -> Node:
        at = self._here.at
        terms = [part()]
        if self._here.text == word:
            self._must_be_condition(terms[0], at)
        while self._take(word):
            here = self._here.at
            terms.append(part())
            self._must_be_condition(terms[-1], here)
        return terms[0] if len(terms) == 1 else self._made(kind(tuple(terms)), at)

    def _negation(self) -> Node:
        at = self._here.at
        if not self._take("not"):
            return self._comparison()
        self._deeper()
        inner_at = self._here.at
        inner = self._negation()
        self._must_be_condition(inner, inner_at)
        self._depth -= 1
        return self._made(Not(inner), at)

    def _comparison(self) -> Node:
        at = self._here.at
        left = self._sum()
        sign_at = self._here.at
        sign = self._take(*COMPARISONS)
        if not sign:
            if isinstance(left, Text):
                raise self._wrong("a text alone is no condition: compare a tag with it", at)
            return left
        right_at = self._here.at
        right = self._sum()
        self._must_compare(left, at, right, right_at, sign, sign_at)
        if self._here.kind == "sign" and self._here.text in COMPARISONS:
            raise self._wrong("comparisons do not chain: write `a < b and b < c`")
        return self._made(Comparison(sign, left, right), at)

    def _must_compare(self, left: Node, at: int, right: Node, right_at: int, sign: str, sign_at: int) -> None:
        if not isinstance(left, Text) and not isinstance(right, Text):
            self._must_be_number(left, at)
            self._must_be_number(right, right_at)
            return
        if sign not in ("==", "!="):
            raise self._wrong("texts are compared by `==` and `!=` alone", sign_at)
        if not isinstance(left, TagRef) and not isinstance(right, TagRef):
            raise self._wrong("a text is compared with a tag", sign_at)

    def _sum(self) -> Node:
        return self._computed(("+", "-"), lambda: self._computed(("*", "/"), self._factor))

    def _computed(self, signs: tuple[str, ...], part: Callable[[], Node]) -> Node:
        at = self._here.at
        found = part()
        while sign := self._take(*signs):
            self._must_be_number(found, at)
            right_at = self._here.at
            right = part()
            self._must_be_number(right, right_at)
            found = self._made(Arithmetic(sign, found, right), at)
        return found

    def _factor(self) -> Node:
        token = self._here
        self._deeper()
        found = self._made(self._plain_factor(token), token.at)
        self._depth -= 1
        return found

    def _plain_factor(self, token: _Token) -> Node:
        if self._take("-"):
            return self._negated()
        if self._take("("):
            inner = self._condition()
            self._must(")")
            self._parts -= 1
            return inner
        if token.kind == "number":
            return self._figure()
        if token.kind == "text":
            self._next += 1
            return Text(token.text[1:-1])
        if token.kind == "name" and token.text not in RESERVED and self._tokens[self._next + 1].text == "(":
            return self._call()
        return self._tag()

    def _negated(self) -> Node:
        if self._here.kind == "number":
            return Number(-self._figure().value)
        at = self._here.at
        inner = self._factor()
        self._must_be_number(inner, at)
        return Negative(inner)

    def _figure(self) -> Number:
        value = float(self._here.text)
        if not math.isfinite(value):
            raise self._wrong(f"`{self._here.text}` is larger than any double")
        self._next += 1
        return Number(value)

    def _call(self) -> Node:
        if self._take("age"):
            self._must("(")
            of = self._tag()
            self._must(")")
            return Age(of)
        if not self._take("abs"):
            raise self._wrong(f"there is no `{self._here.text}`: `age(tag)` and `abs(...)` are all that can be called")
        self._must("(")
        at = self._here.at
        inner = self._sum()
        self._must_be_number(inner, at)
        self._must(")")
        return Absolute(inner)

    def _tag(self) -> TagRef:
        token = self._here
        if token.text in ("true", "false"):
            raise self._wrong("write `tag` or `not tag` for a tag that is true or false")
        if token.kind not in ("reference", "name") or token.text in RESERVED:
            raise self._wrong(f"wanted a tag, a number or `(`, found {self._found()}")
        self._next += 1
        asset, _, tag = token.text.rpartition(".")
        return TagRef(tag, asset)

    def _must_be_number(self, node: Node, at: int) -> None:
        if isinstance(node, (*_CONDITIONS, Text)):
            raise self._wrong("wanted a number here, not a condition or a text", at)

    def _must_be_condition(self, node: Node, at: int) -> None:
        if not isinstance(node, (*_CONDITIONS, TagRef)):
            raise self._wrong("wanted a condition here: a comparison, or a tag that is true or false", at)
