"""What each tag said last. An asset may be polled in parts, at rates of their own: what the others said still holds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Generic, TypeVar

V = TypeVar("V")


class Held(Generic[V]):
    """``values`` by tag; a tag that was asked and gave nothing good is not among them until it does."""

    def __init__(self) -> None:
        self.values: dict[str, V] = {}

    def take(self, asked: Iterable[str], good: Mapping[str, V]) -> dict[str, V]:
        """Take one poll: the tags that were ``asked`` and what of it was ``good``."""
        for tag in asked:
            if tag not in good:
                self.values.pop(tag, None)
        self.values.update(good)
        return self.values
