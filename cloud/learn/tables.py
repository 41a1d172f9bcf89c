"""What training, calibrating and comparing print: figures beside what costs nothing."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from cloud.learn.compare import Comparison

_ROWS = (
    ("life RMSE, detectable wear [h]", "life", "rmse_h"),
    ("life RMSE, all wear [h]", "life", "rmse_all_h"),
    ("interval coverage, detectable wear", "life", "coverage"),
    ("interval coverage, all wear", "life", "coverage_all"),
    ("interval width below 48 h [h]", "life", "width_below_48_h"),
    ("interval width above 168 h [h]", "life", "width_above_168_h"),
    ("healthy rows called WARNING", "life", "healthy_called_warning"),
    ("novelty AUC", "novelty", "auc"),
    ("novelty recall, detectable wear", "novelty", "recall"),
    ("novelty false alarms", "novelty", "false_alarms"),
    ("life refused as unfamiliar", "familiar", "refused"),
)
_TRIVIAL = {"life": ("mean_life", "mean life"), "novelty": ("rms_of_features", "RMS of features")}
_COMPARED = (
    ("life RMSE, all wear [h]", "rmse_all_h"),
    ("life RMSE, detectable wear [h]", "rmse_h"),
    ("interval coverage, all wear", "coverage_all"),
    ("interval width above 168 h [h]", "width_above_168_h"),
    ("interval width below 48 h [h]", "width_below_48_h"),
)
EXCLUSIONS_SHOWN_MAX = 12


def trained(name: str, figures: dict[str, Any]) -> str:
    """One bundle's figures, what of the stored past could not be used, and how it compares."""
    lines = [f"\n{name}: {figures['path']}, {figures['bytes']} bytes of models, hash {figures['hash'][:16]}"]
    if "due" in figures:
        lines.append(f"  due: {figures['due']}")
    if "stored" in figures:
        lines += _stored(figures["stored"])
    if "stored" in figures:
        early, established = figures["interval"]["widened"]
        is_wider = max(early, established) > 1.0
        words = f", widened {early:g} (early) and {established:g} (established) times as they ask" if is_wider else ""
        lines.append(f"  interval stands on {figures['interval']['basis']}{words}")
    lines.append(f"  {'on machines never seen':36}{'int8':>9}{'float':>9}   trivial")
    for title, part, key in _ROWS:
        column, what = _TRIVIAL.get(part, ("", ""))
        trivial = figures[part].get(column, {}).get(key)
        beside = f"{trivial:g} ({what})" if trivial is not None else ""
        int8, plain_ = (_shown(figures[part][kind].get(key)) for kind in ("int8", "float"))
        lines.append(f"  {title:36}{int8:>9}{plain_:>9}   {beside}".rstrip())
    if "comparison" in figures:
        lines.append(compared(figures["comparison"]))
    return "\n".join(lines)


def _stored(stored: dict[str, Any]) -> list[str]:
    ended = f"{stored['failures']} failed and {stored['censored']} did not"
    lines = [f"  stored: {stored['assets']} machines, {stored['lives']} lives: {ended}; {stored['rows']:,} rows"]
    exclusions = stored["exclusions"]
    lines += [f"  left out: {words}" for words in exclusions[:EXCLUSIONS_SHOWN_MAX]]
    if len(exclusions) > EXCLUSIONS_SHOWN_MAX:
        lines.append(f"  left out: {len(exclusions) - EXCLUSIONS_SHOWN_MAX} more reasons (--json has all)")
    return lines


def plain(found: Comparison) -> dict[str, Any]:
    """A comparison as plain data."""
    return asdict(found)


def compared(found: dict[str, Any]) -> str:
    """Champion and challenger side by side, and the decision."""
    champion, challenger, original = (found[key] for key in ("champion", "challenger", "challenger_float"))
    lines = [
        f"\n  on the stored past, {found['failed']} failed machines; the challenger on machines that it never saw",
        f"  {'':36}{'champion':>11}{'challenger':>12}{'its float':>11}   trivial",
    ]
    for title, key in _COMPARED:
        a, b, c = (_shown(one["figures"].get(key)) for one in (champion, challenger, original))
        trivial = champion["figures"].get("mean_life_rmse_all_h") if key == "rmse_all_h" else None
        beside = f"{trivial:g} (mean life)" if trivial is not None else ""
        lines.append(f"  {title:36}{a:>11}{b:>12}{c:>11}   {beside}".rstrip())
    losses = [_shown(_mean(one["loss"])) for one in (champion, challenger, original)]
    lines.append(f"  {'interval score (lower is better)':36}{losses[0]:>11}{losses[1]:>12}{losses[2]:>11}")
    calm = [_shown(one["false_alarms"]) for one in (champion, challenger, original)]
    lines.append(f"  {'healthy rows called anomalous':36}{calm[0]:>11}{calm[1]:>12}{calm[2]:>11}")
    forward = found["forward"]
    if "champion" in forward:
        a, b = (_shown(forward[key]) for key in ("champion", "challenger"))
        lines.append(f"  {'interval score, forward in time':36}{a:>11}{b:>12}")
        lines.append(
            f"    (trained on {forward['failed_before']} failures, judged on {forward['failed_after']} later ones)"
        )
    else:
        lines.append(f"  forward in time: {forward['words']}")
    lines += [f"  note: {note}" for note in found["notes"]]
    lines.append(f"  {'PROMOTE' if found['promote'] else 'KEEP'}: {found['reason']}")
    return "\n".join(lines)


def recalibrated(said: dict[str, Any]) -> str:
    """What calibrating did."""
    lines = [f"{said['path']}: hash {said['hash'][:16]}, from {said['from'][:16]}"]
    lines += [f"  {words}" for words in said["words"]]
    if said["coverage_before"] is not None:
        before, after = 100.0 * said["coverage_before"], 100.0 * said["coverage_after"]
        lines.append(f"  the 90 % interval covered {before:.0f} % on these machines, now {after:.0f} %")
    return "\n".join(lines)


def _mean(losses: dict[Any, float]) -> float | None:
    return round(sum(losses.values()) / len(losses), 4) if losses else None


def _shown(value: float | None) -> str:
    return "-" if value is None else f"{value:g}"
