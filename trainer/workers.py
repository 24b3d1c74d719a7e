"""The place of this process among several workers, which `TF_CONFIG` tells."""

import json
import os
from dataclasses import dataclass

from hubline.core.errors import DataError, UserError


@dataclass(frozen=True)
class Worker:
    """A worker's place."""

    index: int = 0
    count: int = 1
    on_machine: int = 1
    """Number of workers on this worker's machine, which share its memory."""

    @property
    def is_chief(self) -> bool:
        """Whether this is the worker that writes checkpoints and results."""
        return self.index == 0


ALONE = Worker()


def worker_of(workers: int) -> Worker:
    """The place of this process in a training; a process without `TF_CONFIG` trains alone.

    Args:
        workers: Number of workers of the training.

    Raises:
        UserError: if `TF_CONFIG` tells another number.
    """
    config = os.environ.get("TF_CONFIG")
    if workers == 1 or not config:
        return ALONE
    hosts = [address.rpartition(":")[0] for address in json.loads(config)["cluster"]["worker"]]
    index, count = worker_index(), len(hosts)
    if count != workers:
        raise UserError(f"training.workers is {workers}, and TF_CONFIG lists {count} workers")
    return Worker(index, count, hosts.count(hosts[index]))


def check_records(workers: int, records: int) -> None:
    """Checks that each worker has a record of the training split.

    Raises:
        DataError: if there are more workers than records.
    """
    if workers > records:
        raise DataError(
            f"training.workers: {workers} workers can't share the {records} records of the training split; use at most "
            f"{records}"
        )


def worker_index() -> int:
    """Index of this worker; 0 in a training with one."""
    config = os.environ.get("TF_CONFIG")
    return json.loads(config)["task"]["index"] if config else 0
