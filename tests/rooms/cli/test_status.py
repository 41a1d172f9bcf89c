"""What `babbitt gateway status` tells a person: what is read, what is judged, and what an alarm is to be called."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from click.testing import CliRunner

from edge.cli.gateway import gateway, status_lines
from edge.config.site import load_site
from edge.update import Versions, config_folder
from tests.rooms.cli.test_errors import plain_site

VERDICT = {
    "asset": "spindle-1",
    "urgency": "CRITICAL",
    "rul_h": 46.4,
    "rul_low_h": 30.1,
    "rul_high_h": 80.9,
    "words": "kurtosis",
}
UNJUDGED = {
    "asset": "pump-1",
    "urgency": "UNKNOWN",
    "rul_h": None,
    "rul_low_h": None,
    "rul_high_h": None,
    "words": "why",
}
ALARM = {
    "asset": "spindle-1",
    "rule": "rul_critical",
    "priority": "high",
    "state": "unacknowledged",
    "sentence": "46 h left",
}


def answer(**tables: Any) -> dict[str, Any]:
    uplink = {"up": True, "detail": "", "backlog_readings": 0}
    head = {"gateway": "hall", "uptime_s": 8.0, "rss_mb": 100.0, "uplink": uplink}
    return {**head, "units": [], "verdicts": [], "alarms": [], **tables}


def test_a_verdict_shows_its_life_and_interval_and_none_where_there_is_none() -> None:
    known, unknown = status_lines(answer(verdicts=[VERDICT, UNJUDGED]))[-2:]
    assert known.split() == ["spindle-1", "CRITICAL", "46", "(30–81)", "kurtosis"]
    assert unknown.split() == ["pump-1", "UNKNOWN", "–", "why"]


def test_an_alarm_shows_the_two_names_that_acknowledge_wants_and_its_state() -> None:
    names, sentence = status_lines(answer(alarms=[ALARM]))[-2:]
    assert names.split() == ["spindle-1", "rul_critical", "high", "unacknowledged"]
    assert sentence.strip() == "46 h left"


def test_a_trial_is_told_with_how_long_it_lasts_still() -> None:
    assert "configuration version 7 ON TRIAL, 42 s left" in status_lines(
        answer(configuration={"on_trial": 7, "left_s": 42.0})
    )
    assert not any("TRIAL" in line for line in status_lines(answer(configuration={"on_trial": None})))


def test_a_sparkplug_node_shows_whether_it_is_up_and_what_it_had_to_drop() -> None:
    way = {"node": "plant/gw-1", "detail": "", "sent": 1234, "dropped": 0}
    lines = status_lines(answer(north={"sparkplug": way}))
    assert "sparkplug plant/gw-1   up   told 1,234 values" in lines
    lines = status_lines(answer(north={"sparkplug": {**way, "detail": "waits for host scada", "dropped": 7}}))
    assert "sparkplug plant/gw-1   waits for host scada   told 1,234 values   dropped 7" in lines


def test_how_a_machine_ran_stands_under_its_verdict() -> None:
    ran = {
        "operating_h": 1234.56, "load_mean": 50.1, "load_variance": 49.9, "temperature_mean_c": 60.0,
        "temperature_peak_c": 71.2, "temperature_slope_c_per_day": -0.01,
    }  # fmt: skip
    asset = VERDICT["asset"]
    lines = status_lines(answer(verdicts=[VERDICT], worked={asset: ran}))
    week = "last week: load 50 ± 7; 60.0 °C, peak 71.2, +0.0 a day"
    assert lines[-1] == f"    ran 1,234.6 h since it is watched; {week}"
    assert status_lines(answer(verdicts=[VERDICT], worked={asset: {"operating_h": 0.5}}))[-1].endswith("is watched")
    assert status_lines(answer(verdicts=[VERDICT], worked={asset: {}})) == status_lines(answer(verdicts=[VERDICT]))


def test_the_page_shows_where_it_is_or_why_it_is_not() -> None:
    page = {"up": True, "url": "http://127.0.0.1:8580", "detail": "", "pid": 7, "rss_mb": 35.4}
    assert "page http://127.0.0.1:8580   up   35 MB" in status_lines(answer(page=page))
    gone = {"up": False, "url": "http://127.0.0.1:8580", "detail": "ended with 3: the log says why"}
    assert "page http://127.0.0.1:8580   ended with 3: the log says why" in status_lines(answer(page=gone))
    assert not any("page" in line for line in status_lines(answer(page=None)))


def test_whoever_began_a_configuration_is_told_apart_from_its_hash(tmp_path: Path) -> None:
    site = load_site(plain_site(tmp_path))
    Versions(config_folder(site), site.path).started(site, "root (from the cloud)")
    head, line, *_ = CliRunner().invoke(gateway, ["versions", str(site.path)]).output.splitlines()
    assert "root (from the cloud)  " in line
    assert line[head.index("HASH") :].split()[1:] == ["kept", "started", "with", "it"]
