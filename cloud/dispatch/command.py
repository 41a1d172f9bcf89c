"""``babbitt cloud key`` and ``sign``: who stands behind a bundle."""

from __future__ import annotations

import json
from pathlib import Path

import click

_PATH = click.Path(path_type=Path)
JSON = click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead.")


@click.group()
def key() -> None:
    """Keys that bundles are signed with."""


@key.command()
@click.argument("file", type=_PATH)
@click.option("--public", type=_PATH, help="New file for the public half; FILE with the ending .pub by default.")
@JSON
def make(file: Path, public: Path | None, as_json: bool) -> None:
    """Make a pair of keys: FILE (mode 0600) signs bundles, the public half lets gateways take them.

    \b
    Example:
      babbitt cloud key make ~/keys/plant.pem
      babbitt cloud sign bundles/cnc_spindle --key ~/keys/plant.pem

    Copy the public half into `keys/` of the site's own profiles, or name it in the site file:
      [gateway]
      bundle_keys = ["plant.pub"]

    Keep FILE where only people who release bundles can read it, with a copy: nothing replaces a lost one.
    """
    from cloud.dispatch import signing

    public = public or file.with_suffix(".pub")
    name = signing.make_key(file, public)
    if as_json:
        click.echo(json.dumps({"key": name, "private": str(file), "public": str(public)}))
    else:
        click.echo(f"key {name}: {file} signs, {public} is for gateways")


@click.command()
@click.argument("bundles", nargs=-1, required=True, type=_PATH, metavar="BUNDLE...")
@click.option("--key", "private", required=True, type=_PATH, help="Private key; see `babbitt cloud key make`.")
@JSON
def sign(bundles: tuple[Path, ...], private: Path, as_json: bool) -> None:
    """Sign each BUNDLE, a folder as `babbitt cloud train` fills it: gateways take no unsigned one.

    \b
    Example:
      babbitt cloud sign firmware_profiles/bundles/* --key release.pem
    """
    from cloud.dispatch import signing

    signed = {str(folder): signing.sign(folder, private) for folder in bundles}
    if as_json:
        click.echo(json.dumps({path: {"bundle": s.bundle, "key": s.key} for path, s in signed.items()}))
        return
    for path, signature in signed.items():
        click.echo(f"{path}: {signature.bundle[:16]} signed by key {signature.key}")
