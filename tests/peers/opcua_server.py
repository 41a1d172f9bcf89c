"""asyncua's own server as a peer, in a process of its own: told what to do by lines of JSON on its standard input.

    python -m tests.peers.opcua_server PORT FOLDER     FOLDER holds its certificate.der, key.pem and trusted/*.der

It answers each line with one line: ``{"set": "Temp", "value": 1.5, "status": 1073741824, "at": "2026-01-01T00:00Z"}``
writes, ``{"ask": "sessions"}`` counts (with ``"anew": true`` the most at a time from now on), ``{"delete": "Temp"}``
and ``{"add": "Temp"}`` change what there is.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
import logging
import sys
from pathlib import Path
from typing import Any, cast

import asyncua.ua as typed_ua
from asyncua import Server
from asyncua.common.structures104 import new_struct, new_struct_field
from asyncua.common.utils import ServiceError
from asyncua.crypto.permission_rules import User, UserRole
from asyncua.crypto.uacrypto import load_certificate

ua: Any = typed_ua  # Its annotations want its own subclasses of int and str, which it does not need.
URI = "urn:babbitt:test:plant"
USER, PASSWORD = "operator", "correct horse"


class Users:
    """Anybody who says nothing, and one user by name."""

    def get_user(
        self, iserver: Any, username: str | None = None, password: str | None = None, certificate: Any = None
    ) -> User | None:
        if username is None or (username == USER and password == PASSWORD):
            return User(role=UserRole.Admin)
        return None


class Peer:
    def __init__(self, port: int, folder: Path | None) -> None:
        self.port, self.folder = port, folder
        self.server = Server(user_manager=cast(Any, Users()))
        self.nodes: dict[str, Any] = {}
        self.opened = 0
        self.most = 0
        self.counted = 0
        self.is_counting = False
        self.there = True
        self.task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        server = self.server
        await server.init()
        server.set_endpoint(f"opc.tcp://127.0.0.1:{self.port}")
        await server.set_application_uri("urn:babbitt:test:server")
        policies = [ua.SecurityPolicyType.NoSecurity]
        if self.folder is not None:
            await server.load_certificate(self.folder / "certificate.der")
            await server.load_private_key(self.folder / "key.pem")
            trusted = [(await load_certificate(path)) for path in (self.folder / "trusted").glob("*.der")]

            async def check(certificate: Any, _: Any) -> None:
                if certificate not in trusted:
                    raise ServiceError(ua.StatusCodes.BadCertificateUntrusted)

            server.set_certificate_validator(check)
            policies += [
                ua.SecurityPolicyType.Basic256Sha256_Sign, ua.SecurityPolicyType.Basic256Sha256_SignAndEncrypt,
                ua.SecurityPolicyType.Aes256Sha256RsaPss_SignAndEncrypt,
            ]  # fmt: skip
        server.set_security_policy(policies)
        await self._fill()
        self._count()
        await server.start()

    async def _fill(self) -> None:
        server = self.server
        self.index = await server.register_namespace(URI)
        self.motor = await server.nodes.objects.add_object(ua.NodeId("Motor1", self.index), "Motor1")
        for name, value in (
            ("Temp", 21.5), ("Count", ua.Variant(0, ua.VariantType.Int32)), ("Run", True), ("Name", "pump"),
            ("Levels", [1.0, 2.0, 3.0]), ("Big", ua.Variant(2**40, ua.VariantType.UInt64)), ("Still", 7.0),
        ):  # fmt: skip
            await self.add(name, value)
        for name in ("d0.p0", "d0.p1", "d1.p0", "d1.p1"):
            await self.add(name, 0.0)
        await self._add_structure()
        units = await self.nodes["Temp"].add_property(
            ua.NodeId(0, self.index), ua.QualifiedName("EngineeringUnits", 0),
            ua.EUInformation(NamespaceUri="http://www.opcfoundation.org/UA/units/un/cefact", UnitId=4408652,
                             DisplayName=ua.LocalizedText("°C")),
        )  # fmt: skip
        assert units is not None

    async def add(self, name: str, value: Any = 0.0) -> None:
        self.nodes[name] = await self.motor.add_variable(ua.NodeId(f"Motor1.{name}", self.index), name, value)
        await self.nodes[name].set_writable()

    async def _add_structure(self) -> None:
        inner, _ = await new_struct(
            self.server, self.index, "Bearing", [new_struct_field("Wear", ua.VariantType.Double)]
        )
        state, _ = await new_struct(
            self.server, self.index, "State",
            [
                new_struct_field("Speed", ua.VariantType.Int32), new_struct_field("Note", ua.VariantType.String),
                new_struct_field("Loads", ua.VariantType.Double, array=True),
                new_struct_field("Extra", ua.VariantType.Double, optional=True),
                new_struct_field("Bearing", inner), new_struct_field("Bearings", inner, array=True),
            ],
        )  # fmt: skip
        types = await self.server.load_data_type_definitions()
        self.bearing, self.state = types["Bearing"], types["State"]
        self.nodes["State"] = await self.motor.add_variable(
            ua.NodeId("Motor1.State", self.index), "State", self.made(1), datatype=state.nodeid
        )

    def made(self, speed: int) -> Any:
        return self.state(
            Speed=ua.Int32(speed), Note="fine", Loads=[0.5, 0.25], Extra=None, Bearing=self.bearing(Wear=0.125),
            Bearings=[self.bearing(Wear=1.0), self.bearing(Wear=2.0)],
        )  # fmt: skip

    def _count(self) -> None:
        """Sessions that were ever made, and the most that stood at a time."""
        iserver: Any = self.server.iserver
        make = iserver.create_session

        def counted(*args: Any, **named: Any) -> Any:
            session = make(*args, **named)
            if named.get("external") or session.external:
                self.opened += 1
                self.most = max(self.most, self.now())
            return session

        iserver.create_session = counted

    def now(self) -> int:
        return len(self.server.iserver._external_sessions)

    async def obey(self, told: dict[str, Any]) -> Any:
        if "set" in told:
            return await self._set(told)
        if "state" in told:
            return await self.nodes["State"].write_value(self.made(told["state"]))
        if told.get("ask") == "sessions":
            if told.get("anew"):
                self.most = self.now()
            return {"now": self.now(), "opened": self.opened, "most": self.most}
        if told.get("ask") == "count":
            return {"count": self.counted}
        if "fill" in told:
            return await self._set({"set": told["fill"], "value": [0.5] * told["floats"]})
        if "add" in told:
            return await self.add(told["add"])
        if "delete" in told:
            return await self.server.delete_nodes([self.nodes.pop(told["delete"])])
        if "count_every_ms" in told:
            self.task = asyncio.create_task(self._count_up(told["count_every_ms"] / 1000))
            return None
        if "stop_counting" in told:
            assert self.task is not None
            self.is_counting = False
            await self.task
            return {"count": self.counted}
        if "no_sessions" in told:
            from asyncua.server.internal_session import InternalSession

            InternalSession.max_connections = 0 if told["no_sessions"] else 1000
            return None
        if "leave" in told:
            return await self._leave()
        if "return" in told:
            return await self._return()
        if "drop" in told:
            for transport in list(self.server.iserver.asyncio_transports):
                transport.abort()
            return None
        raise ValueError(told)

    async def _leave(self) -> None:
        """As if it were switched off: nothing listens, and it forgets its sessions with their subscriptions."""
        self.there = False
        for transport in list(self.server.iserver.asyncio_transports):
            transport.abort()
        bserver: Any = self.server.bserver
        bserver._server.close()
        for session in list(self.server.iserver._external_sessions.values()):
            await session.close_session(True)

    async def _return(self) -> None:
        if not self.there:
            self.there = True
            bserver: Any = self.server.bserver
            await bserver.start()

    async def _set(self, told: dict[str, Any]) -> None:
        node = self.nodes[told["set"]]
        kind = (await node.read_data_type_as_variant_type()) if not isinstance(told["value"], str | list) else None
        at = told.get("at")
        stamp = dt.datetime.now(dt.UTC) if at is None else dt.datetime.fromisoformat(at) if at else None
        await self.server.write_attribute_value(
            node.nodeid,
            ua.DataValue(
                Value=ua.Variant(told["value"], kind) if kind is not None else ua.Variant(told["value"]),
                StatusCode=ua.StatusCode(ua.UInt32(told.get("status", 0))),
                SourceTimestamp=stamp,
                ServerTimestamp=dt.datetime.now(dt.UTC),
            ),
        )

    async def _count_up(self, pause_s: float) -> None:
        self.counted, self.is_counting = 0, True
        while self.is_counting:
            await self._set({"set": "Count", "value": self.counted + 1})
            self.counted += 1
            await asyncio.sleep(pause_s)


async def main() -> None:
    logging.getLogger("asyncua").setLevel(logging.CRITICAL + 1)
    peer = Peer(int(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)
    await peer.start()
    print(json.dumps({"ready": peer.port}), flush=True)
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        answer = await peer.obey(json.loads(line))
        print(json.dumps({"done": answer} if isinstance(answer, dict) else {"done": None}), flush=True)


if __name__ == "__main__":
    asyncio.run(main())
