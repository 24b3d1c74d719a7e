"""Stands for a worker: `python -m tests.support.scripted_worker JOB` does as the job says, for each index and start.

JOB has for each index a list with what it does at each start: `done`, `error`, `crash`, `killed`, `lost`, or `waits`.
"""

import json
import logging
import os
import signal
import sys
import time
from pathlib import Path

from hubline.components.trainer import worker_errors, worker_log
from hubline.components.trainer.local_workers import LOST_PEER
from hubline.core.errors import DataError
from hubline.core.parent import end_with_parent
from hubline.trainer.workers import worker_index


def starts(file: Path) -> int:
    """The number of starts of a worker so far."""
    return len(file.read_text()) if file.exists() else 0


if __name__ == "__main__":
    worker_log.to_parent()
    end_with_parent(LOST_PEER)
    path, index = Path(sys.argv[1]), worker_index()
    script = json.loads(path.read_text())
    files = [path.with_name(f"starts-{each}") for each in range(len(script))]
    number = starts(files[index])
    path.with_name(f"process-{index}").write_text(str(os.getpid()))
    files[index].write_text("x" * (number + 1))
    does = script[index][number]
    logging.getLogger("hubline.x").info("%s", does)
    if does == "killed":
        while min(map(starts, files)) <= number:  # the others count this start before they are ended
            time.sleep(0.02)
        os.kill(os.getpid(), signal.SIGKILL)
    if does == "error":
        worker_errors.write(str(path), index, DataError("shard 7 is damaged"))
        sys.exit(2)
    if does == "crash":
        raise ValueError("a bug")
    if does == "lost":
        sys.exit(138)
    if does == "waits":
        time.sleep(60)
