"""Recordings: what stands in the file is what a client reads from the registers, row by row."""

from __future__ import annotations

import asyncio
import gzip
import math
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import tomli_w
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.client import AsyncModbusTcpClient

from edge.config.lines import ModbusTcp
from edge.config.profiles import load_profile
from edge.config.profiles.modbus import ModbusProfile
from edge.config.site import Site
from edge.contract.types import Quality
from edge.errors import ConfigError
from edge.plant.column_map import (
    Column,
    ColumnMap,
    Times,
    guessed_map,
    load_map,
    map_tables,
    profile_tables,
    recording_profile,
)
from edge.plant.plant import Plant
from edge.plant.recording import Recording, read_columns
from edge.registers import from_words, unpack

Runner = Callable[[Site], AbstractAsyncContextManager[Plant]]
SiteMaker = Callable[..., Site]

CSV = """datetime;Accelerometer1RMS;Volume Flow RateRMS;anomaly
2020-03-01 15:44:06;0.0820647;76.0197;0.0
2020-03-01 15:44:07;0.0827238;;0.0
2020-03-01 15:44:09;0.0801000;-1e3;1.0
"""


@pytest.fixture
def csv_file(tmp_path: Path) -> Path:
    path = tmp_path / "pump.csv"
    path.write_text(CSV)
    return path


def site_with(make_site: SiteMaker, tmp_path: Path, recording: Path, column_map: ColumnMap, speed: float = 1.0) -> Site:
    """A site whose unit 9 on the hall's line plays ``recording``, by a profile and a map written for it."""
    devices = tmp_path / "profiles/devices"
    devices.mkdir(parents=True, exist_ok=True)
    profile = recording_profile(column_map, id="recording")
    (devices / "recording.toml").write_text(tomli_w.dumps(profile_tables(profile)))
    (tmp_path / "recording.map.toml").write_text(tomli_w.dumps(map_tables(column_map)))
    return make_site(
        speed=speed,
        more='[[asset]]\nid = "rec-1"\nclass = "generic"\nunit = [{ line = "hall", unit = 9, profile = "recording" }]',
        machine=f'{{ asset = "rec-1", model = "recording", recording = "{recording}", map = "recording.map.toml" }},',
    )


async def polled(client: AsyncModbusTcpClient, profile: ModbusProfile, *, per_request: int = 125) -> dict[str, Any]:
    """One poll: all input registers in as many requests as it takes, then all discrete inputs; decoded."""
    values: dict[str, Any] = {}
    points = [p for p in profile.point if p.function == 4]
    while points:
        start = points[0].address
        batch = [p for p in points if p.address + p.registers - start <= per_request]
        count = batch[-1].address + batch[-1].registers - start
        answer = await client.read_input_registers(start, count=count, device_id=9)
        assert not answer.isError()
        data = from_words(answer.registers)
        for point in batch:
            at = 2 * (point.address - start)
            value, quality, _ = unpack(point, data[at : at + 2 * point.registers])
            values[point.tag] = value if quality is Quality.GOOD else quality
        points = points[len(batch) :]
    bits = [p for p in profile.point if p.function == 2]
    if bits:
        answer = await client.read_discrete_inputs(0, count=len(bits), device_id=9)
        values |= {p.tag: answer.bits[p.address] for p in bits}
    return values


async def read_rows(run_site: Runner, site: Site, rows: int, *, per_request: int = 125) -> list[dict[str, Any]]:
    line = site.line("hall")
    assert isinstance(line, ModbusTcp)
    async with run_site(site):
        client = AsyncModbusTcpClient(line.host, port=line.port, timeout=30.0, retries=0)
        assert await client.connect()
        profile = site.profiles["recording"]
        assert isinstance(profile, ModbusProfile)
        try:
            return [await polled(client, profile, per_request=per_request) for _ in range(rows)]
        finally:
            client.close()


class TestRoundTrip:
    def test_each_row_is_read_once_and_equals_the_file(
        self, make_site: SiteMaker, run_site: Runner, tmp_path: Path, csv_file: Path
    ) -> None:
        column_map = msgspec.structs.replace(guessed_map(read_columns(csv_file)), advance="on_read")
        site = site_with(make_site, tmp_path, csv_file, column_map)
        rows = asyncio.run(read_rows(run_site, site, 4))
        assert [row["row_number"] for row in rows] == [1, 2, 3, 3]
        expected = [
            {"accelerometer1_rms": 0.0820647, "volume_flow_rate_rms": 76.0197, "anomaly": 0.0},
            {"accelerometer1_rms": 0.0827238, "volume_flow_rate_rms": Quality.BAD_DEVICE, "anomaly": 0.0},
            {"accelerometer1_rms": 0.0801, "volume_flow_rate_rms": -1000.0, "anomaly": 1.0},
        ]
        for row, values in zip(rows, expected, strict=False):
            assert {tag: row[tag] for tag in values} == pytest.approx(values, rel=6e-8)

    def test_rows_keep_together_over_several_requests_and_types(
        self, make_site: SiteMaker, run_site: Runner, tmp_path: Path
    ) -> None:
        """Scaled integers, other byte orders and bools; a poll of six requests sees one row, and each row once."""
        generator = np.random.default_rng(17)
        columns = (
            Column(name="a", tag="a", type="int16", scale=0.01),
            Column(name="b", tag="b", type="uint32", order="CDAB", scale=0.001, offset=-5.0),
            Column(name="c", tag="c", type="float64", order="DCBA"),
            Column(name="d", tag="d", type="float32", order="BADC"),
            Column(name="e", tag="e", type="bool"),
        )
        data = {name: np.round(generator.uniform(-4.9, 300.0, 20), 2) for name in "abcd"}
        data["e"] = generator.integers(0, 2, 20).astype(float)
        path = tmp_path / "mixed.parquet"
        pq.write_table(pa.table(data), path)
        column_map = ColumnMap(column=columns, advance="on_read", at_end="repeat")
        site = site_with(make_site, tmp_path, path, column_map)
        rows = asyncio.run(read_rows(run_site, site, 21, per_request=4))
        assert [row["row_number"] for row in rows] == [*range(1, 21), 1]
        for row in rows:
            for name, resolution in (("a", 0.005), ("b", 0.0005), ("c", 0.0), ("d", 2e-5), ("e", 0.0)):
                assert row[name] == pytest.approx(data[name][row["row_number"] - 1], abs=resolution + 1e-12)

    def test_a_poll_that_was_cut_short_does_not_lose_its_row(self, csv_file: Path) -> None:
        column_map = msgspec.structs.replace(guessed_map(read_columns(csv_file)), advance="on_read")
        recording = Recording(csv_file, column_map)
        first, rest = ("row_number", "accelerometer1_rms"), ("volume_flow_rate_rms", "anomaly")

        def poll(*, lose: tuple[str, ...] = ()) -> int:
            for tags in (first, rest):
                recording.asked(tags)
                if tags != lose:
                    recording.served(tags)
            return recording.row

        assert [poll(lose=rest), poll(lose=first), poll(), poll(), poll(lose=rest), poll()] == [1, 1, 1, 2, 3, 3]
        assert recording.finished

    def test_rows_follow_the_clock_at_the_speed_of_the_plant(self, csv_file: Path) -> None:
        recording = Recording(csv_file, guessed_map(read_columns(csv_file)))
        seen = []
        for _ in range(12):
            seen.append(recording.row)
            recording.step(0.5 / 3600)
        assert seen == [1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 3, 3]
        assert recording.finished

    def test_at_the_end_it_may_begin_again(self, csv_file: Path) -> None:
        recording = Recording(csv_file, msgspec.structs.replace(guessed_map(read_columns(csv_file)), at_end="repeat"))
        seen = []
        for _ in range(7):
            seen.append(recording.row)
            recording.step(1.0 / 3600)
        assert seen == [1, 2, 2, 3, 3, 1, 2], "3 s of rows, then their median period of 1.5 s"


class TestFiles:
    def test_csv_gz_and_commas_read_the_same(self, tmp_path: Path, csv_file: Path) -> None:
        packed, commas = tmp_path / "a.csv.gz", tmp_path / "b.csv"
        packed.write_bytes(gzip.compress(CSV.encode()))
        commas.write_text("\ufeff" + CSV.replace(";", ","), encoding="utf-8")
        plain = read_columns(csv_file)
        for path in (packed, commas):
            for name, values in read_columns(path).items():
                np.testing.assert_array_equal(values, plain[name])

    def test_a_decimal_comma_is_said_in_the_map(self, tmp_path: Path) -> None:
        path = tmp_path / "german.csv"
        path.write_text("a;b\n1,5;2\n-0,25;3\n")
        assert list(read_columns(path, decimal=",")["a"]) == [1.5, -0.25]
        with pytest.raises(ConfigError, match=r"column 'a' is not numeric, it has '1,5' .*decimal"):
            Recording(path, ColumnMap(column=(Column(name="a", tag="a"),)))

    @given(st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1, max_size=20))
    def test_what_was_written_is_what_is_signalled(
        self, tmp_path_factory: pytest.TempPathFactory, values: list[float]
    ) -> None:
        path = tmp_path_factory.mktemp("written") / "x.csv"
        path.write_text("x\n" + "\n".join(map(repr, values)) + "\n")
        recording = Recording(path, ColumnMap(column=(Column(name="x", tag="x"),)))
        for expected in values:
            assert recording.signals()["x"] == expected
            recording.step(1.0 / 3600)

    @pytest.mark.parametrize(
        ("name", "content", "message"),
        [
            ("missing.csv", None, "no such recording"),
            ("sheet.xlsx", b"x", "is no recording"),
            ("empty.csv", b"", "header"),
            ("header.csv", b"a,b\n", "no rows"),
            ("twice.csv", b"a,a\n1,2\n", "names each column differently"),
            ("ragged.csv", b"a,b\n1,2\n3\n", "row 2 has 1 cells, the header 2"),
            ("words.csv", b"a\n1\nred\n", "column 'a' is not numeric, it has 'red'"),
            ("no_a.csv", b"b\n1\n", "has no column 'a'"),
            ("latin.csv", b"a\n\xff\xfe\n", "cannot be read as CSV"),
            ("broken.csv.gz", b"\x1f\x8b\x08broken", "cannot be read as CSV"),
            ("broken.parquet", b"PAR1broken", "cannot be read as Parquet"),
        ],
    )
    def test_a_file_that_cannot_be_played_is_refused(
        self, tmp_path: Path, name: str, content: bytes | None, message: str
    ) -> None:
        path = tmp_path / name
        if content is not None:
            path.write_bytes(content)
        with pytest.raises(ConfigError, match=message) as caught:
            Recording(path, ColumnMap(column=(Column(name="a", tag="a"),)))
        assert str(path) in str(caught.value)

    @pytest.mark.parametrize(
        ("column", "message"),
        [
            (Column(name="a", tag="a", type="int16"), "int16 cannot hold it"),
            (Column(name="a", tag="a", type="float32", scale=1e-38), "float32 cannot hold it"),
            (Column(name="gap", tag="gap", type="int32"), "empty cells, int32 cannot say so"),
        ],
    )
    def test_a_register_that_cannot_hold_its_column_is_refused(
        self, tmp_path: Path, column: Column, message: str
    ) -> None:
        path = tmp_path / "a.csv"
        path.write_text("a,gap\n1,1\n40000,\n")
        with pytest.raises(ConfigError, match=message):
            Recording(path, ColumnMap(column=(column,)))

    @pytest.mark.parametrize(
        ("times", "message"),
        [
            (Times(column="no"), "has no time column 'no'"),
            (Times(column="t"), "goes back at row 3"),
            (Times(column="word", format="%H:%M"), r"row 1: .*'x' .*time.format"),
        ],
    )
    def test_times_that_make_no_sense_are_refused(self, tmp_path: Path, times: Times, message: str) -> None:
        path = tmp_path / "a.csv"
        path.write_text("a,t,word\n1,1,x\n2,5,y\n3,4,z\n")
        with pytest.raises(ConfigError, match=message):
            Recording(path, ColumnMap(column=(Column(name="a", tag="a"),), time=times))


class TestMaps:
    def test_a_guess_finds_times_tags_and_kinds(self, csv_file: Path) -> None:
        guess = guessed_map(read_columns(csv_file))
        assert guess.time == Times(column="datetime", format="iso")
        assert [(c.tag, c.kind, c.type) for c in guess.column] == [
            ("accelerometer1_rms", "vibration", "float32"),
            ("volume_flow_rate_rms", "vibration", "float32"),
            ("anomaly", "other", "float32"),
        ]

    @pytest.mark.parametrize(
        ("name", "first", "expected", "is_reading"),
        [
            ("elapsed_s", 0.0, Times(column="elapsed_s"), True),
            ("time_ms", 0.0, Times(column="time_ms", unit="ms"), True),
            ("timestamp", 1.6e9, Times(column="timestamp"), False),
            ("timestamp", 1.6e12, Times(column="timestamp", unit="ms"), False),
            ("timestamp", 1.6e18, Times(column="timestamp", unit="ns"), False),
            ("temperature", 20.0, Times(), True),
        ],
    )
    def test_numeric_times_are_known_by_name_and_size(
        self, name: str, first: float, expected: Times, is_reading: bool
    ) -> None:
        guess = guessed_map({name: first + np.arange(3.0), "x": np.arange(3.0)})
        assert guess.time == expected
        assert (name in [c.name for c in guess.column]) is is_reading

    def test_whole_numbers_that_float32_cannot_hold_become_float64(self) -> None:
        guess = guessed_map({"count": np.array([2**24 + 1]), "small": np.array([5]), "huge": np.array([1e39])})
        assert [c.type for c in guess.column] == ["float64", "float32", "float64"]

    @given(st.lists(st.text(min_size=1, max_size=80), min_size=1, max_size=30, unique=True))
    def test_any_headers_give_valid_unique_tags(self, headers: list[str]) -> None:
        guess = guessed_map({header: np.array([1.5]) for header in headers})
        tags = [c.tag for c in guess.column]
        assert len(set(tags)) == len(headers)
        assert msgspec.convert(map_tables(guess), ColumnMap).column == guess.column

    def test_no_numeric_column_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="no numeric column"):
            guessed_map({"colour": np.array(["red"])})

    def test_map_and_profile_survive_being_written(self, tmp_path: Path, csv_file: Path) -> None:
        guess = guessed_map(read_columns(csv_file))
        (tmp_path / "map.toml").write_text(tomli_w.dumps(map_tables(guess)))
        assert load_map(tmp_path / "map.toml") == guess
        profile = recording_profile(guess, id="pump")
        (tmp_path / "profile.toml").write_text(tomli_w.dumps(profile_tables(profile)))
        assert load_profile(tmp_path / "profile.toml") == profile

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ('[[column]]\nname="a"\ntag="a"\n[[column]]\nname="b"\ntag="a"\n', "tag 'a' stands twice"),
            ('[[column]]\nname="a"\ntag="row_number"\n', "row_number is the plant's"),
            ('[[column]]\nname="a"\ntag="a"\nscale=0.0\n', "scale is 0"),
            ('[[column]]\nname="a"\ntag="a"\nscal=1.0\n', "unknown field `scal`.*accepted here: .*scale"),
            ('advance="sometimes"\n[[column]]\nname="a"\ntag="a"\n', "`advance`.*'sometimes'"),
        ],
    )
    def test_a_wrong_map_names_its_key(self, tmp_path: Path, text: str, message: str) -> None:
        path = tmp_path / "map.toml"
        path.write_text(text)
        with pytest.raises(ConfigError, match=message):
            load_map(path)


class TestRealRecordings:
    """Public data through the registers: pump test bed (SKAB) and a bearing run to failure (FEMTO)."""

    @pytest.mark.parametrize("name", ["skab/other/1.csv.gz", "femto_pronostia/features_bearing3_1.parquet"])
    def test_values_equal_the_files_to_float32(
        self, make_site: SiteMaker, run_site: Runner, tmp_path: Path, data_dir: Path, name: str
    ) -> None:
        path = data_dir / name
        columns = read_columns(path)
        column_map = msgspec.structs.replace(guessed_map(columns), advance="on_read")
        site = site_with(make_site, tmp_path, path, column_map)
        rows = asyncio.run(read_rows(run_site, site, 100))
        assert [row["row_number"] for row in rows] == list(range(1, 101))
        for column in column_map.column:
            expected = columns[column.name][:100].astype(np.float32)
            assert [row[column.tag] for row in rows] == [float(v) for v in expected], column.name
        assert not any(math.isnan(row[column_map.column[0].tag]) for row in rows)
