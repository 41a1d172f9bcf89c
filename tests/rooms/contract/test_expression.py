"""Conditions on readings: what they mean, what is not known, and that nothing else can be written in them."""

from __future__ import annotations

import math

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from edge.contract.expression import DEPTH_MAX, PARTS_MAX, TEXT_MAX, ExpressionError, parse_expression
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
    Seen,
    TagRef,
    Text,
)  # fmt: skip

SEEN = {
    TagRef("running"): Seen(True, 0.5), TagRef("stopped"): Seen(False, 0.5), TagRef("temp_c"): Seen(79.5, 1.0),
    TagRef("count"): Seen(3, 1.0), TagRef("state"): Seen("remote", 1.0), TagRef("flow", "pump-1"): Seen(12.0, 2.0),
    TagRef("flow", "Line.2"): Seen(5.0, 2.0), TagRef("old"): Seen(None, 99.0), TagRef("bad"): Seen(math.nan, 1.0),
    TagRef("huge"): Seen(10**400, 1.0), TagRef("age"): Seen(7, 1.0),
}  # fmt: skip


def look(ref: TagRef) -> Seen:
    return SEEN.get(ref, Seen())


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("running", True), ("not running", False), ("stopped or running", True), ("count", True),
        ("temp_c < 80", True), ("temp_c>=80", False), ("count == 3", True), ("count != 3.0", False),
        ("running and temp_c < 80 and not stopped", True), ("running and (stopped or temp_c > 80)", False),
        ("1 + 2 * 3 == 7", True), ("(1 + 2) * 3 == 9", True), ("7 - 2 - 1 == 4", True), ("8 / 4 / 2 == 1", True),
        ("-2 < -1", True), ("- -2 == 2", True), ("3--2 == 5", True), ("abs(-2 - count) == 5", True),
        ("1e3 == 1000", True),
        ("pump-1.flow > 10", True), ("20-pump-1.flow > 0", None), ("20 - pump-1.flow == 8", True),
        ("Line.2.flow == 5", True), ("pump-1.flow - Line.2.flow == 7", True), ("age(temp_c) < 5", True),
        ("age(pump-1.flow) == 2", True), ("age == 7 and age(age) == 1", True), ("running + 1 == 2", True),
        ('state == "remote"', True), ('state != "remote"', False), ('"local" == state', False),
        ('temp_c == "remote"', None),
        ("age(old) > 10", True), ("old > 10", None), ("old", None), ("nowhere > 1", None), ("age(nowhere) > 1", None),
        ("bad > 0", None), ("bad == bad", None), ("huge > 0", None), ("state", None), ("state > 1", None),
        ("1 / (count - 3) > 0", None), ("1e300 * 1e300 > 0", None), ("abs(old) > 1", None), ("-old > 1", None),
        ("not old", None), ("old and stopped", False), ("stopped and old", False), ("old and running", None),
        ("old or running", True), ("running or old", True), ("old or stopped", None), ("old or old", None),
    ],
)  # fmt: skip
def test_what_is_known_decides_and_what_is_not_gives_none(text: str, wanted: bool | None) -> None:
    expression = parse_expression(text)
    assert expression.holds(look) is wanted
    assert parse_expression(str(expression)) == expression


def test_it_names_the_tags_that_it_needs() -> None:
    expression = parse_expression("running and age(flow) < 5 or abs(pump-1.flow - flow) > 2 and running")
    assert expression.tags == (TagRef("running"), TagRef("flow"), TagRef("flow", "pump-1"))
    expression = parse_expression('a == "x" or ("y" != f-1.b and age(c) > 1) or not d and -e + a > abs(d)')
    assert expression.spoken == ((TagRef("a"), "x"), (TagRef("b", "f-1"), "y"))
    assert expression.counted == (TagRef("d"), TagRef("e"), TagRef("a"))
    assert TagRef("flow").at("pump-1") == TagRef("flow", "pump-1").at("fan-2")


@pytest.mark.parametrize(
    ("text", "at", "says"),
    [
        ("", 0, "found the end"), ("temp_c <", 8, "found the end"), ("temp_c < < 80", 9, "found `<`"),
        ("temp_c << 80", 8, "wanted a tag"), ("temp_c = 80", 7, "write `==`"), ("a && b", 2, "write `and`"),
        ("a | b", 2, "write `or`"), ("!a", 0, "write `not`"), ("a == 'x'", 5, 'write `"`'), ("2^3 > 1", 1, "a product"),
        ("1 < temp_c < 80", 11, "do not chain"), ("temp_c + 1", 0, "wanted a condition"),
        ("80", 0, "wanted a condition"),
        ("running and 80", 12, "wanted a condition"), ("temp_c * 2 and running", 0, "wanted a condition"),
        ("not (1 + 2)", 4, "wanted a condition"), ("(a > 1) + 2 > 3", 0, "wanted a number"),
        ("2 + (a > 1) > 3", 4, "wanted a number"), ("(a > 1) == (b > 1)", 0, "wanted a number"),
        ("-(a > b)", 1, "a number"),
        ("abs(a > 1)", 6, "wanted `)`"), ("max(a, b) > 1", 0, "there is no `max`"), ("age(1) > 2", 4, "wanted a tag"),
        ("age(abs(a)) > 2", 7, "wanted `)`"), ("(a > 1", 6, "wanted `)`"), ("a > 1)", 5, "or the end"),
        ("80c < temp_c", 2, "or the end"), ("Running", 0, "there is no 'R'"), ("a.__class__ == 1", 1, "there is no"),
        ("a[0] > 1", 1, "there is no '['"), ("a; b", 1, "there is no ';'"), ("a\nb", 1, r"there is no '\n'"),
        ("lambda: 1", 6, "there is no ':'"), ("and > 1", 0, "found `and`"), ("x > and (y)", 4, "found `and`"),
        ("running == true", 11, "write `tag` or `not tag`"), ("1e999 > a", 0, "larger than any double"),
        ('"x"', 0, "compare a tag"), ('"x" == "y"', 4, "compared with a tag"),
        ('state < "x"', 6, "`==` and `!=` alone"),
        ('state == "x', 9, "there is no"), ('a + "x" > 1', 4, "wanted a number"), ("a > \x80", 4, "there is no"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_pointed_at(text: str, at: int, says: str) -> None:
    with pytest.raises(ExpressionError) as caught:
        parse_expression(text)
    assert (caught.value.at, says in caught.value.problem) == (at, True), str(caught.value)
    problem, shown, caret = str(caught.value).split("\n")
    assert problem == caught.value.problem
    assert caret.index("^") - 4 == at
    assert shown[4:].isprintable() or not shown[4:]


@pytest.mark.parametrize(
    "text",
    [
        "(" * 10_000, "(" * 200 + "a" + ")" * 200, "not " * 100 + "a", "-" * 400 + "a > 1", "abs(" * 100,
        " and ".join(["a"] * 101), "a" + "+1" * 200 + " > 0", "a" * 64, "x" * 501, "not(" * 80 + "a" + ")" * 80,
    ],
)  # fmt: skip
def test_nesting_length_and_count_are_bounded(text: str) -> None:
    with pytest.raises(ExpressionError):
        parse_expression(text)


def test_as_much_as_is_allowed_is_taken() -> None:
    assert str(parse_expression("a" + " " * (TEXT_MAX - 1))) == "a"
    with pytest.raises(ExpressionError, match="longer than 500 characters"):
        parse_expression("a" + " " * TEXT_MAX)
    deep = "(" * (DEPTH_MAX - 1) + "a" + ")" * (DEPTH_MAX - 1)
    assert parse_expression(deep).holds(lambda _: Seen(True)) is True
    wide = " or ".join(["a"] * (PARTS_MAX - 1))
    assert len(wide) <= TEXT_MAX
    assert parse_expression(wide).holds(lambda _: Seen(False)) is False


# --- properties -------------------------------------------------------------------------------------------------------

TAGS = [TagRef("a"), TagRef("b_2"), TagRef("c", "pump-1"), TagRef("d", "Line.2_x")]
figures = st.floats(0, 1e6).map(Number) | st.integers(-1000, 1000).map(lambda i: Number(float(i)))
figures |= st.floats(-1e300, 1e300, allow_subnormal=True).map(Number)
leaves: st.SearchStrategy[Node] = st.sampled_from(TAGS) | figures | st.sampled_from(TAGS).map(Age)
numbers = st.recursive(
    leaves,
    lambda inner: (
        st.builds(Arithmetic, st.sampled_from("+-*/"), inner, inner) | inner.map(Negative) | inner.map(Absolute)
    ),
    max_leaves=6,
)
comparisons = st.builds(Comparison, st.sampled_from(sorted(COMPARISONS)), numbers, numbers)
comparisons |= st.builds(
    Comparison, st.sampled_from(["==", "!="]), st.sampled_from(TAGS), st.sampled_from(["", "run", "aus & an"]).map(Text)
)
conditions: st.SearchStrategy[Node] = st.recursive(
    comparisons | st.sampled_from(TAGS),
    lambda inner: (
        inner.map(Not)
        | st.lists(inner, min_size=2, max_size=3).map(lambda terms: All(tuple(terms)))
        | st.lists(inner, min_size=2, max_size=3).map(lambda terms: AnyOf(tuple(terms)))
    ),
    max_leaves=6,
)


@given(conditions)
@example(Comparison("<", Negative(Number(5.0)), Number(-5.0)))
@example(Comparison("<", Negative(Negative(Number(-0.0))), Arithmetic("-", TagRef("c", "x-1"), TagRef("c", "x-1"))))
def test_what_is_printed_parses_to_the_same(root: Node) -> None:
    text = str(Expression(root))
    assume(len(text) <= TEXT_MAX)
    found = parse_expression(text)
    assert found.root == root
    assert str(found) == text


def python_of(node: Node) -> str:
    """The same in Python, whose own parser and arithmetic then say what it means: an oracle that shares no code."""
    match node:
        case AnyOf(terms):
            return "(" + " or ".join(python_of(term) for term in terms) + ")"
        case All(terms):
            return "(" + " and ".join(python_of(term) for term in terms) + ")"
        case Not(of):
            return f"(not {python_of(of)})"
        case Comparison(sign, left, right) | Arithmetic(sign, left, right):
            return f"({python_of(left)} {sign} {python_of(right)})"
        case Negative(of):
            return f"(-{python_of(of)})"
        case Absolute(of):
            return f"abs({python_of(of)})"
        case Age(of):
            return f"age[{str(of)!r}]"
        case TagRef():
            return f"value[{str(node)!r}]"
        case Number(value):
            return f"({value!r})"
        case Text(value):
            return repr(value)


whole_numbers = st.lists(st.floats(-100, 100).map(lambda f: round(f, 2)), min_size=8, max_size=8)


@given(conditions, whole_numbers)
def test_where_everything_is_known_it_means_what_python_means(root: Node, values: list[float]) -> None:
    value, age = dict(zip(map(str, TAGS), values, strict=False)), dict(zip(map(str, TAGS), values[4:], strict=False))
    found = Expression(root).holds(lambda ref: Seen(value[str(ref)], age[str(ref)]))
    try:
        wanted = eval(python_of(root), {"value": value, "age": age, "abs": abs, "__builtins__": {}})  # noqa: S307
    except ZeroDivisionError:
        return
    # None comes of a figure beyond any double, or of a text asked of a number; what is told must be right all the same.
    assert found is None or found == bool(wanted)
    if not any(isinstance(node, Text | Arithmetic) for node in walked(root)):
        assert found is not None


def walked(node: Node) -> list[Node]:
    inner = [getattr(node, name) for name in getattr(node, "__slots__", ())]
    parts = [part for one in inner for part in (one if isinstance(one, tuple) else [one])]
    return [node] + [deep for part in parts if not isinstance(part, str | float) for deep in walked(part)]


@given(conditions, st.lists(st.sampled_from([True, False, None]), min_size=4, max_size=4))
def test_what_is_not_known_changes_nothing_that_was_told(root: Node, values: list[bool | None]) -> None:
    """Kleene: whatever the missing turns out to be, a true stays true and a false stays false."""
    known = dict(zip(TAGS, values, strict=True))
    found = Expression(root).holds(lambda ref: Seen(known[ref], None if known[ref] is None else 1.0))
    if found is None:
        return
    for guess in (0.0, 1.0, -3.5, "run"):
        learned = {ref: guess if value is None else value for ref, value in known.items()}
        assert Expression(root).holds(lambda ref, at=learned: Seen(at[ref], 1.0)) is found  # type: ignore[misc]


signs = st.sampled_from(
    ["(", ")", "and", "or", "not", "a", "p-1.b", "age(", "abs(", "<", "==", "-", "+", "/", "1", '"x"', " ", "'", "."]
)


@given(st.binary(max_size=300) | st.lists(signs, max_size=40).map(lambda parts: " ".join(parts).encode()))
def test_any_bytes_give_a_condition_or_one_clear_error(data: bytes) -> None:
    for text in (data.decode("latin-1"), data.decode("utf-8", errors="surrogateescape")):
        match taken(text):
            case ExpressionError() as error:
                assert 0 <= error.at <= len(text)
                assert len(str(error).splitlines()) == 3
            case found:
                assert parse_expression(str(found)) == found
                found.holds(look)


def taken(text: str) -> Expression | ExpressionError:
    try:
        return parse_expression(text)
    except ExpressionError as error:
        return error
