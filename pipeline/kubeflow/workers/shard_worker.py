"""The pod of a worker that does a share of a step's shards: `python -m
hubline.pipeline.kubeflow.workers.shard_worker JOB`.

Fetches the step's inputs, builds the step's stage, and does its share of the tasks, less those that are cached. Where a
task reads one shard, it fetches only the shards of these tasks, one after the other.
"""

import logging
import os
import signal
import sys
import tempfile
import traceback
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from hubline.components.spread.stage import Report
from hubline.components.trainer import job_file, worker_errors, worker_log
from hubline.core import interruption, storage
from hubline.core.errors import RunError, UserError
from hubline.core.garbage import collect_none_at_exit
from hubline.pipeline.kubeflow.entrypoint import BeamArguments, created
from hubline.pipeline.kubeflow.logs import RateLimit
from hubline.pipeline.kubeflow.workers.exchange import Exchange, Files, fetch_inputs, fetched
from hubline.pipeline.kubeflow.workers.patience import patiently
from hubline.pipeline.kubeflow.workers.shards import Shares, shares_path
from hubline.pipeline.kubeflow.workers.worker import FAILED

_LOGGER = logging.getLogger(__name__)

_EVERY_SECONDS = 2.0
"""Minimum interval between messages about progress."""


def main(arguments: list[str]) -> int:
    """Does the share; returns the exit code, or 128 plus the number of the signal that ended it."""
    (job_path,) = arguments
    index = int(os.environ["JOB_COMPLETION_INDEX"])
    with interruption.handled():
        try:
            patiently(partial(_run, job_path, index))
        except interruption.Interrupted:
            return interruption.exit_code(signal.SIGTERM)
        except UserError as error:
            _leave(job_path, index, error)
            print(error, file=sys.stderr)
            return FAILED
        except Exception:
            _leave(job_path, index, RunError(f"worker {index}: {traceback.format_exc().rstrip()}"))
            raise
    return 0


def _leave(job_path: str, index: int, error: UserError) -> None:
    """Leaves an error for the step. If the store is what fails, the step takes the last line of the pod's log."""
    try:
        worker_errors.write(job_path, index, error)
    except (UserError, OSError) as fault:
        _LOGGER.warning("the error of worker %d can't be stored: %s", index, fault)


def _run(job_path: str, index: int) -> None:
    given = job_file.read(job_path)
    with storage.open_binary(shares_path(job_path)) as file:
        shares = Shares.model_validate_json(file.read())
    files = Exchange(job_path).read()
    with tempfile.TemporaryDirectory() as scratch:
        executor = created(shares.executor, scratch, BeamArguments.of_environment())
        fetch_inputs(files, with_shards=not executor.reads_one_shard)
        interruption.check()
        stage = executor.stage(given.inputs, given.properties)
        fill = _Fetching(stage.fill, files) if executor.reads_one_shard else stage.fill
        executor.run_share(replace(stage, tasks=shares.of(index, stage), fill=fill))


@dataclass(frozen=True)
class _Fetching:
    """Fetches the shard of a task, and removes it afterwards: a pod's disk may be smaller than its share."""

    fill: Callable[[Any, str, Report], None]
    files: Files

    def __call__(self, task: Any, folder: str, report: Report) -> None:
        with fetched(self.files, task.name):
            self.fill(task, folder, report)


if __name__ == "__main__":
    worker_log.to_parent(logging.INFO).addFilter(RateLimit(_EVERY_SECONDS))
    collect_none_at_exit()
    sys.exit(main(sys.argv[1:]))
