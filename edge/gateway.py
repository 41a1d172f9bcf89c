"""The gateway's process: ``python -m edge.gateway SITE LEVEL [--panel-apart]``, which ``babbitt gateway run`` becomes.

It loads nothing that this gateway has no use for: a device with 512 MB runs more than a gateway.
``tests/tidy/test_thrift.py`` holds what a gateway of Modbus alone does without.
"""

from __future__ import annotations

import os
import sys

from edge.deferred import defer_libraries
from edge.errors import BabbittError
from edge.extras import words_of_missing

M_ARENA_MAX = -8
"""Of glibc's ``mallopt``, see malloc.h."""


def main() -> int:
    """Run the gateway of the site file that the command line names until a signal; the exit code."""
    # numpy's linear algebra would start a thread and 8 MB of buffers for each core; a gateway needs neither.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    try:
        defer_libraries()
        _run(sys.argv[1], sys.argv[2].upper(), panel_apart=sys.argv[3:] == ["--panel-apart"])
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


def _run(config: str, log_level: str, *, panel_apart: bool) -> None:
    # Here, so that nothing of it comes before what is deferred.
    import asyncio
    import logging
    from pathlib import Path

    from edge.config.site import load_site
    from edge.runtime import run
    from edge.update import recover

    logging.basicConfig(level=log_level, format="%(asctime)s %(levelname)-7s %(message)s", stream=sys.stderr)
    logging.getLogger("httpx").setLevel(logging.WARNING)
    # The interpreter lets one thread run at a time: an arena of memory for each saves none of them a wait.
    _glibc("mallopt", M_ARENA_MAX, 1)
    recovered = recover(Path(config))
    if recovered:
        logging.getLogger("babbitt.update").warning("%s", recovered)
    site = load_site(Path(config))

    def ready() -> None:
        print(f"gateway {site.file.gateway.id} is running", file=sys.stderr)
        # What the start alone needed goes back to the system.
        _glibc("malloc_trim", 0)

    asyncio.run(run(site, ready=ready, panel_apart=panel_apart))


def _glibc(function: str, *arguments: int) -> None:
    """Another C library than glibc has none of these, and nothing happens."""
    import ctypes

    if call := getattr(ctypes.CDLL(None), function, None):
        call(*arguments)


if __name__ == "__main__":
    sys.exit(main())
