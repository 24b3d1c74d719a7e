"""A worker: `python -m hubline.components.trainer.worker JOB`, with TF_CONFIG in the environment.

Exit codes: 0; 2 with an error in a file next to JOB; 1 with a traceback; `LOST_PEER`. A signal ends a worker at once:
whether the others were asked to end too, it can't know. The training resumes from the last checkpoint.
"""

import logging
import sys

import tensorflow as tf

from hubline.components.trainer import job_file, worker_errors, worker_log
from hubline.components.trainer.executor import train_job
from hubline.components.trainer.local_workers import LOST_PEER
from hubline.core.errors import UserError
from hubline.core.garbage import collect_none_at_exit
from hubline.core.parent import end_with_parent
from hubline.trainer import devices
from hubline.trainer.config.training import Training
from hubline.trainer.workers import worker_index, worker_of

_FAILED = 2

_LOST = (tf.errors.UnavailableError, tf.errors.AbortedError, tf.errors.CancelledError, tf.errors.DeadlineExceededError)
"""Errors of operations that work with other workers."""


def main(arguments: list[str]) -> int:
    """Trains together with the other workers."""
    (path,) = arguments
    try:
        given = job_file.read(path)
        training = Training.model_validate_json(given.properties["training"])
        devices.start_worker(training.devices, worker_of(training.workers).count)
        train_job(given)
    except UserError as error:
        worker_errors.write(path, worker_index(), error)
        print(error, file=sys.stderr)
        return _FAILED
    except _LOST as error:
        print(f"lost another worker: {error.message}", file=sys.stderr)
        return LOST_PEER
    return 0


if __name__ == "__main__":
    end_with_parent(LOST_PEER)
    # All workers tell the same; the chief speaks for them.
    worker_log.to_parent(logging.WARNING if worker_index() else logging.INFO)
    collect_none_at_exit()
    sys.exit(main(sys.argv[1:]))
