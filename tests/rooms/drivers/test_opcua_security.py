"""OPC UA in: who may listen to whom. Each refusal says in words what to do, and leaves no session behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from edge.clock import SystemClock
from edge.contract.types import Quality
from edge.errors import ConfigError
from edge.opcua.access import make_access
from edge.opcua.nodes import read_namespaces
from edge.opcua.session import Session
from edge.opcua.trouble import Trouble
from tests.peers.listening import listening
from tests.peers.opcua_listening import Keys, line, source
from tests.peers.opcua_peers import PASSWORD, USER, Peer

SECURE = [
    ("Basic256Sha256", "Sign"), ("Basic256Sha256", "SignAndEncrypt"), ("Aes256_Sha256_RsaPss", "SignAndEncrypt"),
]  # fmt: skip


def hears(peer: Peer, **named: Any) -> None:
    async def scene() -> None:
        async with listening(source(line(peer, **named), {"node": "Still"})) as ear:
            await ear.until(lambda: any(a.quality == Quality.GOOD for a in ear.answers()), "heard")
            assert ear.values() == [7.0]
            peer.sessions(now=1)

    asyncio.run(scene())
    peer.sessions(now=0)


def refused(peer: Peer, words: str, **named: Any) -> None:
    """The trouble holds ``words``, nothing is heard, and after several tries the server has no session of ours."""

    async def scene() -> None:
        one = source(line(peer, **named), {"node": "Still"})
        async with listening(one) as ear:
            await ear.until(lambda: words in one.trouble(0), f"in trouble with {words!r}, but {one.trouble(0)!r}")
            await asyncio.sleep(0.5)
            await ear.until(lambda: words in one.trouble(0), f"still in trouble with {words!r}")
            assert not ear.heard

    asyncio.run(scene())
    peer.sessions(now=0)


@pytest.mark.parametrize(("security", "mode"), SECURE)
def test_every_policy_and_mode(opcua_server: Peer, opcua_keys: Keys, security: str, mode: str) -> None:
    hears(opcua_server, **opcua_keys.secured(security=security, mode=mode))


def test_a_user_with_a_password(opcua_server: Peer, opcua_keys: Keys) -> None:
    user = {"username": USER, "password_file": str(opcua_keys.folder / "right")}
    assert (opcua_keys.folder / "right").read_text().strip() == PASSWORD
    hears(opcua_server, **opcua_keys.secured(**user))
    hears(opcua_server, **opcua_keys.secured(mode="Sign", **user))


def test_a_wrong_password(opcua_server: Peer, opcua_keys: Keys) -> None:
    user = {"username": USER, "password_file": str(opcua_keys.folder / "wrong")}
    refused(opcua_server, f"refuses user '{USER}'", **opcua_keys.secured(**user))


def test_a_gateway_that_the_server_does_not_trust(opcua_server: Peer, opcua_keys: Keys) -> None:
    stranger = opcua_keys.folder / "stranger"
    certificate = {"certificate": str(stranger / "certificate.der"), "key": str(stranger / "key.pem")}
    words = "refuses the gateway's certificate (BadCertificateUntrusted): let it trust that certificate (thumbprint"
    refused(opcua_server, words, **opcua_keys.secured(**certificate))


def test_a_server_that_is_not_the_one_that_is_trusted(opcua_server: Peer, opcua_keys: Keys) -> None:
    other = str(opcua_keys.folder / "stranger/certificate.der")
    refused(opcua_server, "shows another certificate", **opcua_keys.secured(server_certificate=other))


def test_a_policy_that_the_server_does_not_offer(opcua_server: Peer, opcua_keys: Keys) -> None:
    words = (
        "no endpoint with security Aes128_Sha256_RsaOaep and mode Sign; it offers Aes256_Sha256_RsaPss/SignAndEncrypt, "
        "Basic256Sha256/Sign, Basic256Sha256/SignAndEncrypt, None"
    )
    refused(opcua_server, words, **opcua_keys.secured(security="Aes128_Sha256_RsaOaep", mode="Sign"))


def test_a_password_is_never_sent_in_the_clear(opcua_server: Peer, opcua_open: Peer, opcua_keys: Keys) -> None:
    user = {"username": USER, "password_file": str(opcua_keys.folder / "right")}
    refused(opcua_open, "would take the password in the clear", **user)
    # Without security on the channel, a server that has a certificate takes it encrypted all the same.
    hears(opcua_server, **user)


def test_a_channel_is_renewed_before_it_ends(opcua_server: Peer, opcua_keys: Keys) -> None:
    """Of several tries the best: a machine that stands still for a fifth of a second loses its channel."""

    async def stands() -> bool:
        named = opcua_keys.secured(mode="SignAndEncrypt")
        access = replace(make_access("test", url=opcua_server.url, **named), channel_s=0.8)
        session = Session(access, SystemClock())
        await session.open()
        renewing = asyncio.create_task(session.renew_forever())
        try:
            for _ in range(20):
                assert len(await read_namespaces(session)) > 2
                await asyncio.sleep(0.1)
            return not renewing.done()
        except Trouble:
            return False
        finally:
            renewing.cancel()
            await asyncio.wait({renewing})
            await session.close()

    assert any(asyncio.run(stands()) for _ in range(5))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"certificate": "", "key": ""}, "without `certificate` and `key` .*babbitt gateway certificate"),
        ({"key": ""}, "one is missing"),
        ({"server_certificate": ""}, "without `server_certificate` .*--trust"),
        ({"certificate": "{}/stranger/certificate.der"}, "is not the key of"),
        ({"server_certificate": "{}/nowhere"}, "cannot be read"),
        ({"password_file": "{}/right"}, "without a user name"),
        ({"username": "u", "password_file": "{}/none"}, "cannot be read"),
        ({"username": "u", "password_file": "{}/open"}, "others may read"),
        ({"username": "u", "password_file": "{}/empty"}, "holds no password"),
    ],
)
def test_what_is_wrong_at_home_is_one_clear_error(
    opcua_server: Peer, opcua_keys: Keys, change: dict[str, str], words: str
) -> None:
    (opcua_keys.folder / "open").write_text("secret")
    (opcua_keys.folder / "empty").touch(mode=0o600)
    named = opcua_keys.secured(**{key: text.format(opcua_keys.folder) for key, text in change.items()})
    with pytest.raises(ConfigError, match=words):
        asyncio.run(source(line(opcua_server, **named), {"node": "Still"}).open())
