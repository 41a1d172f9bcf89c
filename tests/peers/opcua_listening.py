"""What tests of OPC UA have in common: a profile from a few words, a line to a peer, certificates for both sides."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.serialization import Encoding

from edge.certificates import make_identity, write_certificate, write_identity
from edge.clock import SystemClock
from edge.config.lines import OpcUa
from edge.config.profiles.opcua import OpcUaProfile, Point
from edge.config.profiles.signal import Device
from edge.drivers.opcua import OpcUaSource
from edge.ports import Subject
from tests.peers.opcua_peers import URI, Peer


def profile(*points: dict[str, Any]) -> OpcUaProfile:
    """Points of the peers' ``Motor1``; ``node`` is the name that stands after it."""
    return OpcUaProfile(
        device=Device(id="motor", products=(), source="", protocol="opcua"),
        point=tuple(
            Point(**{"tag": f"t{i}", **point, "node": f"nsu={URI};s={{at}}.{point['node']}"})
            for i, point in enumerate(points)
        ),
    )


def line(peer: Peer, **named: Any) -> OpcUa:
    return OpcUa(
        **{
            "name": "plc", "url": peer.url, "security": "None", "publishing_ms": 50, "keepalive_s": 0.5,
            "reconnect_max_s": 0.1, **named,
        }
    )  # fmt: skip


def source(to: OpcUa, *points: dict[str, Any], **made: Any) -> OpcUaSource:
    return OpcUaSource(to, [Subject(1, "Motor1", profile(*points), 1.0)], SystemClock(), **made)


class Keys:
    """Certificates of a gateway, of a stranger and of a server that trusts the first."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        for name in ("gateway", "stranger", "server"):
            identity = make_identity(uri=f"urn:babbitt:test:{name}", name=name, hosts=("localhost", "127.0.0.1"))
            write_identity(identity, folder / name / "certificate.der", folder / name / "key.pem")
            pem = identity.certificate.public_bytes(Encoding.PEM)
            (folder / name / "certificate.pem").write_bytes(pem)
            if name == "gateway":
                write_certificate(identity.certificate, folder / "server" / "trusted" / "gateway.der")
        for name, words in (("right", "correct horse\n"), ("wrong", "battery staple\n")):
            (folder / name).touch(mode=0o600)
            (folder / name).write_text(words, encoding="utf-8")

    def secured(self, **named: Any) -> dict[str, Any]:
        """Fields of a line with everything right."""
        folder = self.folder
        return {
            "security": "Basic256Sha256", "certificate": str(folder / "gateway/certificate.der"),
            "key": str(folder / "gateway/key.pem"), "server_certificate": str(folder / "server/certificate.der"),
            **named,
        }  # fmt: skip
