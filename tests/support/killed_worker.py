"""A worker, of which the second kills itself once, after its seventh epoch:
`python -m tests.support.killed_worker JOB`."""

import logging
import os
import signal
import sys
from pathlib import Path

from hubline.components.trainer import worker, worker_log
from hubline.trainer.checkpoints import Checkpoints
from hubline.trainer.workers import worker_index

if __name__ == "__main__":
    worker_log.to_parent(logging.INFO)
    ended, killed = Checkpoints.on_epoch_end, Path(sys.argv[1]).with_name("killed")

    def end(self: Checkpoints, epoch: int, logs: dict[str, float] | None = None) -> None:
        """Ends an epoch."""
        ended(self, epoch, logs)
        if epoch == 6 and worker_index() == 1 and not killed.exists():
            killed.touch()
            os.kill(os.getpid(), signal.SIGKILL)

    Checkpoints.on_epoch_end = end  # type: ignore[method-assign]
    sys.exit(worker.main(sys.argv[1:]))
