"""An MQTT broker and how to reach it: one table, wherever the site file names a broker."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal

from msgspec import Meta

from edge.config.profiles.signal import Strict


class Broker(Strict, frozen=True, kw_only=True):
    """An MQTT broker: where it is, who we are to it, and how to be sure that it is the right one."""

    paths: ClassVar[tuple[str, ...]] = ("ca", "certificate", "key", "password_file")

    host: Annotated[str, Meta(min_length=1, description="Host name or address.")] = "127.0.0.1"
    port: Annotated[int, Meta(ge=1, le=65535, description="TCP port; with TLS 8883 is the custom.")] = 1883
    client_id: Annotated[
        str,
        Meta(
            pattern=r"^[!-~]{1,64}$",
            description="This client's name at the broker, which keeps its session by it: no two may share one.",
        ),
    ]
    username: Annotated[str, Meta(description="User name, where the broker asks for one.")] = ""
    password_file: Annotated[str, Meta(description="File with the password, mode 0600, relative to the site file.")] = (
        ""
    )
    tls: Annotated[bool, Meta(description="Whether to speak TLS 1.2 or newer and to check the broker's name.")] = False
    ca: Annotated[str, Meta(description="PEM file of who signs the broker's certificate; the system's by default.")] = (
        ""
    )
    certificate: Annotated[str, Meta(description="PEM file of this client's own certificate.")] = ""
    key: Annotated[str, Meta(description="PEM file of its key, mode 0600, not encrypted.")] = ""
    version: Annotated[Literal["5", "3.1.1"], Meta(description="The version of MQTT.")] = "5"
    keepalive_s: Annotated[
        int,
        Meta(ge=2, le=3600, description="After this silence the connection is tried; after as much more it is lost."),
    ] = 30
    connect_timeout_s: Annotated[
        float, Meta(ge=0.1, le=60, description="How long connecting, and then the broker's answer, may take.")
    ] = 5.0
    backoff_s_max: Annotated[
        float, Meta(ge=0.1, le=3600, description="The longest pause between tries, with jitter.")
    ] = 30.0

    def problems(self) -> Iterator[tuple[str, str, str]]:
        """What contradicts itself: key, problem and hint."""
        if not self.tls:
            for key in ("ca", "certificate", "key"):
                if getattr(self, key):
                    yield key, "a file for TLS, and `tls` is false", "set `tls = true`"
        if bool(self.certificate) != bool(self.key):
            yield "certificate", "one of certificate and key alone", "name `certificate` and `key`, or neither"
        if self.password_file and not self.username:
            yield "password_file", "a password without a user name", "set `username`"
