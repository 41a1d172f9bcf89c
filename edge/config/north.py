"""How other systems may read the gateway: the table ``[north]`` of the site file."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import Meta

from edge.config.broker import Broker
from edge.config.profiles.signal import Strict

SecurityMode = Literal["sign-and-encrypt", "sign", "none"]


class OpcUaServer(Strict, frozen=True, kw_only=True):
    """An OPC UA server with all assets, verdicts and alarms. Nobody writes through it without a setpoint contract.

    Channels are secured by Basic256Sha256 unless `security` names `none` too. A client's certificate must lie in
    `trusted`; one that does not is refused and put beside it into `rejected`, from where a person may move it.
    """

    host: Annotated[str, Meta(description="Address to listen on; `0.0.0.0` for every network.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port.")] = 4840
    security: Annotated[
        tuple[SecurityMode, ...],
        Meta(min_length=1, description="Accepted modes; `none` is neither private nor proof of who asks."),
    ] = ("sign-and-encrypt", "sign")
    anonymous: Annotated[
        bool, Meta(description="Whether clients without a user may read; they may never acknowledge or write.")
    ] = False
    users: Annotated[
        str, Meta(description="File of users, mode 0600, made by `babbitt gateway user`, relative to the site file.")
    ] = "opcua-users"
    certificate: Annotated[
        str, Meta(description="The server's certificate, DER or PEM; made with its key where both are missing.")
    ] = "pki/certificate.der"
    key: Annotated[str, Meta(description="Its private key, PEM, mode 0600.")] = "pki/key.pem"
    trusted: Annotated[
        str, Meta(description="Folder of certificates (DER or PEM) of clients, or of who issued theirs.")
    ] = "pki/trusted"
    sessions_max: Annotated[int, Meta(ge=1, le=100, description="How many clients at once.")] = 10
    items_max: Annotated[int, Meta(ge=1, le=100_000, description="How much one client may watch.")] = 5000


class SparkplugNode(Strict, frozen=True, kw_only=True):
    """The gateway as a Sparkplug B edge node of an MQTT broker: each asset a device, with its verdicts and alarms.

    Values go out as they change. Commands are not taken, but for the wish for a rebirth.
    The gateway's own alarms are metrics of the node itself.
    """

    broker: Annotated[Broker, Meta(description="See broker.")]
    group: Annotated[str, Meta(pattern=r"^[^/+#]{1,64}$", description="Its group: a plant, say.")] = "babbitt"
    node: Annotated[str, Meta(pattern=r"^[^/+#]{0,64}$", description="Its name; the gateway's id by default.")] = ""
    host_id: Annotated[
        str,
        Meta(pattern=r"^[^/+#]{0,64}$", description="The primary host to wait for before anything is told; none: any."),
    ] = ""
    interval_ms: Annotated[
        int, Meta(ge=0, le=60_000, description="How long news of one device are gathered into one message.")
    ] = 100
    queue_max: Annotated[
        int, Meta(ge=100, le=1_000_000, description="News that may wait; over it the oldest are dropped and counted.")
    ] = 20_000


class North(Strict, frozen=True, kw_only=True):
    """How other systems read the gateway. Without its tables none of it is even loaded."""

    opcua: Annotated[OpcUaServer | None, Meta(description="An OPC UA server; none by default.")] = None
    sparkplug: Annotated[SparkplugNode | None, Meta(description="A Sparkplug B edge node; none by default.")] = None
