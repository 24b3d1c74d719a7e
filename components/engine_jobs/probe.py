"""Has a worker of an engine look at itself before the first job: its versions, its settings, and what it can reach."""

import inspect
import os
import uuid
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import apache_beam as beam

from hubline.components.engine_jobs import on_worker
from hubline.components.engine_jobs.engine import Engine
from hubline.components.engine_jobs.job import JobPipeline, TookTooLongError
from hubline.core import storage
from hubline.core.code_digest import STACK
from hubline.core.config_base import is_remote
from hubline.core.errors import RunError

SECONDS = 120.0
"""Time in which a worker must have answered."""

_SETTINGS = ("TF_USE_LEGACY_KERAS",)

_passed: set[tuple[str, ...]] = set()
"""What has been found in order by this process."""


@dataclass(frozen=True)
class Places:
    """Files and folders that workers use."""

    read: tuple[str, ...] = ()
    """Files; one of each folder is enough."""
    written: tuple[str, ...] = ()
    """Folders."""


def ask_a_worker(engine: Engine, places: Places) -> None:
    """Runs a job of one element, unless this process did so before for the same engine and the same places.

    Args:
        engine: Where to run. On Dataflow, where starting workers takes minutes, nothing is asked.
        places: What workers must reach. Of paths on the same disk or in the same bucket, one is tried.

    Raises:
        RunError: if no worker answers in time, or one differs from the step or can't reach a place.
    """
    if engine.runner == "DataflowRunner":
        return
    who = (engine.address, engine.workers)
    untried = Places(*(_untried(who, kind, paths) for kind, paths in (("r", places.read), ("w", places.written))))
    if who in _passed and untried == Places():
        return
    _ask(engine, untried)
    _passed.add(who)
    for kind, paths in (("r", untried.read), ("w", untried.written)):
        _passed.update((*who, kind, _disk(path)) for path in paths)


def forget() -> None:
    """Forgets what was found in order."""
    _passed.clear()


def _untried(who: tuple[str, ...], kind: str, paths: Sequence[str]) -> tuple[str, ...]:
    by_disk = {_disk(path): path for path in paths}
    return tuple(path for disk, path in by_disk.items() if (*who, kind, disk) not in _passed)


def _disk(path: str) -> str:
    """A bucket, or the folder at which a disk is mounted."""
    if is_remote(path):
        url = urlsplit(path)
        return f"{url.scheme}://{url.netloc}"
    return _mount(Path(path).absolute().parent)


@cache
def _mount(folder: Path) -> str:
    return str(next(each for each in (folder, *folder.parents) if os.path.ismount(each)))


def _ask(engine: Engine, places: Places) -> None:
    token = f".hubline-probe-{uuid.uuid4().hex}"
    try:
        for folder in places.written:
            storage.write_bytes(f"{folder}/{token}/step", token.encode())
        with JobPipeline(engine, "probe", SECONDS) as pipeline:
            pipeline | beam.Impulse() | beam.ParDo(FromSource(asked(places, token)))
        for folder in places.written:
            if not storage.exists(f"{folder}/{token}/worker"):
                raise RunError(f"{engine.workers}: what a worker writes to {folder} doesn't arrive here")
    except TookTooLongError:
        raise RunError(_silence(engine)) from None
    finally:
        for folder in places.written:
            storage.remove_tree(f"{folder}/{token}")


def asked(places: Places, token: str) -> dict[str, Any]:
    """What the probe compares a worker with; see `on_worker.Probe`."""
    return {
        "python": on_worker.minor_version(),
        "packages": {name: on_worker.version_of(name) for name in STACK},
        "environment": {name: os.environ[name] for name in _SETTINGS},
        "modules": on_worker.modules(),
        "read": places.read,
        "written": places.written,
        "token": token,
    }


class FromSource(on_worker.Probe):
    """The probe, pickled as its source."""

    def __reduce__(self) -> tuple[Any, ...]:
        build = "(lambda names: (exec({!r}, names), names['Probe']({!r}))[1])({{'__name__': 'hubline_probe'}})"
        return eval, (build.format(inspect.getsource(on_worker), self.asked),)


def _silence(engine: Engine) -> str:
    return " ".join([f"{engine.workers}: no worker answered within {SECONDS:.0f} s.", *_hints(engine)])


def _hints(engine: Engine) -> Iterator[str]:
    if engine.pool:
        yield (
            f"Look at the log of the worker pool at {engine.pool}, beside each TaskManager: the Python that it starts "
            "may lack Beam. Start pools as python -m hubline.components.worker_pool, with the image of the steps."
        )
    else:
        yield "Look at the engine's logs: it may still fetch an image, or fail to start it."
    if engine.flink is None and engine.runner == "FlinkRunner":
        yield (
            "The engine may also have no free slots; with beam.options.flink_master, the address of Flink's REST API, "
            "Hubline sees that, and waits."
        )
