"""A receiver of webhooks that is not ours: the standard library's HTTP server, and a verification of its own."""

from __future__ import annotations

import base64
import hmac
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DEADLINE_S = 60.0


class Hooks:
    """``came``: headers and body of each call; ``status`` is what to answer."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.status = 204
        self.url = ""
        self._news = threading.Condition()

    def call(self, headers: dict[str, str], body: bytes) -> int:
        with self._news:
            self.came.append((headers, body))
            self._news.notify_all()
        return self.status

    def take(self, count: int) -> list[tuple[dict[str, str], bytes]]:
        with self._news:
            assert self._news.wait_for(lambda: len(self.came) >= count, DEADLINE_S), len(self.came)
            return self.came[:count]


def verified(secret: str, headers: dict[str, str], body: bytes) -> Any:
    """The payload, if the signature is right: as a receiver would do it by the specification."""
    key = base64.b64decode(secret.removeprefix("whsec_"))
    signed = f"{headers['webhook-id']}.{headers['webhook-timestamp']}.".encode() + body
    expected = "v1," + base64.b64encode(hmac.new(key, signed, "sha256").digest()).decode()
    assert hmac.compare_digest(headers["webhook-signature"], expected)
    return json.loads(body)


@contextmanager
def webhook_receiver() -> Iterator[Hooks]:
    hooks = Hooks()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status = hooks.call({k.lower(): v for k, v in self.headers.items()}, body)
            self.send_response(status)
            if status == 302:
                self.send_header("Location", "http://127.0.0.1:1/elsewhere")
            self.end_headers()

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hooks.url = f"http://127.0.0.1:{server.server_port}/babbitt"
    try:
        yield hooks
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
