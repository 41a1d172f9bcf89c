"""What was read of the sealed verdicts, kept in a file beside the store, so that a start goes on instead of anew.

The file may be removed at any time: then all is read again. ``babbitt cloud verify`` never believes it.
"""

from __future__ import annotations

import json
import os
from array import array
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from cloud.fleet.breaks import Break
from cloud.fleet.chain import Chain
from cloud.fleet.track import Episode, Samples, Track
from edge.contract.types import Urgency

FILE = "predictions.json"
VERSION = 1
_COLUMNS = {"at_ns": "q", "meter_h": "d", "low_h": "d", "high_h": "d", "bundle": "H"}


def save(path: Path, data: Mapping[str, Any]) -> None:
    """Whole or not at all; a disk that has no room costs a start its time, no more. Raises ``OSError``."""
    new = path.with_name(path.name + ".new")
    with new.open("w", encoding="utf-8") as file:
        json.dump({"version": VERSION, **data}, file, separators=(",", ":"))
        file.flush()
        os.fsync(file.fileno())
    new.rename(path)


def load(path: Path) -> dict[str, Any] | None:
    """What was saved; None where there is nothing of this version."""
    try:
        found = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) and found.get("version") == VERSION else None


def plain_chain(chain: Chain) -> dict[str, Any]:
    return {**asdict(chain), "holes": sorted(chain.holes)}


def chain_of(found: dict[str, Any]) -> Chain:
    return Chain(**{**found, "holes": set(found["holes"]), "breaks": [Break(**one) for one in found["breaks"]]})


def plain_track(track: Track) -> dict[str, Any]:
    samples = {name: getattr(track.samples, name).tolist() for name in _COLUMNS}
    return {
        "episodes": [asdict(one) for one in track.episodes], "samples": samples, "apart_ns": track.samples.apart_ns,
        "bundles": track.bundles, "gaps": track.gaps, "verdicts": track.verdicts, "last_ns": track.last_ns,
        "last_h": track.last_h,
    }  # fmt: skip


def track_of(found: dict[str, Any]) -> Track:
    columns = {name: array(code, found["samples"][name]) for name, code in _COLUMNS.items()}
    return Track(
        episodes=[Episode(**{**one, "worst": Urgency(one["worst"])}) for one in found["episodes"]],
        samples=Samples(**columns, apart_ns=found["apart_ns"]), bundles=list(found["bundles"]),
        gaps=[(first, last) for first, last in found["gaps"]], verdicts=found["verdicts"], last_ns=found["last_ns"],
        last_h=found["last_h"],
    )  # fmt: skip
