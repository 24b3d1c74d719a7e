"""What binds a worker to the process that started it."""

import os
import threading

from hubline.components.trainer.local_workers import LOST_PEER


def end_with_parent() -> None:
    """Ends this process as soon as the one that holds the other end of its standard input is gone, even if killed.

    Otherwise the workers of a run that was killed would write the same checkpoints as those of the next run.
    """
    threading.Thread(target=_wait, daemon=True).start()


def _wait() -> None:
    # Not `sys.stdin`: Python waits for its lock when the process ends.
    while os.read(0, 1):
        pass
    os._exit(LOST_PEER)
