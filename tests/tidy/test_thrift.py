"""A gateway loads what its site needs and no more: on a device with 512 MB each of these costs megabytes."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

from cloud.demo.processes import write_site
from edge.cli.gateway import gateway
from tests.world.hall import Hall, describe

DEADLINE_S = 60
LOADED = """
import sys
from edge.gateway import main
main()
print(*sys.modules)
"""
# What no gateway of Modbus TCP alone loads, though something in it can: a name stands for all that is below it.
WITHOUT = {
    "_ssl", "_hashlib", "ssl", "asyncio.sslproto", "cryptography", "nacl", "cffi",  # OpenSSL alone: 4 MB
    "click", "edge.cli", "edge.commission", "edge.plant", "pymodbus", "rich", "tomli_w", "importlib.metadata",
    "httpx", "httpcore", "anyio", "h11", "certifi", "idna", "http", "email", "edge.uplink", "urllib.request",
    "starlette", "uvicorn", "jinja2", "markupsafe", "edge.page", "edge.http",
    "ai_edge_litert", "flatbuffers", "google", "edge.infer",
    "paho", "asyncua", "bacpypes3", "serial", "edge.mqtt", "edge.opcua", "edge.sparkplug", "edge.north",
    "edge.command", "edge.setpoint", "edge.keys", "edge.certificates",
    "sqlite_utils", "numpy.random", "numpy.fft", "numpy.ma", "numpy.polynomial", "numpy.testing",
    "multiprocessing", "argparse", "gettext", "typing_extensions", "unicodedata", "statistics", "fractions", "random",
    "shutil", "lzma", "bz2", "pickle", "ipaddress", "locale", "msgspec.inspect", "numpy._core._add_newdocs",
    "edge.contract.bundle", "edge.contract.own", "xml", "unittest", "doctest", "pydoc", "PIL", "luma", "gpiozero",
}  # fmt: skip
# What it does load; without these the test would look at something else than a gateway at work.
WITH = {"asyncio", "hashlib", "numpy", "sqlite3", "edge.runtime.gateway", "edge.drivers.modbus_tcp"}


def loaded_by(site: Path) -> set[str]:
    """The modules of a gateway of ``site``, started as always, that polled and was then ended."""
    process = subprocess.Popen([sys.executable, "-c", LOADED, str(site), "info"], text=True, stdout=-1, stderr=-1)
    try:
        assert process.stderr is not None
        told = iter(process.stderr.readline, "")
        assert any("is running" in line for line in told)
        process.send_signal(signal.SIGTERM)
        return set(process.communicate(timeout=DEADLINE_S)[0].split())
    finally:
        process.kill()
        process.wait()


def test_a_gateway_of_modbus_alone_does_without(tmp_path: Path) -> None:
    hall = Hall()
    try:
        loaded = loaded_by(describe(tmp_path, [hall.port], units=1, panel={"kind": "none"}))
    finally:
        hall.close()
    assert loaded >= WITH
    assert not {name for name in loaded if any(f"{name}.".startswith(f"{one}.") for one in WITHOUT)}


def test_an_uplink_brings_its_client_and_not_that_ones_command_line(tmp_path: Path) -> None:
    """What is missed above is not missed because nobody could load it."""
    hall = Hall()
    (tmp_path / "token").write_text("nobody-asks\n", encoding="ascii")
    (tmp_path / "token").chmod(0o600)
    site = describe(tmp_path, [hall.port], units=1, panel={"kind": "none"})
    uplink = {"url": "http://127.0.0.1:9", "token_file": "token"}
    try:
        write_site(site, site, lambda tables: tables.update(uplink=uplink))
        loaded = loaded_by(site)
    finally:
        hall.close()
    assert {"httpx", "_ssl", "edge.uplink.http"} <= loaded
    assert not {"click", "rich", "pygments", "edge.cli"} & loaded


def test_every_command_is_where_the_command_line_looks_for_it() -> None:
    for name in gateway.list_commands(None):  # type: ignore[arg-type]
        command = gateway.get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        assert command.name == name
