"""Reads classic pcap files of Ethernet, with the standard library alone: the TCP segments that carry data."""

from __future__ import annotations

import gzip
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Segment:
    """``source`` and ``target`` are address and port."""

    source: tuple[str, int]
    target: tuple[str, int]
    seq: int
    data: bytes


def segments(path: Path) -> Iterator[Segment]:
    """The TCP segments with data of ``path``, a gzipped capture, in order of arrival."""
    for packet in packets(gzip.decompress(path.read_bytes())):
        segment = _segment(packet)
        if segment is not None and segment.data:
            yield segment


def packets(capture: bytes) -> Iterator[bytes]:
    """The captured packets, from their Ethernet headers on."""
    byte_order = {b"\xd4\xc3\xb2\xa1": "<", b"\xa1\xb2\xc3\xd4": ">"}[capture[:4]]
    assert struct.unpack_from(byte_order + "I", capture, 20)[0] == 1, "Ethernet"
    at = 24
    while at < len(capture):
        length = struct.unpack_from(byte_order + "I", capture, at + 8)[0]
        yield capture[at + 16 : at + 16 + length]
        at += 16 + length


def _segment(packet: bytes) -> Segment | None:
    at = 12
    while packet[at : at + 2] == b"\x81\x00":  # a VLAN's tag
        at += 4
    if packet[at : at + 2] != b"\x08\x00":
        return None
    ip = packet[at + 2 :]
    header, total = 4 * (ip[0] & 15), int.from_bytes(ip[2:4], "big")
    if ip[0] >> 4 != 4 or ip[9] != 6:
        return None
    tcp = ip[header:total]  # what follows pads a short frame
    source, target, seq = struct.unpack_from(">HHI", tcp)
    hosts = [".".join(map(str, ip[i : i + 4])) for i in (12, 16)]
    return Segment((hosts[0], source), (hosts[1], target), seq, tcp[4 * (tcp[12] >> 4) :])
