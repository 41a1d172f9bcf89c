"""A BACnet/IP device by rusty-bacnet, a stack in Rust, as a process: ``python bacnet_rusty.py ADDRESS PORT INSTANCE``.

Objects: analog input 1, binary input 1, multi-state input 1 (three states). Commands on standard input: ``ai 22.5``,
``bi 1``, ``msi 2``; each is acknowledged by a line. Ends with its standard input. A fourth argument ``bbmd`` lets
foreign devices register with it.
"""

from __future__ import annotations

import asyncio
import sys

from rusty_bacnet import BACnetServer, Bbmd, ObjectIdentifier, ObjectType, PropertyValue

KINDS = {
    "ai": (ObjectType.ANALOG_INPUT, lambda text: PropertyValue.real(float(text))),
    "bi": (ObjectType.BINARY_INPUT, lambda text: PropertyValue.enumerated(int(text))),
    "msi": (ObjectType.MULTI_STATE_INPUT, lambda text: PropertyValue.unsigned(int(text))),
}


async def main(address: str, port: int, instance: int, role: str = "") -> None:
    server = BACnetServer(
        instance, f"rusty-{instance}", interface=address, port=port, broadcast_address="127.255.255.255",
        share_port_by_address=True, bbmd=Bbmd([], accept_foreign_devices=True) if role == "bbmd" else None,
    )  # fmt: skip
    server.add_analog_input(1, "temperature", 62, 21.5)
    server.add_binary_input(1, "pump")
    server.add_multistate_input(1, "mode", 3)
    await server.start()
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        name, text = line.split()
        kind, value = KINDS[name]
        await server.set_present_value_local(ObjectIdentifier(kind, 1), value(text))  # type: ignore[no-untyped-call]
        print("done", flush=True)
    await server.stop()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
