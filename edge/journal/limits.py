"""How much of everything: the journal's bounds as numbers."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Limits:
    """``store_bytes_max`` caps the store; ``sealed_bytes_max`` what waits in memory while the disk refuses, but
    for the newest commit.

    With less than ``free_bytes_min`` free on its disk the store grows no more.

    ``ledger_bytes_max`` is how much of the store the ledger's hours may take before the oldest settled ones are folded.
    ``readings_max`` bounds what comes in between two commits; ``report_interval_s`` is how often changed ledger rows go
    up.
    """

    store_bytes_max: int = 2048 * 1024 * 1024
    free_bytes_min: int = 0
    sealed_bytes_max: int = 16 * 1024 * 1024
    ledger_bytes_max: int = 64 * 1024 * 1024
    readings_max: int = 400_000
    report_interval_s: float = 10.0
