"""What the cloud says of how often each machine's judgement was right; kept, so that the panel knows it with the cable
cut, and after a start.
"""

from __future__ import annotations

import msgspec

from edge.contract.desired import Desired, TrackRecord
from edge.ports import Journal

_NAME = "records"
_DECODER = msgspec.json.Decoder(tuple[TrackRecord, ...])


class TrackRecords:
    """Belongs to the event loop."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._told = _kept(journal)

    def by_asset(self, desired: Desired | None) -> dict[str, TrackRecord]:
        """The last ones told, of which ``desired`` is the newest word, None where there is none since the start."""
        if desired is not None and desired.records != self._told:
            self._told = desired.records
            self._journal.keep(_NAME, msgspec.json.encode(self._told))
        return {record.asset: record for record in self._told}


def _kept(journal: Journal) -> tuple[TrackRecord, ...]:
    state = journal.kept(_NAME)
    try:
        return _DECODER.decode(state) if state is not None else ()
    except msgspec.DecodeError:
        return ()  # Of another version; the cloud tells it again.
