"""OpenSSL comes when it is used, and is then as it always was."""

from __future__ import annotations

import subprocess
import sys

PROLOGUE = """
import sys
from edge.deferred import defer_libraries
defer_libraries()
import asyncio, hashlib
absent = lambda: not {"ssl", "_ssl", "_hashlib"} & set(sys.modules)
assert absent()

async def echo(reader, writer):
    writer.write(await reader.read(3))
    writer.close()

async def through(**tls):
    server_side, client_side = tls.get("server"), {k: v for k, v in tls.items() if k != "server"}
    async with await asyncio.start_server(echo, "127.0.0.1", 0, ssl=server_side) as server:
        reader, writer = await asyncio.open_connection(*server.sockets[0].getsockname(), **client_side)
        writer.write(b"abc")
        found = await reader.read()
        writer.close()
        return found
"""


def runs(program: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROLOGUE + program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr


def test_connections_child_processes_and_hashes_do_without_it() -> None:
    runs("""
async def scene():
    assert await through() == b"abc"
    await (await asyncio.create_subprocess_exec("true")).wait()
asyncio.run(scene())
assert hashlib.sha256(b"abc").hexdigest().startswith("ba7816bf8f01cfea")
assert hashlib.blake2b(b"abc", digest_size=4).hexdigest() == hashlib.new("blake2b", b"abc", digest_size=4).hexdigest()
assert absent()
""")


def test_tls_is_there_for_whoever_uses_it() -> None:
    runs("""
import ssl, trustme
authority = trustme.CA()
server, client = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER), ssl.create_default_context()
authority.issue_cert("localhost").configure_cert(server)
authority.configure_trust(client)
assert asyncio.run(through(server=server, ssl=client, server_hostname="localhost")) == b"abc"
assert asyncio.sslproto.SSLProtocol is sys.modules["asyncio.sslproto"].SSLProtocol

async def wrapped():
    import socket
    one = client.wrap_socket(socket.socket(), server_hostname="localhost", do_handshake_on_connect=False)
    one.setblocking(False)
    try:
        await asyncio.get_running_loop().sock_connect(one, ("127.0.0.1", 9))
    except TypeError as error:
        return str(error)
    finally:
        one.close()
assert "SSLSocket" in asyncio.run(wrapped())
""")


def test_certificates_are_still_checked() -> None:
    runs("""
import ssl, trustme
server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
trustme.CA().issue_cert("localhost").configure_cert(server)
try:
    asyncio.run(through(server=server, ssl=True, server_hostname="localhost"))
except ssl.SSLCertVerificationError:
    pass
else:
    raise AssertionError("a stranger's certificate was taken")
""")


def test_passwords_are_hashed_as_before() -> None:
    """The test vector of RFC 7914, section 12."""
    runs("""
found = hashlib.scrypt(b"password", salt=b"NaCl", n=1024, r=8, p=16, dklen=64)
assert found.hex().startswith("fdbabe1c9d3472007856e7190d01e9fe7c6ad7cbc8237830e77376634b373162")
""")
