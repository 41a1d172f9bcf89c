"""Application certificates: what is made can be loaded, says who it is of, and its key is for its owner's eyes only."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from edge.certificates import load_certificate, load_identity, make_identity, thumbprint, write_identity
from edge.cli import babbitt
from edge.errors import ConfigError


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("pki")
    identity = make_identity(uri="urn:plant:gateway", name="A gateway", hosts=("edge-7", "192.0.2.7"))
    write_identity(identity, folder / "own.der", folder / "own.pem")
    return folder / "own.der", folder / "own.pem"


def test_what_was_made_says_who_it_is_of(made: tuple[Path, Path]) -> None:
    identity = load_identity(*made)
    names = identity.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert identity.uri == "urn:plant:gateway"
    assert names.get_values_for_type(x509.DNSName) == ["edge-7"]
    assert [str(address) for address in names.get_values_for_type(x509.IPAddress)] == ["192.0.2.7"]
    identity.certificate.verify_directly_issued_by(identity.certificate)
    assert made[1].stat().st_mode & 0o777 == 0o600


def test_pem_and_der_are_told_by_their_content(made: tuple[Path, Path], tmp_path: Path) -> None:
    certificate = load_certificate(made[0])
    pem = tmp_path / "no_matter_what"
    pem.write_bytes(certificate.public_bytes(Encoding.PEM))
    assert thumbprint(load_certificate(pem)) == thumbprint(certificate)


def test_a_trusted_identity_is_never_overwritten(made: tuple[Path, Path]) -> None:
    before = made[1].read_bytes()
    with pytest.raises(ConfigError, match="servers may trust it"):
        write_identity(load_identity(*made), *made)
    assert made[1].read_bytes() == before


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda c, k: k.chmod(0o640), "others may read it"),
        (lambda c, k: k.write_bytes(b"-----BEGIN nothing"), "no private key"),
        (lambda c, k: c.write_bytes(b"nothing"), "is no certificate"),
        (lambda c, k: c.unlink(), "cannot be read"),
        (lambda c, k: c.write_bytes(b"0" * 70_000), "larger than"),
    ],
)
def test_a_bad_file_is_one_clear_error(made: tuple[Path, Path], tmp_path: Path, spoil: object, words: str) -> None:
    certificate, key = tmp_path / "c", tmp_path / "k"
    certificate.write_bytes(made[0].read_bytes())
    key.write_bytes(made[1].read_bytes())
    key.chmod(0o600)
    spoil(certificate, key)  # type: ignore[operator]
    with pytest.raises(ConfigError, match=words):
        load_identity(certificate, key)


def test_a_key_of_another_certificate_is_refused(made: tuple[Path, Path], tmp_path: Path) -> None:
    write_identity(make_identity(uri="urn:b", name="b", hosts=()), tmp_path / "c", tmp_path / "k")
    with pytest.raises(ConfigError, match="is not the key of"):
        load_identity(made[0], tmp_path / "k")


def test_the_command_says_where_it_is_and_what_to_do_next(tmp_path: Path) -> None:
    run = CliRunner()
    first = run.invoke(babbitt, ["gateway", "certificate", str(tmp_path / "pki"), "--uri", "urn:x", "--json"])
    assert first.exit_code == 0, first.output
    told = json.loads(first.output)
    assert load_identity(Path(told["certificate"]), Path(told["key"])).uri == told["uri"] == "urn:x"
    again = run.invoke(babbitt, ["gateway", "certificate", str(tmp_path / "pki")])
    assert isinstance(again.exception, ConfigError)
    other = run.invoke(babbitt, ["gateway", "certificate", str(tmp_path / "other")])
    assert "let the OPC UA server trust certificate.der" in other.output
