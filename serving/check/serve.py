"""Serves a model for the check, in a process of its own: `python -m hubline.serving.check.serve FOLDER SECONDS`.

The server is that of `hubline serve`, on loopback at any free ports. One line of JSON on standard output tells the
ports once the model answers, or why it doesn't. The process ends with the one that started it.
"""

import asyncio
import json
import logging
import os
import sys
import time
from typing import Any

from hubline.core.errors import UserError
from hubline.core.parent import end_with_parent
from hubline.serving.check.process import NAME
from hubline.serving.limits import Limits
from hubline.serving.server import Settings, serve

_ORPHANED, _FAILED = 3, 2
_BODY_BYTES = 1 << 30
_NEVER = 1e9


def main(folder: str, timeout: float) -> int:
    """Serves until the process is asked to end."""
    settings = Settings(
        folder=folder,
        name=NAME,
        rest_port=0,
        grpc_port=0,
        poll_seconds=_NEVER,
        timeout=timeout,
        grace=0.0,
        limits=Limits(body_bytes=_BODY_BYTES),
    )
    output = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what a library prints is no answer
    begin = time.perf_counter()

    def tell(**values: Any) -> None:
        print(json.dumps(values), file=output, flush=True)

    def started(rest: int, grpc: int) -> None:
        tell(rest=rest, grpc=grpc, load_seconds=time.perf_counter() - begin)

    try:
        all_answered = asyncio.run(serve(settings, started))
    except UserError as error:
        tell(error=str(error))
        return _FAILED
    if not all_answered:
        os._exit(1)  # otherwise Python waits for the model
    return 0


if __name__ == "__main__":
    end_with_parent(_ORPHANED)
    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    sys.exit(main(sys.argv[1], float(sys.argv[2])))
