"""``babbitt bundle``: a customer's own model becomes what a gateway judges with."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from edge.commission.pack import Packed

_PATH = click.Path(path_type=Path)


@click.group()
def bundle() -> None:
    """Bundles: the models that a gateway judges a class of machine with."""


@bundle.command()
@click.argument("model", metavar="MODEL.tflite", type=_PATH)
@click.option("--manifest", required=True, type=_PATH, metavar="FILE.toml", help="What the model takes and gives.")
@click.option("-o", "--out", required=True, type=_PATH, metavar="DIR", help="The bundle's folder, made if missing.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object instead of words.")
def pack(model: Path, manifest: Path, out: Path, as_json: bool) -> None:
    """Make a bundle of your own MODEL.tflite: float or int8, one row in, one row out.

    The model is run as the gateway will run it, and refused in words where it does not fit. A model of life alone, or
    of anomaly alone, is enough.

    \b
    The manifest, with everything it may say:
      class = "centrifugal_pump"      # the asset class that it judges
      created_by = "plant 2, 2026-03" # for people
      hour_meter = "hour_meter_h"     # tag of operating hours; left out, hours of the clock count
      outputs = ["rul_h", "health"]   # what it gives, in order: rul_h, health (1 as new, 0 failed),
                                      # anomaly, - for what nobody asks for;
                                      # or ["inputs"] of an autoencoder
      [[feature]]                     # one for each input, in order
      tag = "vibration_mm_s"
      unit = "mm/s"                   # refused at an asset that gives it in another
      over_h = 6.0                    # mean over these hours; left out: the last reading
      centre = 2.1                    # it is fed (value - centre) / spread; left out: the value as it is
      spread = 0.8
      low = 0.2                       # where it was trained: what lies beyond is cut to it, said in the
      high = 11.0                     # verdict's note, and widens the interval
      [life]                          # with the output rul_h
      cap_h = 1000.0                  # the longest life it can tell
      coverage = 0.9                  # what the margins hold for, on machines that it had not seen
      at_h = [10.0, 100.0, 1000.0]    # margins of a predicted life, linear between
      below_h = [6.0, 40.0, 300.0]
      above_h = [12.0, 80.0, 0.0]
      [anomaly]                       # with the output anomaly, or inputs
      threshold = 3.5

    An int8 model has one scale for all its outputs: beside hours, health as a share of 1 is lost; use a float one.

    \b
    Example; sign it for your gateways next:
      babbitt bundle pack pump.tflite --manifest pump.toml -o own/bundles/centrifugal_pump
      babbitt cloud sign own/bundles/centrifugal_pump --key ~/keys/plant.pem
    """
    from edge.commission.pack import packed
    from edge.contract.bundle import save_bundle

    made = packed(model, manifest)
    _check(made)
    found = save_bundle(out, made.manifest, made.files)
    told = {"path": str(out), "hash": found, "class": made.manifest["asset_class"], **_facts(made)}
    if as_json:
        click.echo(json.dumps(told))
        return
    click.echo(f"{out}: a bundle for {told['class']}, hash {found[:16]}")
    click.echo(f"takes {', '.join(told['takes'])}")
    click.echo(f"gives {', '.join(told['gives'])}; {told['bytes']:,} bytes, runs in LiteRT")
    click.echo(f"sign it before a gateway takes it: babbitt cloud sign {out} --key KEY.pem")


def _check(made: Packed) -> None:
    """Load and run it as a gateway does, in a folder that is thrown away: nothing is left of one that does not fit."""
    from edge.contract.bundle import OwnBundle, load_bundle, save_bundle
    from edge.infer.own import Own

    with tempfile.TemporaryDirectory() as folder:
        save_bundle(Path(folder), made.manifest, made.files)
        loaded = load_bundle(Path(folder))
        assert isinstance(loaded, OwnBundle)
        Own(loaded)


def _facts(made: Packed) -> dict[str, list[str] | int]:
    takes = [
        f"{f.tag} [{f.unit}]" + (f" over {f.over_h:g} h" if f.over_h else "") for f in made.own.features
    ]  # fmt: skip
    gives = [name for name in made.own.outputs if name != "-"]
    return {"takes": takes, "gives": gives, "bytes": sum(len(data) for data in made.files.values())}
