"""Private APIs of Apache Beam. No other module imports `apache_beam.runners`."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from apache_beam.runners.worker import worker_pool_main


def job_id(result: Any) -> str | None:
    """Id of a submitted job at its job server. Private: the attribute of portable runners' results."""
    return getattr(result, "_job_id", None)


def serve_workers(arguments: Sequence[str]) -> None:
    """Runs Beam's worker pool, which starts a worker for each job, until the process is interrupted.

    Private: the pool's module, and that it starts workers as `python`, with its own environment. Whatever `python` is
    on the PATH would otherwise run them, and one without Beam makes jobs wait forever.

    Args:
        arguments: Command-line arguments of the pool.
    """
    os.environ["PATH"] = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
    worker_pool_main.main(list(arguments))
