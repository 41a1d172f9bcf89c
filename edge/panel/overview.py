"""The plant as a whole in a heading and a few lines, each in variants from long to short: pure."""

from __future__ import annotations

from collections.abc import Collection

from edge.contract.types import Held, Urgency
from edge.panel.lamps import held_alarms, shown_alarms, silent
from edge.panel.state import PanelState


def overview(state: PanelState, trouble: Collection[str]) -> tuple[tuple[str, ...], list[tuple[str, ...]]]:
    """A heading with its marks, and lines in variants from long to short."""
    total = len(state.names)
    alarms = shown_alarms(state)
    normal = {asset for asset, verdict in state.verdicts.items() if verdict.urgency is Urgency.NORMAL}
    judged = len(normal & state.names.keys() - set(state.stale))
    if not total:
        title: tuple[str, ...] = ("NO ASSETS", "")
    elif alarms:
        standing = max(len(alarms), state.alarms_of)
        title = (f"{standing} ALARM{'S' if standing > 1 else ''}", *_on(_alarmed(state), total))
    elif quiet := silent(state):
        title = ("NO DATA", *_on(len(quiet), total))
    elif near := [v for v in state.verdicts.values() if v.urgency.rank >= Urgency.WARNING.rank]:
        title = (f"{len(near)} WARNING{'S' if len(near) > 1 else ''}", *_on(len(near), total))
    elif judged == total:
        title = ("ALL NORMAL", f"{total}/{total} OK", f"{total} OK", "OK")
    else:
        title = ("NO ALARMS", f"{judged}/{total} judged", f"{judged}/{total}")
    lines: list[tuple[str, ...]] = [({True: "uplink ok", False: "uplink down", None: "no uplink"}[state.uplink_up],)]
    lines += [held_words(state)] if held_alarms(state) else []
    lines += [(f"advice: {len(state.advice)} wait{'s' if len(state.advice) == 1 else ''}",)] if state.advice else []
    lines += [(words,) for words in trouble]
    return title, lines


def _on(machines: int, total: int) -> tuple[str, str]:
    return f"on {machines} of {total}", f"{machines}/{total}"


def _alarmed(state: PanelState) -> int:
    return len({a.asset for a in shown_alarms(state)} & state.names.keys())


_HELD_WORDS = {Held.SHELVED: "shelved", Held.SUPPRESSED: "suppressed", Held.OUT_OF_SERVICE: "out"}


def held_words(state: PanelState) -> tuple[str, str]:
    """ "2 shelved, 1 out", and shorter."""
    held = [a.held for a in held_alarms(state)]
    words = ", ".join(f"{held.count(how)} {word}" for how, word in _HELD_WORDS.items() if how in held)
    return words, f"{len(held)} alarms held"
