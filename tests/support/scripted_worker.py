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
from hubline.core.errors import DataError
from hubline.trainer.workers import worker_index

if __name__ == "__main__":
    worker_log.to_parent()
    path, index = Path(sys.argv[1]), worker_index()
    starts = path.with_name(f"starts-{index}")
    number = len(starts.read_text()) if starts.exists() else 0
    starts.write_text("x" * (number + 1))
    does = json.loads(path.read_text())[index][number]
    logging.getLogger("hubline.x").info("%s", does)
    if does == "killed":
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
