"""``babbitt gateway certificate``: make the certificate by which OPC UA servers and clients know this gateway."""

from __future__ import annotations

import json
import socket
from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False))
@click.option("--uri", help="The application's URI; by default urn:HOST:babbitt:gateway with this machine's name.")
@click.option("--name", default="Babbitt gateway", show_default=True, help="The application's name for people.")
@click.option("--host", "hosts", multiple=True, help="A name or address of this machine; by default its host name.")
@click.option("--days", type=click.IntRange(1, 36_500), default=3650, show_default=True, help="How long it is valid.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of lines.")
def certificate(folder: Path, uri: str | None, name: str, hosts: tuple[str, ...], days: int, as_json: bool) -> None:
    """Make a self-signed OPC UA application certificate and its key in FOLDER.

    An existing one is never overwritten: servers may trust it.

    \b
    Example:
      babbitt gateway certificate pki
    and in the site file:
      certificate = "pki/certificate.der"
      key = "pki/key.pem"
    """
    from edge.certificates import make_identity, thumbprint, write_identity

    host = socket.gethostname()
    identity = make_identity(uri=uri or f"urn:{host}:babbitt:gateway", name=name, hosts=hosts or (host,), days=days)
    paths = folder / "certificate.der", folder / "key.pem"
    write_identity(identity, *paths)
    made = {
        "certificate": str(paths[0]), "key": str(paths[1]), "uri": identity.uri,
        "thumbprint": thumbprint(identity.certificate),
        "valid_until": identity.certificate.not_valid_after_utc.date().isoformat(),
    }  # fmt: skip
    if as_json:
        click.echo(json.dumps(made))
        return
    for key, value in made.items():
        click.echo(f"{key.replace('_', ' '):12} {value}")
    click.echo(f"next: let the OPC UA server trust {paths[0].name}, and compare the thumbprint there")
