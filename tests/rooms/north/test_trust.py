"""Whose certificate opens a channel: what lies in a folder, read again where that has changed."""

from __future__ import annotations

import os
from pathlib import Path

from edge.north.opcua.admission import Trust
from tests.rooms.north.hosted import make_client


def test_a_certificate_that_is_read_while_it_is_copied_counts_once_it_is_whole(tmp_path: Path) -> None:
    """Also where both fall into one tick of the file system's clock."""
    make_client(tmp_path, "client")
    whole, copy = (tmp_path / "client.der").read_bytes(), tmp_path / "pki/trusted/client.der"
    trust = Trust(tmp_path / "pki/trusted")
    copy.write_bytes(whole[:100])
    at = copy.stat()
    assert "not trusted" in trust.problem(whole)
    copy.write_bytes(whole)
    os.utime(copy, ns=(at.st_atime_ns, at.st_mtime_ns))
    assert trust.problem(whole) == ""
    copy.unlink()
    assert "not trusted" in trust.problem(whole)
