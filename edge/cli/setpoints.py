"""What the commands of ``babbitt gateway contract`` and ``command`` do with files: loaded only when one is called."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from edge.config.site import Site, load_site
from edge.contract.command_file import BYTES_MAX as COMMAND_BYTES_MAX
from edge.contract.command_file import parse_command
from edge.contract.commands import Command
from edge.contract.downlink import ContractDocument
from edge.contract.setpoint import BYTES_MAX, SetpointContract, parse_contract, read_contract
from edge.contract.setpoint_words import bounds, span, utc
from edge.contract.units import sign
from edge.errors import BabbittError, ConfigError
from edge.local_socket import UnknownCommandError, ask
from edge.setpoint import conflicts, contracts_folder, documents, problems, signed_contract


def contract_rows(site: Site, running: dict[str, Any] | None, *, now_ns: int) -> list[dict[str, Any]]:
    """One for each contract of the folder, then those that the gateway has from elsewhere, as plain data.

    ``running`` is a running gateway's answer to ``contracts``, None where none answers; empty where it was started
    without the table ``[command]``.
    """
    from edge.trust import contract_trust_of

    trust, held = contract_trust_of(site), {one["hash"]: one for one in (running or {}).get("contracts", [])}
    rows, taken = [], []
    for document in documents(site):
        found, wrong = read_contract(_bytes(document), where=f"{document.name}.toml")
        signed_by, why_not = "", ""
        try:
            if wrong:
                raise wrong[0]
            _, signed_by = signed_contract(document, site, trust.signer_of_contract)
        except ConfigError as error:
            why_not = f"{error.problem} ({error.hint})" if error.hint else error.problem
        force = held.pop(found.hash, None) if found is not None else None
        state = (
            "not running" if running is None else "in force" if force is not None
            else "not in force" if "contracts" in running else "runs without [command]: start it anew"
        )  # fmt: skip
        rows.append(_row(document.name, found, now_ns) | {
            "signed_by": signed_by, "trusted": not why_not, "why_not": why_not, "state": state,
        })  # fmt: skip
        if found is not None and not why_not:
            taken.append((document.name, found))
    clash = {problem.where: f"{problem.problem} ({problem.hint})" for problem in conflicts(taken)}
    rows = [row | {"why_not": row["why_not"] or clash.get(row["contract"], "")} for row in rows]
    rows += [
        {
            "contract": one["id"], "version": one["version"], "hash": one["hash"], "asset": one["asset"],
            "tag": one["tag"], "bounds": f"{one['low']:g} to {one['high']:g} {sign(one['unit'])}".rstrip(),
            "mode": one["mode"], "expires_in_s": (one["expires_ns"] - now_ns) / 1e9, "signed_by": "", "trusted": True,
            "why_not": "", "state": "in force, from the cloud",
        }
        for one in held.values()
    ]  # fmt: skip
    return rows


def contract_lines(rows: list[dict[str, Any]]) -> list[str]:
    """The same for a person."""
    table = [("CONTRACT", "TAG", "BOUNDS", "MODE", "EXPIRES IN", "SIGNED BY", "AT THE GATEWAY")]
    for row in rows:
        left = "" if not row["tag"] else span(row["expires_in_s"]) if row["expires_in_s"] > 0 else "expired"
        name = f"{row['contract']} v{row['version']}" if row["version"] else row["contract"]
        tag = f"{row['asset']}.{row['tag']}" if row["tag"] else ""
        table.append((name, tag, row["bounds"], row["mode"], left, row["signed_by"], row["state"]))
    widths = [max(len(cell or "–") for cell in column) for column in zip(*table, strict=True)]
    lines = []
    for cells, why_not in zip(table, ["", *(row["why_not"] for row in rows)], strict=True):
        line = "  ".join(f"{cell or '–':{width}}" for cell, width in zip(cells, widths, strict=True))
        lines.append(line.rstrip())
        lines += [f"    not taken: {why_not}"] if why_not else []
    if any(row["state"] == "not in force" and not row["why_not"] for row in rows):
        lines.append("a gateway reads the folder when it starts, and says in its log what it refuses: start it anew")
    return lines


def _row(name: str, found: SetpointContract | None, now_ns: int) -> dict[str, Any]:
    if found is None:
        unknown = dict.fromkeys(("hash", "asset", "tag", "bounds", "mode"), "")
        return {"contract": name, "version": 0, "expires_in_s": 0.0, **unknown}
    return {
        "contract": found.id, "version": found.version, "hash": found.hash, "asset": found.asset, "tag": found.tag,
        "bounds": bounds(found), "mode": str(found.mode), "expires_in_s": (found.expires_ns - now_ns) / 1e9,
    }  # fmt: skip


def running_contracts(site: Site) -> dict[str, Any] | None:
    try:
        return ask(site.resolve(site.file.gateway.data_dir) / "gateway.sock", "contracts")
    except UnknownCommandError:
        return {}
    except BabbittError:
        return None


def read_file(path: Path, bytes_max: int) -> bytes:
    """At most a byte more than ``bytes_max``. Raises ``ConfigError``."""
    try:
        with path.open("rb") as file:
            return file.read(bytes_max + 1)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be read: {error.strerror}", "name a file that exists") from error


def checked(path: Path, site: Site, *, now_ns: int) -> tuple[SetpointContract | None, list[ConfigError]]:
    """The contract, and everything that is wrong with it."""
    try:
        found, wrong = read_contract(read_file(path, BYTES_MAX), where=str(path))
    except ConfigError as error:
        return None, [error]
    if found is None:
        return None, wrong
    if found.expires_ns <= now_ns:
        wrong.append(
            ConfigError(str(path), f"`expires`: {utc(found.expires_ns)} is past", "say until when it is to hold")
        )
    return found, wrong + problems(found, site, where=str(path))


def neighbours(file: Path, site: Site) -> Iterator[tuple[str, SetpointContract]]:
    """The other contracts of the site's folder that are signed, by whomever, and sound."""
    for document in documents(site):
        found, _ = read_contract(_bytes(document), where=document.name)
        if (
            found is not None
            and document.signature
            and (contracts_folder(site) / f"{document.name}.toml").resolve() != file.resolve()
        ):
            yield f"{document.name}.toml", found


def _bytes(document: ContractDocument) -> bytes:
    return document.text.encode("utf-8", "replace")


def outdated(one: SetpointContract, site: Site, path: Path) -> list[ConfigError]:
    """What the running gateway, if there is one, holds against the version."""
    for held in (running_contracts(site) or {}).get("contracts", []):
        if held["id"] == one.id and held["hash"] != one.hash and held["version"] >= one.version:
            problem = f"`version`: found {one.version}, the running gateway holds version {held['version']}"
            return [ConfigError(str(path), problem, "raise it: a gateway takes no lower one, and no other one alike")]
    return []


def why_untrusted(site: Site, contract: str, signature: bytes) -> str:
    """Why the site's gateway does not take the contract with this hash; empty where it does."""
    from edge.trust import contract_trust_of

    try:
        contract_trust_of(site).signer_of_contract(contract, signature)
    except (ConfigError, ValueError) as error:
        return str(error)
    return ""


def write_file(path: Path, data: bytes) -> None:
    part = path.with_name(f"{path.name}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        part.write_bytes(data)
        part.replace(path)
    except OSError as error:
        raise ConfigError(str(path), f"cannot be written: {error.strerror}", "is the folder writable?") from error


def contract_of(command: Command, contract: Path | None, config: Path | None) -> SetpointContract:
    """The contract that ``command`` names by its hash: in its file, or in the folder of a site.

    Raises ``ConfigError``.
    """
    wanted = command.contract[:12]
    if contract is not None:
        found = parse_contract(read_file(contract, BYTES_MAX), where=str(contract))
        if found.hash != command.contract:
            problem = f"is another contract ({found.hash[:12]}) than the command's ({wanted})"
            raise ConfigError(str(contract), problem, "a changed contract wants a new command")
        return found
    if config is None:
        raise ConfigError(wanted, "the command's contract is not at hand", "name its file by --contract, or --site")
    site = load_site(config)
    for document in documents(site):
        sound, _ = read_contract(_bytes(document), where=document.name)
        if sound is not None and sound.hash == command.contract:
            return sound
    problem = f"holds no contract with the hash {wanted}"
    raise ConfigError(str(contracts_folder(site)), problem, "name its file by --contract")


def read_command(path: Path) -> Command:
    """Raises ``ConfigError``."""
    try:
        return parse_command(read_file(path, COMMAND_BYTES_MAX))
    except ValueError as error:
        raise ConfigError(
            str(path), f"is no command: {error}", "one is made by `babbitt gateway command give`"
        ) from error


def highest_order(site: Site) -> int:
    """Of the commands that the running gateway knows; 0 where none runs."""
    return int((running_contracts(site) or {}).get("order", 0))
