"""What a server offers, asked without a session: endpoints with their security, and what of it does not fit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from asyncua import ua
from cryptography import x509

from edge.certificates import thumbprint
from edge.opcua.access import POLICY_URI, Access
from edge.opcua.bounded import abort, make_client
from edge.opcua.trouble import Trouble, explained, wanted

ENDPOINTS_MAX = 200
_USERS = {
    ua.UserTokenType.Anonymous: "anonymous", ua.UserTokenType.UserName: "user name",
    ua.UserTokenType.Certificate: "certificate", ua.UserTokenType.IssuedToken: "token",
}  # fmt: skip
_PLAIN = {
    ua.StatusCodes.BadTooManySessions, ua.StatusCodes.BadUserAccessDenied, ua.StatusCodes.BadIdentityTokenRejected,
    ua.StatusCodes.BadIdentityTokenInvalid, ua.StatusCodes.BadMaxConnectionsReached,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One way to reach a server. ``users`` are the ways to say who one is; ``level`` is higher where it is safer."""

    url: str
    security: str
    mode: str
    users: tuple[str, ...]
    level: int
    application: str
    application_uri: str
    certificate: x509.Certificate | None

    @property
    def thumbprint(self) -> str:
        return thumbprint(self.certificate) if self.certificate is not None else ""


async def discover(url: str, timeout_s: float) -> list[Endpoint]:
    """The endpoints that the server at ``url`` (with its port) names. Raises ``Trouble``."""
    client = make_client(url, timeout_s)
    try:
        with explained(Access(url, timeout_s=timeout_s)):
            await client.connect_socket()
            await client.send_hello()
            await client.open_secure_channel()
            found = await client.get_endpoints()
            await client.close_secure_channel()
            return [_endpoint(e) for e in found[:ENDPOINTS_MAX]]
    finally:
        abort(client)


async def diagnosis(access: Access, trouble: Trouble) -> str:
    """Why it did not work, in words: ``trouble``, unless what the server offers explains it better."""
    if not access.secured or trouble.code in _PLAIN or isinstance(trouble.__cause__, ConnectionRefusedError):
        return str(trouble)
    try:
        offered = await discover(access.url, access.timeout_s)
    except Trouble:
        return str(trouble)
    return mismatch(access, offered) or str(trouble)


def mismatch(access: Access, offered: Sequence[Endpoint]) -> str:
    """What of ``access`` the server does not offer; empty where all of it is there."""
    fitting = [e for e in offered if e.security == access.security and e.mode == access.mode]
    if not fitting:
        ways = sorted({f"{e.security}/{e.mode}" if e.security != "None" else "None" for e in offered})
        return f"the server has no endpoint with {wanted(access)}; it offers {', '.join(ways) or 'none'}"
    ours = access.server_certificate
    shown = fitting[0].certificate
    if ours is not None and shown is not None and shown != ours:
        return (
            f"the server shows another certificate (thumbprint {thumbprint(shown)}) than `server_certificate` "
            f"({thumbprint(ours)}): if it is the right server, get the new one with `babbitt browse URL --trust FILE`"
        )
    return ""


def _endpoint(found: ua.EndpointDescription) -> Endpoint:
    name = found.Server.ApplicationName
    return Endpoint(
        url=found.EndpointUrl or "",
        security=(found.SecurityPolicyUri or "").removeprefix(POLICY_URI),
        mode=ua.MessageSecurityMode(found.SecurityMode).name.rstrip("_"),
        users=tuple(dict.fromkeys(_USERS.get(t.TokenType, "other") for t in found.UserIdentityTokens or ())),
        level=int(found.SecurityLevel),
        application=(name.Text if name is not None else "") or "",
        application_uri=found.Server.ApplicationUri or "",
        certificate=_first(found.ServerCertificate),
    )


def _first(chain: bytes | None) -> x509.Certificate | None:
    """The server's own certificate, which stands first in a chain; None where there is none, or nonsense."""
    if not chain or len(chain) < 4:
        return None
    try:
        return x509.load_der_x509_certificate(chain[: int.from_bytes(chain[2:4], "big") + 4])
    except ValueError:
        return None
