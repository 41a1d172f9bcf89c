"""Trouble with a server in words that say what to do next."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager

from asyncua import ua
from asyncua.crypto.uacrypto import InvalidSignature
from asyncua.ua.uaerrors import UaError, UaStatusCodeError

from edge.errors import LineError
from edge.opcua.access import Access

GARBLED = (UaError, ValueError, TypeError, LookupError, AttributeError, struct.error, OverflowError, RecursionError)
"""What asyncua's decoding raises for bytes that mean nothing."""

_SESSIONS = {ua.StatusCodes.BadTooManySessions, ua.StatusCodes.BadMaxConnectionsReached}
_CERTIFICATE = {
    ua.StatusCodes.BadSecurityChecksFailed, ua.StatusCodes.BadCertificateUntrusted,
    ua.StatusCodes.BadCertificateInvalid, ua.StatusCodes.BadCertificateUseNotAllowed,
    ua.StatusCodes.BadCertificateChainIncomplete, ua.StatusCodes.BadCertificateIssuerUseNotAllowed,
    ua.StatusCodes.BadNoValidCertificates, ua.StatusCodes.BadCertificateRevoked,
}  # fmt: skip
_CLOCK = {ua.StatusCodes.BadCertificateTimeInvalid, ua.StatusCodes.BadInvalidTimestamp}
_URI = {ua.StatusCodes.BadCertificateUriInvalid, ua.StatusCodes.BadCertificateHostNameInvalid}
_USER = {
    ua.StatusCodes.BadUserAccessDenied, ua.StatusCodes.BadIdentityTokenInvalid,
    ua.StatusCodes.BadIdentityTokenRejected, ua.StatusCodes.BadUserSignatureInvalid,
}  # fmt: skip
_POLICY = {ua.StatusCodes.BadSecurityPolicyRejected, ua.StatusCodes.BadSecurityModeRejected}


def line_error(address: str, words: str, hint: str) -> LineError:
    """Of the server at ``address``; ``hint`` is for words that say nothing of what to do."""
    return LineError(address, words, "" if words.endswith(")") else hint)


class Trouble(Exception):
    """Trouble with the server, in words; ``code`` is its status code, 0 where it said none.

    ``unread`` means that it did answer, in bytes that mean nothing, and that the connection is sound.
    """

    def __init__(self, words: str, code: int = 0, *, unread: bool = False) -> None:
        self.code, self.unread = code, unread
        super().__init__(words)


@contextmanager
def explained(access: Access) -> Iterator[None]:
    """Whatever asyncua raises becomes ``Trouble``."""
    try:
        yield
    except TimeoutError as error:
        raise Trouble(f"the server gave no answer within {access.timeout_s:g} s") from error
    except UaStatusCodeError as error:
        raise Trouble(words_of(error.code, access), error.code) from error
    except ConnectionRefusedError as error:
        raise Trouble("nothing listens there: connection refused (is the server running, the port right?)") from error
    except OSError as error:
        raise Trouble(f"connection lost: {error.strerror or error}") from error
    except InvalidSignature as error:
        raise Trouble("the server's signature is wrong: it is not the one that `server_certificate` names") from error
    except GARBLED as error:
        if "ertificate mismatch" in str(error):
            raise Trouble("the server shows another certificate than `server_certificate`") from error
        if "No matching endpoints" in str(error):
            raise Trouble(f"the server has no endpoint with {wanted(access)}") from error
        raise Trouble(
            f"the server says what cannot be read: {error or type(error).__name__}"[:300], unread=True
        ) from error


def wanted(access: Access) -> str:
    return f"security {access.security} and mode {access.mode}" if access.secured else 'security "None"'


def words_of(code: int, access: Access) -> str:
    """What a service's status means here and what to do, with its name."""
    name = name_of(code)
    if code in _SESSIONS:
        return f"the server has no session free ({name}): close other clients there, or raise its limit"
    if code in _CERTIFICATE:
        return f"the server refuses the gateway's certificate ({name}): let it trust that certificate{_which(access)}"
    if code in _CLOCK:
        return f"the server takes a certificate or time for invalid ({name}): compare both clocks and its validity"
    if code in _URI:
        return f"the certificate is not of this application or host ({name}): make it anew with the right names"
    if code in _USER:
        who = f"user {access.username!r}" if access.username else "anonymous users"
        return f"the server refuses {who} ({name}): check `username` and `password_file`, and its rights there"
    if code in _POLICY:
        return f"the server does not take {wanted(access)} ({name}): see `babbitt browse URL --endpoints`"
    if code == ua.StatusCodes.BadRequestTooLarge:
        return f"a message is larger than it may be ({name}): name fewer or smaller nodes"
    return f"the server answered {name}"


def name_of(code: int) -> str:
    """A status code's name; the info bits are no part of it."""
    return ua.StatusCode(ua.UInt32(code & 0xFFFF0000)).name


def _which(access: Access) -> str:
    if access.identity is None:
        return ""
    from edge.certificates import thumbprint

    return f" (thumbprint {thumbprint(access.identity.certificate)})"
