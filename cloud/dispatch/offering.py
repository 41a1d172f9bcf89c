"""What people offer to a gateway beside commands: contracts, and configurations to try. Signed elsewhere, or here."""

from __future__ import annotations

from pathlib import Path

from cloud.dispatch import said
from cloud.store.commands import Commands
from cloud.store.documents import Offered
from edge.contract.downlink import CONFIGURATION_CHARS_MAX, CONTRACTS_MAX, Configuration
from edge.contract.setpoint import SetpointContract, parse_contract
from edge.contract.signature import Kind, parse_signature
from edge.errors import ConfigError

CONTRACTS_BYTES_MAX, CONFIGURATION_BYTES_MAX = 768 * 1024, 512 * 1024
"""Of one gateway, on their way down: with all else they stay below what a gateway reads."""
AHEAD_MAX = 1000
"""So far ahead of the last number one may be that somebody wrote by hand, as for a gateway that knows later ones."""
LIFE_S_MAX = 30 * 86_400.0
_FILE_BYTES_MAX = 1024 * 1024


def offer_contract(
    commands: Commands, file: Path, signature: Path, *, by: str, why: str, now_ns: int
) -> tuple[SetpointContract, bool]:
    """Offer the contract in ``file`` to the gateway that it names; also whether it is not so yet.

    Who may sign contracts is known to the gateway alone. Raises ``ConfigError`` for what is no contract, what its
    signature is not of, or what the gateway would pass over, since it has a higher version.
    """
    by, why, data = said.by(by), said.why(why), _read(file)
    told = _read(signature, hint="sign it: `babbitt gateway contract sign`; or name the file by --signature")
    contract = parse_contract(data, where=str(file))
    try:
        signed = parse_signature(told, Kind.CONTRACT)
    except ValueError as error:
        raise ConfigError(str(signature), str(error), "see `babbitt gateway contract sign`") from error
    if signed.hash != contract.hash:
        problem = "is the signature of another contract, or of it before it was changed"
        raise ConfigError(str(signature), problem, "sign it again: `babbitt gateway contract sign`")
    with commands.changing():
        held = commands.documents.contracts(contract.gateway)
        if any(one.hash == contract.hash and not one.withdrawn_ns for one in held):
            return contract, False
        _check_offer(contract, data.decode(), held, str(file))
        commands.documents.offer(Offered(
            contract.hash, contract.gateway, contract.id, contract.version, data.decode(), told.decode(), by, why,
            now_ns,
        ))  # fmt: skip
        what = f"contract {contract.id} version {contract.version} offered"
        commands.write(contract.gateway, now_ns, what, contract.hash, by, why)
    return contract, True


def withdraw_contract(commands: Commands, name: str, *, by: str, why: str, now_ns: int) -> tuple[Offered, bool]:
    """By its hash, or the beginning of it; also whether that changed anything. Raises ``ConfigError``."""
    by, why = said.by(by), said.why(why)
    found = commands.documents.contract(name) if len(name) >= 4 else []
    if len(found) != 1:
        problem = "begins more than one hash" if found else "is no contract"
        raise ConfigError(name[:64], problem, "`babbitt cloud contract list` shows them; four digits at least")
    (held,) = found
    if held.withdrawn_ns:
        return held, False
    with commands.changing():
        commands.documents.withdraw(held.hash, now_ns, by, why)
        commands.write(held.gateway, now_ns, f"contract {held.id} withdrawn", held.hash, by, why)
    return commands.documents.contract(held.hash)[0], True


def draft_configuration(
    commands: Commands, gateway: str, file: Path, *, by: str, why: str, expires_s: float, now_ns: int
) -> Configuration:
    """What is to be signed: the site file with the next number of ``gateway``. Raises ``ConfigError``."""
    if not 0 < expires_s <= LIFE_S_MAX:
        raise ConfigError("--expires", f"{expires_s:g} s", "up to 30d")
    try:
        text = _read(file).decode()
    except UnicodeDecodeError as error:
        raise ConfigError(str(file), "is no text in UTF-8", "name a site file") from error
    if len(text) > CONFIGURATION_CHARS_MAX or said.size(text) > CONFIGURATION_BYTES_MAX:
        raise ConfigError(str(file), f"has {len(text):,} characters", f"{CONFIGURATION_CHARS_MAX:,} at most go down")
    return Configuration(
        gateway, commands.documents.next_number(gateway), text, said.by(by), said.why(why), now_ns,
        now_ns + round(expires_s * 1e9),
    )  # fmt: skip


def offer_configuration(commands: Commands, one: Configuration, *, now_ns: int) -> tuple[Configuration, bool]:
    """Let a signed one go down; also whether it is not so yet. Its gateway alone knows whose keys count.

    Raises ``ConfigError`` where it has expired, or where a later one was offered.
    """
    said.by(one.by)
    if said.size(one.text) > CONFIGURATION_BYTES_MAX:
        raise ConfigError(one.gateway, "the configuration is too large to go down", "shorten it")
    with commands.changing():
        held = commands.documents.configurations(one.gateway)
        if any(other.configuration.id == one.id for other in held):
            return one, False
        next_number = commands.documents.next_number(one.gateway)
        if one.number < next_number:
            raise ConfigError(one.gateway, f"number {one.number} was offered already, or a later one", "draft it anew")
        if one.number > next_number + AHEAD_MAX:
            problem = f"number {one.number} would keep later ones out"
            raise ConfigError(one.gateway, problem, f"draft it anew: the next one is {next_number}")
        if now_ns >= one.expires_ns:
            raise ConfigError(one.gateway, f"configuration {one.number} has expired", "draft it anew")
        commands.documents.configure(one)
        commands.write(one.gateway, now_ns, f"configuration {one.number} offered", one.id, one.by, one.why)
    return one, True


def _check_offer(contract: SetpointContract, text: str, held: list[Offered], where: str) -> None:
    if any(one.hash == contract.hash for one in held):
        problem = f"version {contract.version} of {contract.id} was withdrawn, which holds for good"
        raise ConfigError(where, problem, f"give it `version = {contract.version + 1}` and sign it again")
    last = max((one.version for one in held if one.id == contract.id and one.hash != contract.hash), default=0)
    if contract.version <= last:
        problem = f"version {last} of {contract.id} was offered already"
        raise ConfigError(where, problem, f"give it `version = {last + 1}` and sign it again")
    others = [one for one in held if not one.withdrawn_ns and one.id != contract.id]
    size_bytes = sum(said.size(one.text) for one in others) + said.size(text)
    if len({one.id for one in others}) >= CONTRACTS_MAX or size_bytes > CONTRACTS_BYTES_MAX:
        raise ConfigError(
            contract.gateway,
            f"has as many contracts as go down together ({CONTRACTS_MAX})",
            "withdraw what nobody needs",
        )


def _read(path: Path, *, hint: str = "name a file that is there") -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(_FILE_BYTES_MAX)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}", hint) from error
