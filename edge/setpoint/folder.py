"""The folder in which a site's contracts lie, and what is taken of it: what is signed, and fits the site."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from edge.config.site import Site
from edge.contract.downlink import ContractDocument
from edge.contract.setpoint import BYTES_MAX, SetpointContract, contract_hash, parse_contract
from edge.contract.signature import SIGNATURE_BYTES_MAX
from edge.errors import ConfigError
from edge.setpoint.fits import problems

FILES_MAX = 64


def contracts_folder(site: Site) -> Path:
    """Where the site's contracts lie, whether there is such a folder or not."""
    command = site.file.command
    if command is not None and command.contracts:
        return site.resolve(command.contracts)
    return site.resolve(site.file.profiles or ".") / "contracts"


def documents(site: Site) -> list[ContractDocument]:
    """The contracts in the folder, by name, with their signatures: whatever they hold, and no more of it than allowed.

    One without a file of a signature has an empty one.
    """
    folder = contracts_folder(site)
    paths = sorted(path for path in folder.glob("*.toml") if path.is_file())[:FILES_MAX]
    return [
        ContractDocument(p.stem, _text(p, BYTES_MAX), _text(p.with_suffix(".sig"), SIGNATURE_BYTES_MAX)) for p in paths
    ]


def signed_contract(
    document: ContractDocument, site: Site, signer: Callable[[str, bytes], str]
) -> tuple[SetpointContract, str]:
    """The contract of a document that fits ``site``, and the fingerprint of the key that signed it.

    ``signer`` is ``Trust.signer_of_contract``. Raises ``ConfigError``, for what is not signed too.
    """
    data, where = document.text.encode("utf-8", "replace"), f"{document.name}.toml"
    # First whose it is: what nobody signed can be made to take most of a second to be read.
    if not document.signature:
        raise ConfigError(where, "is not signed", f"babbitt gateway contract sign {where} --key KEY --site SITE")
    try:
        key = signer(contract_hash(data), document.signature.encode("utf-8", "replace"))
    except ValueError as error:
        hint = "have it signed again, as it is, by a key of `command.contract_keys`"
        raise ConfigError(where, str(error), hint) from error
    contract = parse_contract(data, where=where)
    found = problems(contract, site, where=where)
    if found:
        raise found[0]
    return contract, key


def _text(path: Path, bytes_max: int) -> str:
    """What is in the file, a byte more than allowed where it holds more; empty where there is none."""
    try:
        with path.open("rb") as file:
            return file.read(bytes_max + 1).decode("utf-8", "replace")
    except OSError:
        return ""
