"""A BACnet/IP device by bacpypes3, run as a process: ``python bacnet_bacpypes.py ADDRESS PORT INSTANCE``.

Objects: analog input 1, binary input 1, multi-state input 1 (three states), analog values 1 (that tells of no changes),
2 and 3. Commands on standard input: ``ai 22.5``, ``bi 1``, ``msi 2``, ``av1 nan``, ``flags ai 0100``,
``reliability ai 1``, ``forget`` (drop all subscriptions), ``i-am ADDRESS:PORT``; each is acknowledged by a line. A
fourth argument names services that it does not have, as ``ReadPropertyMultiple,SubscribeCOV``.
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

from bacpypes3.app import Application
from bacpypes3.basetypes import BinaryPV, EngineeringUnits, Reliability, StatusFlags
from bacpypes3.local.analog import AnalogInputObject, AnalogValueObject
from bacpypes3.local.binary import BinaryInputObject
from bacpypes3.local.cov import GenericCriteria
from bacpypes3.local.device import DeviceObject
from bacpypes3.local.multistate import MultiStateInputObject
from bacpypes3.local.networkport import NetworkPortObject
from bacpypes3.pdu import Address
from bacpypes3.primitivedata import Real, Unsigned

CONVERT = {"ai": Real, "bi": BinaryPV, "msi": Unsigned, "av1": Real, "av2": Real, "av3": Real}


def made(address: str, port: int, instance: int, without: str) -> tuple[Application, dict[str, Any]]:
    class Device(Application):  # type: ignore[misc]
        pass

    for service in without.split(",") if without else ():

        async def refused(self: Application, apdu: Any) -> None:
            from bacpypes3.errors import UnrecognizedService

            raise UnrecognizedService("not here")

        setattr(Device, f"do_{service}Request", refused)
    common = {"eventState": "normal", "statusFlags": [0, 0, 0, 0], "outOfService": False}
    objects = {
        "ai": AnalogInputObject(
            objectIdentifier=("analog-input", 1), objectName="temperature", presentValue=21.5,
            units=EngineeringUnits.degreesCelsius, covIncrement=0.1, reliability=Reliability.noFaultDetected, **common,
        ),
        "bi": BinaryInputObject(
            objectIdentifier=("binary-input", 1), objectName="pump", presentValue=BinaryPV.inactive, polarity="normal",
            **common,
        ),
        "msi": MultiStateInputObject(
            objectIdentifier=("multi-state-input", 1), objectName="mode", presentValue=1, numberOfStates=3, **common
        ),
    }  # fmt: skip
    for i in (1, 2, 3):
        objects[f"av{i}"] = AnalogValueObject(
            objectIdentifier=("analog-value", i), objectName=f"value {i}", presentValue=0.0,
            units=EngineeringUnits.degreesCelsius, covIncrement=0.1, **common,
        )  # fmt: skip
    objects["av1"]._cov_criteria = None
    # bacpypes3 0.0.110 gives multi-state inputs the increment of analog ones, and fails at it.
    objects["msi"]._cov_criteria = GenericCriteria
    device = DeviceObject(
        objectIdentifier=("device", instance), objectName=f"bacpypes-{instance}", vendorIdentifier=999,
        maxApduLengthAccepted=480,
    )  # fmt: skip
    network = NetworkPortObject(f"{address}/8:{port}", objectIdentifier=("network-port", 1), objectName="port")
    return Device.from_object_list([device, network, *objects.values()]), objects


async def main(address: str, port: int, instance: int, without: str = "") -> None:
    app, objects = made(address, port, instance, without)
    await asyncio.sleep(0.1)
    print("ready", flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        match line.split():
            case ["flags", name, bits]:
                objects[name].statusFlags = StatusFlags([int(bit) for bit in bits])
            case ["reliability", name, number]:
                objects[name].reliability = Reliability(int(number))
            case ["forget"]:
                for detection in list(app._cov_detections.values()):
                    for subscription in list(detection.cov_subscriptions):
                        app.cancel_subscription(subscription)
                        subscription.cancel_subscription()
            case ["i-am", where]:
                app.i_am(address=Address(where))
            case [name, text]:
                value = int(text) if name in ("bi", "msi") else float(text)
                objects[name].presentValue = CONVERT[name](value)
        await asyncio.sleep(0)
        print("done", flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:]))
