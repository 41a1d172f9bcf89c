"""The gateway's process: ``python -m edge.gateway site.toml``; ``babbitt gateway run`` is the same with its help.

It parses its few options by itself, and loads nothing that this gateway has no use for: a device with 512 MB runs more
than a gateway. ``tests/tidy/test_thrift.py`` holds what a gateway of Modbus alone does without.
"""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path

from edge.deferred import defer_openssl
from edge.errors import BabbittError
from edge.extras import words_of_missing


def main() -> int:
    """Run the gateway of the site file that the command line names until a signal; the exit code."""
    options = _options()
    # numpy's linear algebra would start a thread and 8 MB of buffers for each core; a gateway needs neither.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    defer_openssl()
    level, form = options.log_level.upper(), "%(asctime)s %(levelname)-7s %(message)s"
    logging.basicConfig(level=level, format=form, stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    try:
        _run(options.config, panel_apart=options.panel_apart)
    except BabbittError as error:
        print(f"babbitt: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        words = words_of_missing(error)
        if not words:
            raise
        print(f"babbitt: {words}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        # Before it listens to signals.
        return 130
    return 0


def _run(config: Path, *, panel_apart: bool) -> None:
    # Here: what is missing on this machine is said in one line, and nothing of it comes before what is deferred.
    import asyncio

    from edge.config.site import load_site
    from edge.runtime import run
    from edge.update import recover

    recovered = recover(config)
    if recovered:
        logging.getLogger("babbitt.update").warning("%s", recovered)
    site = load_site(config)

    def ready() -> None:
        print(f"gateway {site.file.gateway.id} is running", file=sys.stderr)

    asyncio.run(run(site, ready=ready, panel_apart=panel_apart))


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="babbitt gateway run", description=__doc__)
    parser.add_argument("config", type=Path)
    parser.add_argument("--log-level", default="info", choices=["debug", "info", "warning"])
    parser.add_argument("--panel-apart", action="store_true", help="something else runs the panel: start none")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
