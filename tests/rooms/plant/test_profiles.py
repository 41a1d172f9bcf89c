"""The plant's device profiles: their captured samples decode to the values written beside them."""

from __future__ import annotations

import pytest

from edge.config.profiles import load_profile
from edge.config.profiles.modbus import ModbusProfile, Sample
from edge.config.site import profiles_root
from edge.contract.types import Quality
from edge.registers import unpack

COMMON = {
    "vibration_mm_s", "acceleration_rms_g", "crest_factor", "kurtosis", "bearing_temperature_c",
    "ambient_temperature_c", "speed_rpm", "load_percent", "power_kw", "running", "hour_meter_h", "reading_number",
}  # fmt: skip
OWN = {
    "spindle": {"torque_nm", "parts_total", "scrap_total", "speed_setpoint_rpm"},
    "pump": {"flow_m3_h", "suction_pressure_bar", "discharge_pressure_bar", "volume_total_m3", "speed_setpoint_rpm"},
    "extruder": {"melt_pressure_bar", "melt_temperature_c", "screw_torque_percent", "parts_total", "scrap_total"},
}


def profile_of(model: str) -> ModbusProfile:
    profile = load_profile(profiles_root() / "devices" / f"plant-{model}.toml")
    assert isinstance(profile, ModbusProfile)
    return profile


def decoded(profile: ModbusProfile, sample: Sample) -> dict[str, object]:
    """What the response says of each point that the request covers, by the Modbus specification alone."""
    request, response = bytes.fromhex(sample.request), bytes.fromhex(sample.response)
    function, start = request[0], int.from_bytes(request[1:3], "big")
    count = int.from_bytes(request[3:5], "big")
    data = response[2:]
    assert response[0] == function
    assert response[1] == len(data) == (2 * count if function > 2 else -(-count // 8))
    values: dict[str, object] = {}
    for point in profile.point:
        at = point.address - start
        if point.function != function or at < 0 or at + point.registers > count:
            continue
        if point.type == "bool":
            values[point.tag] = bool(data[at // 8] >> at % 8 & 1)
        else:
            value, quality, _ = unpack(point, data[2 * at : 2 * (at + point.registers)])
            assert quality is Quality.GOOD
            values[point.tag] = value
    return values


@pytest.mark.parametrize("model", OWN)
def test_a_profile_has_every_tag_of_its_machine(model: str) -> None:
    profile = profile_of(model)
    assert {point.tag for point in profile.point} == COMMON | OWN[model]
    assert all(point.title for point in profile.point)
    assert all(point.kind != "other" for point in profile.point)
    assert profile.probe is not None


@pytest.mark.parametrize("model", OWN)
def test_samples_decode_to_their_values_and_cover_every_point(model: str) -> None:
    profile = profile_of(model)
    covered: set[str] = set()
    for sample in profile.sample:
        values = decoded(profile, sample)
        assert values == pytest.approx(sample.values, abs=1e-9)
        covered |= values.keys()
    assert covered == {point.tag for point in profile.point}
