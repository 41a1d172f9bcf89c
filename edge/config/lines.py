"""The kinds of line that a site may have: a bus, a connection or a broker, with how to reach it and how patient to be.

A *polled* line's devices are asked when they are due (port ``Driver``); a *pushed* line's devices speak by themselves
(port ``Source``). A further kind is one table here, in ``Line``; the site file's reference follows by itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from msgspec import Meta

from edge.config.broker import Broker
from edge.config.profiles.signal import Strict

Name = Annotated[str, Meta(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$")]


def place_of(line: Mapping[str, Any]) -> str:
    """Where a line's table leads, in a few words: its device, its address, or its broker's."""
    host = line.get("broker") or line
    address = f"{host['host']}:{host['port']}" if "host" in host and "port" in host else ""
    return str(line.get("device") or line.get("url") or line.get("interface") or address)


class Breaker(Strict, frozen=True, kw_only=True):
    """Keeps a dead unit from stalling its line: after some failures it is asked only after growing pauses."""

    failures: Annotated[int, Meta(ge=1, description="Failures in a row that open it.")] = 3
    first_s: Annotated[float, Meta(gt=0, description="The first pause; each further one doubles.")] = 1.0
    max_s: Annotated[float, Meta(gt=0, description="The longest pause.")] = 30.0


class AnyLine(Strict, frozen=True, kw_only=True):
    """What all kinds share. ``protocol`` is that of the profiles of its units; ``paths`` names fields that are paths,
    relative to the site file; ``unit_max`` is the highest unit id; ``has_places`` says whether units need an ``at``,
    None that their profiles do."""

    protocol: ClassVar[str]
    paths: ClassVar[tuple[str, ...]] = ()
    unit_max: ClassVar[int] = 255
    has_places: ClassVar[bool | None] = False

    name: Annotated[Name, Meta(description="The line's name; units refer to it.")]

    def place_trouble(self, at: str) -> str:  # noqa: ARG002
        """Why ``at`` is no place on such a line; empty where it is one."""
        return ""


class PolledLine(AnyLine, frozen=True, kw_only=True):
    """Its devices are asked."""

    breaker: Annotated[Breaker, Meta(description="See Breaker.")] = Breaker()


class PushedLine(AnyLine, frozen=True, kw_only=True):
    """Its devices speak by themselves."""


class ModbusTcp(PolledLine, frozen=True, kw_only=True, tag_field="kind", tag="modbus-tcp"):
    """A Modbus TCP server: a PLC, or a serial gateway with several units behind it."""

    protocol: ClassVar[str] = "modbus"

    host: Annotated[str, Meta(description="Host name or address.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port.")] = 502
    timeout_ms: Annotated[int, Meta(ge=10, le=60_000, description="How long one request may take.")] = 500


class ModbusRtu(PolledLine, frozen=True, kw_only=True, tag_field="kind", tag="modbus-rtu"):
    """A serial line with Modbus RTU units."""

    protocol: ClassVar[str] = "modbus"
    paths: ClassVar[tuple[str, ...]] = ("device",)

    device: Annotated[str, Meta(description="Serial device, such as /dev/ttyUSB0.")]
    baud: Annotated[int, Meta(ge=300, le=921_600, description="Bits a second.")] = 19_200
    parity: Annotated[Literal["N", "E", "O"], Meta(description="Even (the standard's default), none or odd.")] = "E"
    stop_bits: Annotated[Literal[1, 2], Meta(description="Stop bits; the standard wants 2 without parity.")] = 1
    timeout_ms: Annotated[
        int, Meta(ge=10, le=60_000, description="What a unit may take beyond the wire time of both frames.")
    ] = 300


class ModbusRtuTcp(PolledLine, frozen=True, kw_only=True, tag_field="kind", tag="modbus-rtu-tcp"):
    """A serial line with Modbus RTU units behind a serial device server that passes RTU frames on over TCP."""

    protocol: ClassVar[str] = "modbus"

    host: Annotated[str, Meta(description="Host name or address of the device server.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="Its TCP port.")] = 4001
    baud: Annotated[
        int, Meta(ge=300, le=921_600, description="The serial side's speed: how long the silence between frames is.")
    ] = 9600
    timeout_ms: Annotated[
        int, Meta(ge=10, le=60_000, description="How long one request may take, the serial side's wire time included.")
    ] = 1000


class Mqtt(PushedLine, frozen=True, kw_only=True, tag_field="kind", tag="mqtt"):
    """Devices that publish to an MQTT broker. ``at`` is what their topics begin with, or hold."""

    protocol: ClassVar[str] = "mqtt"
    has_places: ClassVar[bool | None] = None

    broker: Annotated[Broker, Meta(description="See broker.")]
    qos: Annotated[Literal[0, 1], Meta(description="1: the broker sends again what it does not know arrived.")] = 1
    persistent: Annotated[
        bool, Meta(description="Whether the broker keeps what is published while the gateway is away (with `qos` 1).")
    ] = True
    session_s: Annotated[
        int,
        Meta(ge=60, le=31_536_000, description="How long it keeps that; brokers of MQTT 3.1.1 have their own limit."),
    ] = 86_400
    payload_kb_max: Annotated[int, Meta(ge=1, le=16_384, description="A larger payload is refused as undecodable.")] = (
        256
    )

    def place_trouble(self, at: str) -> str:
        return "wildcards are the profile's to use" if set(at) & set("+#\0") else ""


class SparkplugHost(PushedLine, frozen=True, kw_only=True, tag_field="kind", tag="sparkplug"):
    """Sparkplug B edge nodes at an MQTT broker; the gateway is a host application to them. ``at`` is the place of a
    node or of its device: ``group/node`` or ``group/node/device``."""

    protocol: ClassVar[str] = "sparkplug"
    has_places: ClassVar[bool | None] = True

    broker: Annotated[Broker, Meta(description="See broker.")]
    host_id: Annotated[
        str,
        Meta(
            pattern=r"^[^/+#]{0,64}$",
            description="Tells nodes under this name whether we listen; only for those that wait for such a host.",
        ),
    ] = ""
    rebirth_s: Annotated[
        float, Meta(ge=1, le=3600, description="The shortest pause between two wishes that a node tell all anew.")
    ] = 10.0
    payload_kb_max: Annotated[int, Meta(ge=1, le=16_384, description="A larger payload is not decoded.")] = 4096

    def place_trouble(self, at: str) -> str:
        parts = at.split("/")
        sound = len(parts) in (2, 3) and all(parts) and not set(at) & set("+#\0")
        return "" if sound else "write group/node or group/node/device"


class OpcUa(PushedLine, frozen=True, kw_only=True, tag_field="kind", tag="opcua"):
    """An OPC UA server, which samples the values and tells of those that change. ``at`` may be part of node ids."""

    protocol: ClassVar[str] = "opcua"
    paths: ClassVar[tuple[str, ...]] = ("certificate", "key", "server_certificate", "password_file")
    has_places: ClassVar[bool | None] = None

    url: Annotated[
        str, Meta(pattern=r"^opc\.tcp://[^\s/@?#]+(/\S*)?$", description="Its endpoint, as opc.tcp://plc-1:4840.")
    ]
    security: Annotated[
        Literal["Basic256Sha256", "Aes128_Sha256_RsaOaep", "Aes256_Sha256_RsaPss", "None"],
        Meta(description="Its security policy. None: anybody on the network may read, and alter, what is said."),
    ] = "Basic256Sha256"
    mode: Annotated[
        Literal["Sign", "SignAndEncrypt"], Meta(description="What that policy does; nothing where it is None.")
    ] = "SignAndEncrypt"
    certificate: Annotated[
        str,
        Meta(description="The gateway's certificate; `babbitt gateway certificate` makes one. Needed for security."),
    ] = ""
    key: Annotated[str, Meta(description="The certificate's private key, readable by its owner alone.")] = ""
    server_certificate: Annotated[
        str,
        Meta(description="The server's certificate: no other server is trusted. `babbitt browse URL --trust` gets it."),
    ] = ""
    username: Annotated[str, Meta(description="Who the gateway is for the server; anonymous where empty.")] = ""
    password_file: Annotated[str, Meta(description="File with that user's password, its owner's alone.")] = ""
    publishing_ms: Annotated[
        float, Meta(ge=10, le=3_600_000, description="How often the server may tell of changes.")
    ] = 500.0
    keepalive_s: Annotated[
        float, Meta(ge=0.1, le=3600, description="How often it says that nothing changed; silence beyond is a fault.")
    ] = 5.0
    timeout_ms: Annotated[int, Meta(ge=50, le=120_000, description="How long one request may take.")] = 5000
    session_s: Annotated[
        float, Meta(ge=5, le=86_400, description="How long the server holds the session of a gateway that went away.")
    ] = 60.0
    reconnect_max_s: Annotated[
        float, Meta(gt=0, le=3600, description="The longest pause before it is tried again; each doubles.")
    ] = 30.0


SerialDevice = Annotated[str, Meta(description="Serial device, best as a link of /dev/serial/by-id.")]
Baud = Annotated[int, Meta(ge=300, le=921_600, description="Bits a second.")]
Bits = Annotated[Literal[7, 8], Meta(description="Data bits a character.")]
Parity = Annotated[Literal["N", "E", "O"], Meta(description="None, even or odd.")]
StopBits = Annotated[Literal[1, 2], Meta(description="Stop bits.")]
ServerHost = Annotated[str, Meta(description="Host name or address of the serial device server.")]
ServerPort = Annotated[int, Meta(ge=1, le=65535, description="The TCP port of its raw socket.")]
AnswerTime = Annotated[
    int, Meta(ge=10, le=60_000, description="What a device may take for its answer, beyond the wire time.")
]


class Serial(PolledLine, frozen=True, kw_only=True, tag_field="kind", tag="serial"):
    """A serial line whose devices answer requests of their own protocol, which their profiles describe."""

    protocol: ClassVar[str] = "serial"
    paths: ClassVar[tuple[str, ...]] = ("device",)

    device: SerialDevice
    baud: Baud = 9600
    bits: Bits = 8
    parity: Parity = "N"
    stop_bits: StopBits = 1
    timeout_ms: AnswerTime = 500


class SerialTcp(PolledLine, frozen=True, kw_only=True, tag_field="kind", tag="serial-tcp"):
    """The same through a serial device server's raw socket."""

    protocol: ClassVar[str] = "serial"

    host: ServerHost
    port: ServerPort
    timeout_ms: AnswerTime = 500


class SerialStream(PushedLine, frozen=True, kw_only=True, tag_field="kind", tag="serial-stream"):
    """A serial line whose device speaks by itself: a barcode reader, a weather station. Nothing is ever sent."""

    protocol: ClassVar[str] = "serial-stream"
    paths: ClassVar[tuple[str, ...]] = ("device",)

    device: SerialDevice
    baud: Baud = 9600
    bits: Bits = 8
    parity: Parity = "N"
    stop_bits: StopBits = 1


class SerialTcpStream(PushedLine, frozen=True, kw_only=True, tag_field="kind", tag="serial-tcp-stream"):
    """The same through a serial device server's raw socket."""

    protocol: ClassVar[str] = "serial-stream"

    host: ServerHost
    port: ServerPort


class Bacnet(PushedLine, frozen=True, kw_only=True, tag_field="kind", tag="bacnet"):
    """A BACnet/IP network. A unit is a device instance; `at` may name its address, which is otherwise asked for."""

    protocol: ClassVar[str] = "bacnet"
    unit_max: ClassVar[int] = 4_194_302
    has_places: ClassVar[bool | None] = None

    interface: Annotated[
        str,
        Meta(
            pattern=r"^\d{1,3}(\.\d{1,3}){3}/([1-9]|[12]\d|3[01])$",
            description="The gateway's own address on that network with its prefix, such as 192.168.1.20/24.",
        ),
    ]
    port: Annotated[int, Meta(ge=1, le=65535, description="UDP port.")] = 47_808
    device_instance: Annotated[
        int, Meta(ge=0, le=4_194_302, description="The gateway's own device instance; one of its own on the network.")
    ] = 4_194_302
    bbmd: Annotated[
        str,
        Meta(
            pattern=r"^(\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?)?$",
            description="Register as a foreign device at this BBMD (address, or address:port); by default none.",
        ),
    ] = ""
    bbmd_ttl_s: Annotated[int, Meta(ge=30, le=65_535, description="How long a registration there holds.")] = 300
    timeout_ms: Annotated[int, Meta(ge=50, le=60_000, description="How long one request may take.")] = 2000
    retries: Annotated[int, Meta(ge=0, le=5, description="How often a request is repeated.")] = 1
    cov_lifetime_s: Annotated[
        int, Meta(ge=10, le=86_400, description="How long a subscription holds; it is renewed at half of that.")
    ] = 300
    check_s: Annotated[
        int, Meta(ge=1, le=86_400, description="How often values are read though the device tells of their changes.")
    ] = 60

    def place_trouble(self, at: str) -> str:
        fits = re.fullmatch(r"\d{1,3}(\.\d{1,3}){3}(:\d{1,5})?|\d{1,5}:(\d{1,3}|0x[0-9a-f]{2,14})|", at)
        return "" if fits else "an address, address:port, or network:station behind a router"


Line = (
    ModbusTcp
    | ModbusRtu
    | Mqtt
    | SparkplugHost
    | ModbusRtuTcp
    | OpcUa
    | Serial
    | SerialTcp
    | SerialStream
    | SerialTcpStream
    | Bacnet
)
