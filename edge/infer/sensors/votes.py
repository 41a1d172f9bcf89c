"""The groups of an asset's redundant sensors: who lost which vote, and what a lost one should say."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from edge.features.tracker import number
from edge.infer.sensors.redundancy import Group


class Votes:
    def __init__(self, groups: Sequence[Sequence[str]]) -> None:
        self._groups = [Group(tags) for tags in groups]

    @property
    def off(self) -> dict[str, Group]:
        """The sensors that lost, each with the group that outvoted it."""
        return {tag: group for group in self._groups for tag in group.off}

    def update(self, means: Mapping[str, float], doubted: frozenset[str]) -> list[str]:
        """Take a block's means by tag, ``doubted`` being bad for other reasons; gives those that are right again."""
        before = set(self.off)
        for group in self._groups:
            group.update(means, doubted)
        return sorted(before - set(self.off))

    def speaks_for(self, tags: frozenset[str]) -> frozenset[str]:
        """Those of the doubted ``tags`` that enough others measure too."""
        found = set()
        for group in self._groups:
            believed = [tag for tag in group.tags if tag not in tags]
            found |= {tag for tag in group.tags if group.is_learned and len(believed) >= 2}
        return tags & found

    def stand_in(self, values: dict[str, object], doubted: frozenset[str]) -> None:
        """Put the vote of the others into ``values`` for what is ``doubted``, which is not in it."""
        for group in self._groups:
            lost = doubted & set(group.tags)
            numbers = {t: x for t in group.tags if lost and (x := number(values.get(t))) is not None}
            for tag in lost:
                if (vote := group.vote(tag, numbers)) is not None:
                    values[tag] = vote

    def kept(self) -> list[dict[str, Any]]:
        return [group.kept() for group in self._groups]

    def restore(self, kept: Sequence[Mapping[str, Any]]) -> None:
        for group, state in zip(self._groups, kept, strict=True):
            group.restore(state)
