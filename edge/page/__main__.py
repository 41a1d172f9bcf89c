"""``python -m edge.page site.toml``: the page's process. It loads nothing of the gateway but what it needs itself.

``--beside`` names the gateway's process that started it: one that is left over from a gateway that was killed goes on
for a while to say so, and makes room for the next gateway's.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import sys
from pathlib import Path

from edge.config.page import load_page
from edge.errors import BabbittError

NICE = 10
"""Whatever is asked of the page, the gateway's polls go first."""


def main(config: Path, *, beside: int | None, tell: int | None = None) -> int:
    """Serve the page of the site file ``config`` until a signal; the exit code.

    ``tell`` is the descriptor of who wants to hear why it cannot, and says so once.
    """
    os.nice(NICE)
    logging.basicConfig(level="INFO", format="%(asctime)s %(levelname)-7s %(message)s", stream=sys.stderr)
    logging.getLogger("uvicorn").setLevel(logging.WARNING)
    try:
        # Here, so that what is missing on this machine is said in one line.
        from edge.page.alone import alone
        from edge.page.serving import Serving

        found = load_page(config)
        return asyncio.run(alone(found.data_dir / "page.sock", Serving(found), beside=beside))
    except BabbittError as error:
        if tell is not None:
            os.write(tell, str(error).encode())
        else:
            print(f"Error: {error}", file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(f"Error: {error.name} is not installed: pip install 'babbitt[edge]'", file=sys.stderr)
        return 1


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m edge.page")
    parser.add_argument("config", type=Path)
    parser.add_argument("--beside", type=int, metavar="PID", help="the gateway's process that starts it")
    parser.add_argument("--tell", type=int, help="the file descriptor to say at why it cannot serve")
    arguments = parser.parse_args()
    sys.exit(main(arguments.config, beside=arguments.beside, tell=arguments.tell))
