"""The command line as a person meets it: help that teaches; bad input ends in one clear line and an exit code."""

from __future__ import annotations

import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from cloud.demo.processes import write_site
from edge.cli import babbitt
from edge.config.site import profiles_root
from tests.waiting import DEADLINE_S

DEMO = profiles_root() / "sites/demo.toml"
README = profiles_root().parent / "README.md"


def run(*arguments: str, timeout_s: float = DEADLINE_S) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "edge.cli", *arguments], capture_output=True, text=True, timeout=timeout_s, check=False
    )


def commands(group: click.Command, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    found = [(path, group)]
    if isinstance(group, click.Group):
        context = click.Context(group)
        for name in group.list_commands(context):
            command = group.get_command(context, name)
            assert command is not None
            found += commands(command, (*path, name))
    return found


@pytest.mark.parametrize(
    ("path", "command"), commands(babbitt), ids=lambda value: " ".join(value) if isinstance(value, tuple) else ""
)
def test_every_command_and_option_has_help(path: tuple[str, ...], command: click.Command) -> None:
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option) and not parameter.hidden:
            assert parameter.help, f"babbitt {' '.join(path)} {parameter.opts[0]}"


@pytest.mark.parametrize("group", ["plant", "gateway", "profile", "decode", "cloud", "demo"])
def test_the_readme_leads_to_every_group(group: str) -> None:
    assert f"babbitt {group}" in README.read_text(encoding="utf-8")


def plain_site(folder: Path, **change: Any) -> Path:
    """The demonstration's site without uplink, and the spindle alone."""

    def apply(tables: dict[str, Any]) -> None:
        del tables["uplink"]
        tables["line"] = [change.get("line", tables["line"][0])]
        tables["asset"] = tables["asset"][:1]
        tables["asset"][0]["unit"][0]["line"] = tables["line"][0]["name"]
        tables["plant"]["machine"] = tables["plant"]["machine"][:1]
        tables["gateway"].update(change.get("gateway", {}))
        tables.update(change.get("top", {}))

    path = folder / "site.toml"
    write_site(DEMO, path, apply)
    return path


def test_a_wrong_configuration_is_one_line_and_exit_code_2(tmp_path: Path) -> None:
    path = tmp_path / "site.toml"
    path.write_text(DEMO.read_text(encoding="utf-8").replace("port = 5020", "port = 0"), encoding="utf-8")
    for command in (("gateway", "run"), ("plant", "run"), ("gateway", "ledger")):
        done = run(*command, str(path))
        assert done.returncode == 2
        assert done.stderr.count("\n") == 1
        assert f"{path}: `line[0].port`" in done.stderr
        assert not done.stdout


def test_a_port_in_use_is_said_by_plant_and_cloud(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        line = {"kind": "modbus-tcp", "name": "hall", "host": "127.0.0.1", "port": port}
        plant = run("plant", "run", str(plain_site(tmp_path, line=line)))
        tokens = tmp_path / "tokens"
        assert run("cloud", "token", "g", "--tokens", str(tokens), "--out", str(tmp_path / "t")).returncode == 0
        cloud = run("cloud", "serve", "--port", str(port), "--data", str(tmp_path / "cloud"), "--tokens", str(tokens))
    for done in (plant, cloud):
        assert done.returncode == 3, done.stderr
        assert str(port) in done.stderr
        assert "in use" in done.stderr
        assert "Traceback" not in done.stderr


def test_an_unreadable_bundle_ends_the_gateway(tmp_path: Path) -> None:
    shipped = profiles_root() / "bundles/cnc_spindle"
    own = tmp_path / "own/bundles/cnc_spindle"
    own.mkdir(parents=True)
    for file in shipped.iterdir():
        (own / file.name).write_bytes(file.read_bytes())
    model = next(own.glob("*.tflite"))
    model.write_bytes(model.read_bytes()[:-1] + b"\x55")
    done = run("gateway", "run", str(plain_site(tmp_path, top={"profiles": "own"})))
    assert done.returncode == 5, done.stderr
    assert model.name in done.stderr
    assert "Traceback" not in done.stderr


def test_a_store_of_another_program_is_left_alone(tmp_path: Path) -> None:
    import sqlite3

    site = plain_site(tmp_path)
    (tmp_path / "gateway").mkdir()
    store = tmp_path / "gateway/store.db"
    with sqlite3.connect(store) as database:
        database.execute("CREATE TABLE theirs (x)")
    database.close()
    before = store.read_bytes()
    done = run("gateway", "run", str(site))
    assert done.returncode == 4, done.stderr
    assert str(store) in done.stderr
    assert store.read_bytes() == before


@pytest.mark.parametrize("data_dir", ["file/gateway", "/proc/none", "d" * 120])
def test_a_data_folder_that_cannot_be_used_is_one_line(tmp_path: Path, data_dir: str) -> None:
    (tmp_path / "file").write_text("in the way")
    done = run("gateway", "run", str(plain_site(tmp_path, gateway={"data_dir": data_dir})))
    assert done.returncode in (1, 4), done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    assert data_dir in done.stderr


def test_asking_a_gateway_that_does_not_run(tmp_path: Path) -> None:
    done = run("gateway", "status", str(plain_site(tmp_path)))
    assert done.returncode == 1
    assert "gateway.sock: nobody answers (is it running" in done.stderr
    assert "`babbitt gateway run` starts it" in done.stderr
    assert "Errno" not in done.stderr


@pytest.mark.parametrize(
    ("missing", "arguments", "extra"),
    [
        ("sklearn", ["cloud", "train", "--plant", "-o", "bundles"], "train"),
        ("uvicorn", ["cloud", "serve", "--tokens", "tokens"], "cloud"),
        ("ai_edge_litert", ["cloud", "train", "--plant", "-o", "bundles"], "edge"),
    ],
)
def test_a_package_that_is_not_installed_names_the_extra_that_brings_it(
    missing: str, arguments: list[str], extra: str
) -> None:
    program = f"import sys; sys.modules[{missing!r}] = None; from edge.cli import main; main()"
    found = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=DEADLINE_S, check=False
    )
    assert found.returncode == 1
    assert found.stderr == f"babbitt: {missing}: the package is not installed (pip install 'babbitt[{extra}]')\n"
