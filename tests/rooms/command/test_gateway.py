"""Guarded writes in a whole gateway: from the signed file and the socket's question to the register and the audit."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from edge.config.site import load_site
from edge.contract.commands import Command
from edge.errors import ConfigError
from edge.local_socket import answering, ask
from edge.runtime import Gateway
from tests.faults.commands import Killed
from tests.peers.drive import Drive, over_tcp
from tests.rooms.command.rig import GATEWAY, PRESSURE, SETPOINT, S, signed

DEADLINE_S = 60.0


def a_drive() -> Drive:
    drive = Drive({})
    drive.put(1, SETPOINT, 1200, *[0] * 16)
    drive.put_float(1, PRESSURE, 3.0)
    return drive


def command(made: Killed, value: float, *names: str, **fields: Any) -> dict[str, Any]:
    now_ns = time.time_ns()
    told: dict[str, Any] = {
        "gateway": GATEWAY, "order": made.next_order(), "contract": made.hash, "asset": "pump-1", "tag": "setpoint",
        "value": value, "issued_ns": now_ns, "expires_ns": now_ns + 60 * S, "by": "Ada", "why": "a try",
    } | fields  # fmt: skip
    return asdict(signed(Command(**told), *(names or ("Ada",))))


def test_a_command_by_the_socket_is_carried_out_and_told(tmp_path: Path) -> None:
    async def scene() -> None:
        drive = a_drive()
        async with over_tcp(drive):
            made = Killed(tmp_path, 1, drive)
            gateway = Gateway(load_site(tmp_path / "site.toml"))
            stop, ready = asyncio.Event(), asyncio.Event()
            socket = tmp_path / "gw/gateway.sock"

            async def question(name: str, **arguments: Any) -> dict[str, Any]:
                return await asyncio.to_thread(ask, socket, name, **arguments)

            async def until(name: str, condition: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
                async with asyncio.timeout(DEADLINE_S):
                    while not condition(told := await question(name)):  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                return told

            async with answering(socket, gateway.commands()):
                running = asyncio.ensure_future(gateway.run(ready.set, stop))
                async with asyncio.timeout(DEADLINE_S):
                    await ready.wait()
                [held] = (await question("contracts"))["contracts"]
                assert (held["hash"], held["mode"], held["tag"]) == (made.hash, "auto", "setpoint")
                first = command(made, 1300.0)
                assert (await question("command", signed=first))["words"] == "taken"
                await until("advice", lambda told: not told["advice"] and bool(drive.log))
                again = await question("command", signed=first)
                assert (again["step"], [one.numbers for one in drive.log]) == ("kept", [(1300,)])
                forged = await question("command", signed=first | {"value": 1400.0})
                assert forged["step"] == "refused"
                with pytest.raises(Exception, match=r"command\.value: not a finite number"):
                    await question("command", signed=first | {"value": float("nan")})
                told = (await question("status"))["commands"]
                assert (told["contracts"], told["refused"]) == (1, {"signed": 1})
                stop.set()
                await running
            gateway.close()
            steps = [one.step.value for one in made.audited()]
            assert steps == ["accepted", "writing", "executed", "kept", "refused"]

    asyncio.run(scene())


def test_without_its_table_nothing_of_it_is_loaded_and_nobody_answers(tmp_path: Path) -> None:
    made = Killed(tmp_path, 1, Drive({}, port=9))
    path = made.folder / "site.toml"
    path.write_text(path.read_text().partition("[command]")[0])
    script = (
        "import sys; from pathlib import Path;"
        "from edge.runtime import Gateway; from edge.config.site import load_site;"
        f"gateway = Gateway(load_site(Path({str(path)!r})));"
        "assert not {'command', 'advice', 'contracts'} & gateway.commands().keys();"
        "found = [name for name in sys.modules if name.startswith(('edge.command', 'nacl'))];"
        "gateway.close(); print(found)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=DEADLINE_S
    )
    assert done.stdout.strip().splitlines()[-1] == "[]"


def test_a_key_that_cannot_be_had_is_said_at_the_start_and_leaves_no_store_open(tmp_path: Path) -> None:
    made = Killed(tmp_path, 1, Drive({}, port=9))
    path = made.folder / "site.toml"
    path.write_text(path.read_text().replace('contract_keys = ["engineer.pub"]', 'contract_keys = ["nobody.pub"]'))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"nobody\.pub: cannot be read"):
            Gateway(load_site(path))


def test_an_enable_pin_that_cannot_be_had_forbids_writes_and_ends_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GPIOZERO_PIN_FACTORY", "native")
    made = Killed(tmp_path, 1, Drive({}, port=9))
    path = made.folder / "site.toml"
    path.write_text(path.read_text() + "enable_gpio = 5")
    gateway = Gateway(load_site(path))
    try:
        guard = gateway.rooms.commanding.guard
        assert guard is not None
        assert guard.disabled.startswith("pin 5: the enable input cannot be read")
    finally:
        gateway.close()
