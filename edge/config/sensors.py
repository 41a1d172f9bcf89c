"""How an asset's sensors check each other: redundant ones, balances, and what a fault of the machine moves."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edge.config.lines import Name
from edge.config.profiles.signal import Strict

Product = Annotated[str, Meta(pattern=r"^[^*\s]+( \* [^*\s]+)*$")]


class Redundant(Strict, frozen=True, kw_only=True):
    """Sensors that measure the same thing: three or more vote, two can only disagree."""

    tags: Annotated[tuple[str, ...], Meta(min_length=2, max_length=8, description="Their tags, of one unit.")]


class Balance(Strict, frozen=True, kw_only=True):
    """A sum that physics keeps constant: a heat or mass balance, or two ways to the same number."""

    id: Annotated[Name, Meta(description="Its name.")]
    terms: Annotated[
        dict[Product, float],
        Meta(
            min_length=1, max_length=16, description="Factors by tag, or by a product of tags such as `flow * rise_c`."
        ),
    ]

    @property
    def tags(self) -> tuple[str, ...]:
        return tuple(dict.fromkeys(tag for term in self.terms for tag in term.split(" * ")))


class Fault(Strict, frozen=True, kw_only=True):
    """A fault of the machine: the signals that it moves together, and which way."""

    id: Annotated[Name, Meta(description="Its name.")]
    title: Annotated[str, Meta(description="Its name in a sentence.")]
    moves: Annotated[
        dict[str, Literal["up", "down"]], Meta(min_length=2, description="Which way it moves each tag, early or late.")
    ]
