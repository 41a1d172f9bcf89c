"""The panel's process: ``python -m edge.panel site.toml``; ``babbitt gateway panel`` is the same with its help.

It parses its few options by itself: click and the commands beside it would double its weight.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import signal
import sys
from pathlib import Path

from edge.config.load import load
from edge.config.tables import SiteFile
from edge.errors import BabbittError, ConfigError
from edge.panel import make_panel
from edge.panel.served import Server
from edge.panel.trace import Traced
from edge.watchdog import Watchdog


def main() -> None:
    options = _options()
    logging.basicConfig(level=options.log_level.upper(), format="%(asctime)s %(levelname)-7s %(message)s")
    try:
        _serve(options)
    except BabbittError as error:
        told = json.dumps([error.where, error.problem, error.hint, error.exit_code]).encode()
        if options.tell is not None:
            os.write(options.tell, told)
        else:
            print(f"babbitt: {error}", file=sys.stderr)
        sys.exit(error.exit_code)


def _serve(options: argparse.Namespace) -> None:
    path: Path = options.config.resolve()
    file = load(path, SiteFile)
    if file.panel.kind == "none":
        raise ConfigError(str(path), "`panel.kind` is none", "name another, or run no panel")

    def beside(name: str) -> Path:
        return Path(os.path.normpath(path.parent / name))

    made = make_panel(file.panel, png_path=beside(file.panel.png_path))
    if options.dark:
        made.close()
        return
    panel = made if options.trace is None else Traced(made, options.trace)
    try:
        socket = beside(file.gateway.data_dir) / "panel.sock"
        server = Server(socket, file.panel, panel, of_gateway=options.tell is not None)
        watchdog = Watchdog()
        signal.set_wakeup_fd(server.wakes, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: server.stop())
        if options.tell is not None:
            os.write(options.tell, b"ready")
            os.close(options.tell)
        watchdog.ready()
        try:
            server.run(watchdog.beat)
        finally:
            watchdog.stopping()
            watchdog.close()
            server.close()
    finally:
        panel.close()


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="babbitt gateway panel", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning"])
    parser.add_argument("--trace", type=Path, default=os.environ.get("BABBITT_PANEL_TRACE"))
    parser.add_argument("--dark", action="store_true", help="switch off what a killed panel left lit, and end")
    parser.add_argument("--tell", type=int, help="a gateway started it: the file descriptor to tell how that went")
    return parser.parse_args()


if __name__ == "__main__":
    main()
