"""A contract against its site: gateway, asset, tag, unit, bounds and every tag that it asks about, all told at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from edge.contract.downlink import ContractDocument
from edge.contract.setpoint import BYTES_MAX, contract_hash, parse_contract
from edge.contract.signature import pack_signature
from edge.errors import ConfigError
from edge.keys import PrivateKey, make_pair
from edge.setpoint import conflicts, contracts_folder, documents, problems, signed_contract
from edge.trust import contract_trust_of
from tests.rooms.contract.contracts import contract_text, sound
from tests.rooms.contract.sites import COMMAND, DRIVE, SITE, site, site_file


def found(folder: Path, *, drive: str = DRIVE, name: str = "pump-1-speed.toml", **changed: str) -> list[str]:
    contract = parse_contract(contract_text(**changed).encode(), where=name)
    return [str(error) for error in problems(contract, site(folder, drive=drive), where=name)]


def test_a_contract_that_fits_is_told_nothing(tmp_path: Path) -> None:
    assert not found(tmp_path)
    across = '["pump-2.running", "abs(pump-2.speed_rpm - speed_rpm) < 50 or not running", "age(pump-2.flow_m3_h) < 9"]'
    assert not found(tmp_path, precondition=across)
    power = '[{ tag = "power_kw", worse = "up", percent = 5, over_s = 4 }]'
    assert not found(tmp_path, unit='"rpm"'), "spelled otherwise, it is the same"
    assert not found(tmp_path, fresh_s="2", regret=power)
    assert not found(tmp_path, abort='[\'not (mode == "remote" or "local" == pump-2.mode) and age(mode) < 5\']')
    assert not found(tmp_path, regret='[{ tag = "pump-2.power_kw", worse = "down", percent = 5 }]')


@pytest.mark.parametrize(
    ("changed", "key", "accepted"),
    [
        ({"id": '"fan"'}, "id", "the file's name says 'pump-1-speed'"),
        ({"gateway": '"gw-2"'}, "gateway", "this site's is 'gw-1'"),
        ({"asset": '"pump1"'}, "asset", "did you mean pump-"),
        ({"tag": '"speed_setpoint"'}, "tag", "did you mean speed_setpoint_rpm"),
        ({"tag": '"speed_rpm"'}, "tag", "writable here: speed_setpoint_rpm, torque_limit, mode"),
        ({"tag": '"mode"', "unit": '""'}, "tag", "holds words"), ({"unit": '"Hz"'}, "unit", "its profile has '1/min'"),
        ({"high": "70000.0"}, "high", "cannot hold: raw value 70000 does not fit into uint16: 0 to 65535"),
        ({"low": "-1.0"}, "low", "-1 does not fit"), ({"tolerance": "0.4"}, "tolerance", "0.5 or more"),
        ({"precondition": '["runing"]'}, "precondition[0]", "did you mean running?"),
        ({"precondition": '["running", "age(flow) < 5"]'}, "precondition[1]", "did you mean flow_m3_h?"),
        ({"abort": '["pump-3.running"]'}, "abort[0]", "did you mean pump-"),
        ({"abort": '["zzz > 1"]'}, "abort[0]", "there are: speed_setpoint_rpm, speed_rpm"),
        ({"regret": '[{ tag = "power_kv", worse = "up", percent = 1 }]'}, "regret[0].tag", "did you mean power_kw"),
        ({"abort": '[\'mode == "remot"\']'}, "abort[0]", "never says 'remot' (it says: local, remote)"),
        ({"abort": '[\'running or "a" != motor_temp_c\']'}, "abort[0]", "it is a number: compare it with one"),
        ({"abort": '["abs(mode) > 1"]'}, "abort[0]",
        'mode says words, and is no number (compare it by `mode == "local"`)'),
        ({"regret": '[{ tag = "mode", worse = "up", percent = 1 }]'}, "regret[0].tag",
        "says words, which have no mean"),
        ({"regret": '[{ tag = "power_kw", worse = "up", percent = 1, over_s = 3 }]'}, "regret[0].tag",
        "every 1 s: too seldom"),
        ({"fresh_s": "1.9"}, "precondition[0]", "is read every 1 s, and is not known any more after 1.9 s"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_told_with_what_does(
    tmp_path: Path, changed: dict[str, str], key: str, accepted: str
) -> None:
    told = [words for words in found(tmp_path, **changed) if words.startswith(f"pump-1-speed.toml: `{key}`: ")]
    assert len(told) == 1
    assert accepted in told[0]


def test_everything_is_told_at_once(tmp_path: Path) -> None:
    assert len(found(tmp_path, asset='"pump1"')) == 1, "nor is it told of each condition that an asset is unknown"
    told = found(tmp_path, gateway='"gw-2"', unit='"Hz"', high="70000", abort='["a > 1", "b > 1 or c > 1"]')
    assert [words.split("`")[1] for words in told] == ["gateway", "unit", "high", "abort[0]", "abort[1]", "abort[1]"]


def test_scale_and_offset_say_what_a_register_can_hold(tmp_path: Path) -> None:
    torque = {"tag": '"torque_limit"', "unit": '"%"', "low": "0.0", "step_max": "50"}
    assert not found(tmp_path, **torque, high="100.0", tolerance="0.05")
    assert "kept in steps of 0.1" in found(tmp_path, **torque, high="100.0", tolerance="0.04")[0]
    assert "does not fit into int16" in found(tmp_path, **torque, high="3276.8")[0]
    assert not found(tmp_path, **torque, high="3276.7")


def test_a_float_is_read_back_as_near_as_its_bits_allow(tmp_path: Path) -> None:
    single = DRIVE.replace('type = "uint16"\nunit = "1/min"', 'type = "float32"\nunit = "1/min"', 1).replace(
        "address = 1\n", "address = 20\n", 1
    )
    assert not found(tmp_path, drive=single, tolerance="0.0002")
    assert "kept in steps of" in found(tmp_path, drive=single, tolerance="0.0001")[0]
    assert not found(tmp_path, drive=single.replace('"float32"', '"float64"', 1), tolerance="0")


def test_the_profiles_own_limits_are_narrower_than_the_register(tmp_path: Path) -> None:
    drive = DRIVE.replace("writable = true", "writable = true\nwrite_low = 2450.0\nwrite_high = 2900.0", 1)
    assert found(tmp_path, drive=drive) == [
        "pump-1-speed.toml: `low`: found 2400 (its profile lets nothing below 2450 be written (`write_low`))",
        "pump-1-speed.toml: `high`: found 3000 (its profile lets nothing above 2900 be written (`write_high`))",
    ]
    assert not found(tmp_path, drive=drive, low="2450", high="2900")


def test_two_contracts_for_one_tag_at_one_time_conflict() -> None:
    def named(**changed: str) -> tuple[str, object]:
        return changed.get("id", "x").strip('"') + ".toml", sound(**changed)

    one, other = named(), named(id='"fast"')
    assert "pump-1-speed allows writes to pump-1.speed_setpoint_rpm" in str(conflicts([one, other])[0])  # type: ignore[list-item]
    for fine in (
        named(id='"later"', valid_from="2026-09-01T00:00:00Z", expires="2026-10-01T00:00:00Z"),
        named(id='"other"', asset='"pump-2"'), named(version="2", high="2900.0"), one,
    ):  # fmt: skip
        assert not conflicts([one, fine])  # type: ignore[list-item]
        assert not conflicts([fine, one])  # type: ignore[list-item]
    (twice,) = conflicts([one, named(high="2900.0")])  # type: ignore[list-item]
    assert "another contract is 'pump-1-speed' version 1 too" in str(twice)


def test_contracts_lie_in_the_sites_profiles_beside_its_file_or_where_it_says(tmp_path: Path) -> None:
    assert contracts_folder(site(tmp_path)) == tmp_path / "own/contracts"
    assert contracts_folder(site(tmp_path, more=COMMAND + 'contracts = "../signed"\n')) == tmp_path.parent / "signed"
    bare = site_file(tmp_path)
    bare.write_text(SITE.replace('profiles = "own"', ""))
    assert documents(site(tmp_path)) == []


def test_what_nobody_signed_is_not_even_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its 16 kB can be such that reading them takes most of a second, in which no alarm reaches its lamp."""
    make_pair(tmp_path / "engineer.pem", tmp_path / "engineer.pub")
    make_pair(tmp_path / "eve.pem", tmp_path / "eve.pub")
    here, text = site(tmp_path), f"a{'.a' * 8000} = 1"

    def read(*_: object, **__: object) -> None:
        raise AssertionError("it was read")

    monkeypatch.setattr("edge.setpoint.folder.parse_contract", read)
    eves = pack_signature(PrivateKey(tmp_path / "eve.pem").sign_contract(contract_hash(text.encode()))).decode()
    for signature in ("", "{}", eves):
        with pytest.raises(ConfigError):
            signed_contract(ContractDocument("x", text, signature), here, contract_trust_of(here).signer_of_contract)


def test_a_folder_is_read_within_limits_and_signatures_are_checked(tmp_path: Path) -> None:
    public = make_pair(tmp_path / "engineer.pem", tmp_path / "engineer.pub")
    assert len(public) == 32
    key = PrivateKey(tmp_path / "engineer.pem")
    folder = tmp_path / "own/contracts"
    folder.mkdir(parents=True)
    contract = sound()
    (folder / "pump-1-speed.toml").write_text(contract_text())
    (folder / "pump-1-speed.sig").write_bytes(pack_signature(key.sign_contract(contract.hash)))
    (folder / "big.toml").write_bytes(b"#" * (BYTES_MAX + 100))
    (folder / "bytes.toml").write_bytes(b"\xff\xfe")
    (folder / "unsigned.toml").write_text(contract_text(id='"unsigned"'))
    (folder / "directory.toml").mkdir()
    here = site(tmp_path)
    trust = contract_trust_of(here)
    by_name = {document.name: document for document in documents(here)}
    assert sorted(by_name) == ["big", "bytes", "pump-1-speed", "unsigned"]
    read = signed_contract(by_name["pump-1-speed"], here, trust.signer_of_contract)
    assert read == (contract, key.fingerprint)
    for name, why in (("big", "at most 16,384"), ("bytes", "not TOML")):
        text = by_name[name].text
        found = pack_signature(key.sign_contract(contract_hash(text.encode()))).decode()
        with pytest.raises(ConfigError, match=why):
            signed_contract(ContractDocument(name, text, found), here, trust.signer_of_contract)
    for name in ("big", "bytes", "unsigned"):
        with pytest.raises(ConfigError, match="is not signed"):
            signed_contract(by_name[name], here, trust.signer_of_contract)
    good = by_name["pump-1-speed"]
    altered = ContractDocument(good.name, good.text.replace("high = 3000.0", "high = 3001.0"), good.signature)
    with pytest.raises(ConfigError, match="another contract, or of it before it was changed"):
        signed_contract(altered, here, trust.signer_of_contract)
    misfit = ContractDocument("renamed", good.text, good.signature)
    with pytest.raises(ConfigError, match="the file's name says 'renamed'"):
        signed_contract(misfit, here, trust.signer_of_contract)
    for odd in ("{}", "[" * 3000, "\ud800", good.signature.replace("contract", "bundle")):
        with pytest.raises(ConfigError):
            signed_contract(ContractDocument(good.name, good.text, odd), here, trust.signer_of_contract)
