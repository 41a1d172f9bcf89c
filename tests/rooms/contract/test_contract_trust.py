"""Whose contracts count: keys of the site's own alone, for this very contract, and for nothing else that is signed."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from edge.config.site import load_site, profiles_root
from edge.contract.signature import Kind, Signature, pack_signature, parse_signature, read_public, signed_message
from edge.errors import BundleError, ConfigError
from edge.keys import PrivateKey, make_pair
from edge.trust import Trust, contract_trust_of, is_signed
from tests import signed
from tests.rooms.contract.contracts import sound
from tests.rooms.contract.sites import COMMAND, site, site_file

CONTRACT = sound()


@pytest.fixture
def engineer(tmp_path: Path) -> PrivateKey:
    make_pair(tmp_path / "engineer.pem", tmp_path / "engineer.pub")
    return PrivateKey(tmp_path / "engineer.pem")


def test_the_sites_own_key_signs_its_contracts(tmp_path: Path, engineer: PrivateKey) -> None:
    data = pack_signature(engineer.sign_contract(CONTRACT.hash))
    assert contract_trust_of(site(tmp_path)).signer_of_contract(CONTRACT.hash, data) == engineer.fingerprint
    told = json.loads(data)
    assert sorted(told) == ["algorithm", "contract", "format", "key", "signature"]
    message = f"babbitt contract v1\n{CONTRACT.hash}\n".encode()
    assert is_signed(read_public(tmp_path / "engineer.pub"), message, parse_signature(data, Kind.CONTRACT).signature)


def test_without_a_table_nobodys_contract_counts(tmp_path: Path, engineer: PrivateKey) -> None:
    data = pack_signature(engineer.sign_contract(CONTRACT.hash))
    trust = contract_trust_of(site(tmp_path, more=""))
    with pytest.raises(ValueError, match=r"none of `command.contract_keys` \(trusted: none\)"):
        trust.signer_of_contract(CONTRACT.hash, data)


def test_a_changed_contract_a_foreign_key_and_a_false_signature_are_refused(
    tmp_path: Path, engineer: PrivateKey
) -> None:
    trust = contract_trust_of(site(tmp_path))
    good = engineer.sign_contract(CONTRACT.hash)
    make_pair(tmp_path / "other.pem", tmp_path / "other.pub")
    other = PrivateKey(tmp_path / "other.pem")
    false = bytes([good.signature[0] ^ 1]) + good.signature[1:]
    cases = {
        "another contract": (sound(high="3001.0").hash, good),
        f"key {other.fingerprint}": (CONTRACT.hash, other.sign_contract(CONTRACT.hash)),
        "false": (CONTRACT.hash, Signature(CONTRACT.hash, good.key, false, Kind.CONTRACT)),
    }
    for why, (contract, signature) in cases.items():
        with pytest.raises(ValueError, match=why):
            trust.signer_of_contract(contract, pack_signature(signature))


def test_a_signature_of_a_bundle_is_none_of_a_contract(tmp_path: Path, engineer: PrivateKey) -> None:
    """Both are over a hash: one key for both, by mistake, must not let one pass for the other."""
    trust = contract_trust_of(site(tmp_path))
    as_bundle = engineer.sign(signed_message(CONTRACT.hash))
    disguised = pack_signature(Signature(CONTRACT.hash, engineer.fingerprint, as_bundle, Kind.CONTRACT))
    with pytest.raises(ValueError, match="false"):
        trust.signer_of_contract(CONTRACT.hash, disguised)
    with pytest.raises(ValueError, match="not that of a contract"):
        trust.signer_of_contract(
            CONTRACT.hash, pack_signature(Signature(CONTRACT.hash, engineer.fingerprint, as_bundle))
        )
    bundle = signed.bundle(tmp_path / "b", None)
    made = Signature(bundle, engineer.fingerprint, engineer.sign_contract(bundle).signature)
    (tmp_path / "b/signature.json").write_bytes(pack_signature(made))
    with pytest.raises(BundleError, match="false"):
        Trust([engineer.public]).check(tmp_path / "b", bundle)


def test_the_key_of_shipped_bundles_signs_no_contracts(tmp_path: Path) -> None:
    (shipped,) = (profiles_root() / "keys").glob("*.pub")
    shutil.copy(shipped, tmp_path / "engineer.pub")
    with pytest.raises(ConfigError, match="signs no contracts"):
        contract_trust_of(site(tmp_path))
    (tmp_path / "engineer.pub").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        contract_trust_of(site(tmp_path))


@pytest.mark.parametrize(
    ("more", "key", "accepted"),
    [
        ("[command]\n", "command", "contract_keys"),
        ("[command]\ncontract_keys = []\n", "command.contract_keys", "length"),
        (COMMAND + 'enable_tag = "pump-9.running"\n', "command.enable_tag", "pump-1, pump-2"),
        (COMMAND + 'enable_tag = "pump-1.runing"\n', "command.enable_tag", "running"),
        (COMMAND + 'enable_tag = "running"\n', "command.enable_tag", "asset.tag"),
        (COMMAND + "enable_gpio = 28\n", "command.enable_gpio", "27"),
        (COMMAND + 'enable_gpio = 17\n[panel]\nkind = "pi"\n', "command.enable_gpio", "own"),
        (COMMAND + "enabled = true\n", "command", "enable_gpio"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_at_load(tmp_path: Path, more: str, key: str, accepted: str) -> None:
    path = site_file(tmp_path, more=more)
    with pytest.raises(ConfigError, match=f"`{key}") as caught:
        load_site(path)
    assert accepted in str(caught.value)


def test_what_enables_writes_is_a_tag_or_a_pin_or_nothing(tmp_path: Path) -> None:
    command = site(tmp_path, more=COMMAND + 'enable_tag = "pump-1.running"\nenable_gpio = 17\n').file.command
    assert command is not None
    assert (command.enabled_by, command.enable_gpio) == (("pump-1", "running"), 17)
    free = site(tmp_path, more=COMMAND + 'enable_gpio = 5\n[panel]\nkind = "pi"\n').file.command
    assert free is not None
    assert free.enable_gpio == 5
    assert site(tmp_path, more="").file.command is None
