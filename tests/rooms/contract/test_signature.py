"""Signatures of bundles: RFC 8032's own vectors, keys as openssl has them, and what is refused with which words."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.signing import SigningKey

from edge.contract.bundle import load_bundle, save_bundle
from edge.contract.signature import SIGNATURE, fingerprint, read_private, read_public, read_signature, signed_message
from edge.errors import BundleError, ConfigError
from edge.trust import Trust, is_signed
from tests import signed

# RFC 8032, section 7.1: secret key, public key, message, signature.
VECTORS = [
    (
        "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
        "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
        "",
        (
            "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b46b"
            "d25bf5f0595bbe24655141438e7a100b"
        ),
    ),
    (
        "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
        "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
        "72",
        (
            "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11d8c"
            "387b2eaeb4302aeeb00d291612bb0c00"
        ),
    ),
    (
        "c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
        "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
        "af82",
        (
            "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc659"
            "4a7c15e9716ed28dc027beceea1ec40a"
        ),
    ),
]


@pytest.mark.parametrize(("secret", "public", "message", "signature"), VECTORS)
def test_rfc_8032(secret: str, public: str, message: str, signature: str) -> None:
    key, told, given = bytes.fromhex(public), bytes.fromhex(message), bytes.fromhex(signature)
    assert bytes(SigningKey(bytes.fromhex(secret)).sign(told).signature) == given
    assert is_signed(key, told, given)
    assert not is_signed(key, told + b"x", given)
    for bit in (0, 255, 256, 511):
        altered = bytearray(given)
        altered[bit // 8] ^= 1 << bit % 8
        assert not is_signed(key, told, bytes(altered))


def test_a_signature_that_was_made_greater_by_the_order_of_the_group_is_false() -> None:
    """RFC 8032, 5.1.7: S below L, or anybody could make a second signature out of the first."""
    order = 2**252 + 27742317777372353535851937790883648493
    _, public, message, signature = VECTORS[1]
    given = bytes.fromhex(signature)
    more = int.from_bytes(given[32:], "little") + order
    assert not is_signed(bytes.fromhex(public), bytes.fromhex(message), given[:32] + more.to_bytes(32, "little"))


def test_keys_and_signatures_are_those_of_another_library(tmp_path: Path) -> None:
    made = signed.key(tmp_path)
    theirs = serialization.load_pem_private_key(made.private.read_bytes(), None)
    assert isinstance(theirs, Ed25519PrivateKey)
    assert theirs.private_bytes_raw() == read_private(made.private)
    public = serialization.load_pem_public_key(made.public.read_bytes())
    assert isinstance(public, Ed25519PublicKey)
    assert public.public_bytes_raw() == read_public(made.public)
    bundle = signed.bundle(tmp_path / "b", made)
    public.verify(read_signature(tmp_path / "b").signature, signed_message(bundle))
    # And one that they made, as `openssl genpkey -algorithm ed25519` writes it.
    pem = Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    made.private.write_bytes(pem)
    assert len(read_private(made.private)) == 32


def test_the_shipped_bundles_are_signed_by_the_shipped_key() -> None:
    keys = signed.SHIPPED.parent / "keys"
    trust = Trust(read_public(path) for path in keys.glob("*.pub"))
    for folder in sorted(signed.SHIPPED.iterdir()):
        trust.check(folder, load_bundle(folder).hash)


def trusting(key: signed.Key) -> Trust:
    return Trust([read_public(key.public)])


def test_an_unsigned_bundle_is_refused(tmp_path: Path) -> None:
    bundle = signed.bundle(tmp_path / "b", None)
    with pytest.raises(BundleError, match="is not signed"):
        trusting(signed.key(tmp_path)).check(tmp_path / "b", bundle)


def test_a_foreign_key_is_refused_by_name(tmp_path: Path) -> None:
    mine, theirs = signed.key(tmp_path), signed.key(tmp_path, "theirs")
    bundle = signed.bundle(tmp_path / "b", theirs)
    name = fingerprint(read_public(theirs.public))
    with pytest.raises(BundleError, match=f"signed by key {name}, which this gateway does not trust"):
        trusting(mine).check(tmp_path / "b", bundle)
    with pytest.raises(BundleError, match="trusted: none"):
        Trust([]).check(tmp_path / "b", bundle)


def test_a_signature_that_claims_a_trusted_key_is_still_checked(tmp_path: Path) -> None:
    mine, theirs = signed.key(tmp_path), signed.key(tmp_path, "theirs")
    bundle = signed.bundle(tmp_path / "b", theirs)
    told = json.loads((tmp_path / "b" / SIGNATURE).read_bytes())
    told["key"] = fingerprint(read_public(mine.public))
    (tmp_path / "b" / SIGNATURE).write_text(json.dumps(told))
    with pytest.raises(BundleError, match="its signature is false"):
        trusting(mine).check(tmp_path / "b", bundle)


def test_the_signature_of_another_bundle_is_refused(tmp_path: Path) -> None:
    key = signed.key(tmp_path)
    signed.bundle(tmp_path / "a", key)
    other = signed.bundle(tmp_path / "b", key, created_by="another")
    (tmp_path / "b" / SIGNATURE).write_bytes((tmp_path / "a" / SIGNATURE).read_bytes())
    with pytest.raises(BundleError, match="that of another bundle"):
        trusting(key).check(tmp_path / "b", other)


@pytest.mark.parametrize(
    "data", [b"", b"[]", b"{}", b"[" * 3000, b"x" * 10_000, b'{"format": 1, "algorithm": "none"}',
             b'{"format":1,"algorithm":"ed25519","bundle":"ab","key":"ab","signature":"AA=="}',
             b'{"format":1,"algorithm":"ed25519","bundle":"ab","key":"ab","signature":7}'],
)  # fmt: skip
def test_what_is_no_signature_is_refused(tmp_path: Path, data: bytes) -> None:
    (tmp_path / SIGNATURE).write_bytes(data)
    with pytest.raises(BundleError, match="is no signature"):
        read_signature(tmp_path)


def test_a_manifest_that_is_written_anew_loses_the_signature_of_the_old_one(tmp_path: Path) -> None:
    key = signed.key(tmp_path)
    signed.bundle(tmp_path / "b", key)
    bundle = load_bundle(tmp_path / "b")
    plain = {name: value for name, value in bundle.manifest.items() if name not in ("hash", "files", "format")}
    save_bundle(tmp_path / "b", plain, bundle.files)
    assert (tmp_path / "b" / SIGNATURE).exists(), "the same manifest keeps it"
    save_bundle(tmp_path / "b", plain | {"created_by": "another"}, bundle.files)
    assert not (tmp_path / "b" / SIGNATURE).exists()


def test_keys_that_are_none_or_open_to_others_are_refused(tmp_path: Path) -> None:
    key = signed.key(tmp_path)
    assert key.private.stat().st_mode & 0o777 == 0o600
    with pytest.raises(ConfigError, match="is no public Ed25519 key"):
        read_public(key.private)
    with pytest.raises(ConfigError, match="is no private Ed25519 key"):
        read_private(key.public)
    with pytest.raises(ConfigError, match="exists already"):
        signed.key(tmp_path)
    key.private.chmod(0o640)
    with pytest.raises(ConfigError, match="others may read it"):
        read_private(key.private)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_public(tmp_path / "nowhere.pub")
