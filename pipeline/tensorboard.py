"""`hubline tensorboard`: TensorBoard over all runs of a pipeline file."""

import glob
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path

from hubline.core import interruption, storage
from hubline.core.config_base import is_remote
from hubline.core.errors import RunError, UserError
from hubline.pipeline.load import load_training
from hubline.pipeline.paths import Paths

_EVENTS = re.compile(r"events\.out\.tfevents\.(\d+)\.")
"""Name of an event file, with the second in which it was created."""

_FIND_SECONDS = 5.0
"""Time between two searches for new runs."""

_COPY_SECONDS = 60.0
"""The same in a store, whose logs are copied."""

_START_SECONDS = 300.0


class Logs:
    """The training logs of all runs of a pipeline, by name: when the training started, and the execution's or run's id.

    TensorBoard reads them from one local folder. It has links to logs on this machine. Logs in a store are copied,
    because TensorBoard reads few stores.
    """

    def __init__(self, root: str, pipeline: str, folder: str) -> None:
        """Finds nothing yet.

        Args:
            root: Folder of the pipeline's files on this machine, or a pipeline root of Kubeflow.
            pipeline: Name of the pipeline.
            folder: An empty local folder.
        """
        self._root, self._pipeline, self._folder = root, pipeline, folder
        self._updated = float("-inf")

    def update(self) -> list[str]:
        """Adds new runs to the folder, and to copied runs what has been written since; returns all names."""
        self._updated = time.monotonic()
        found = dict(self._found())
        for name, source in found.items():
            target = Path(self._folder, name)
            if is_remote(source):
                _copy_changed(source, target)
            elif not target.exists():
                target.symlink_to(Path(source).absolute())
        return sorted(found)

    def update_if_due(self) -> None:
        """Updates once in a while."""
        wait = _COPY_SECONDS if is_remote(self._root) else _FIND_SECONDS
        if time.monotonic() - self._updated >= wait:
            self.update()

    def _found(self) -> Iterator[tuple[str, str]]:
        root = self._root if is_remote(self._root) else glob.escape(self._root)
        for folder in storage.glob(f"{root}/artifacts*/Trainer/model_run/*/tensorboard"):
            yield from self._named(folder, folder.split("/")[-2])
        # Kubeflow Pipelines writes to ROOT/PIPELINE/RUN/….
        for folder in storage.glob(f"{root}/{self._pipeline}/**/model_run/tensorboard"):
            yield from self._named(folder, folder.removeprefix(f"{self._root}/{self._pipeline}/").split("/")[0])

    def _named(self, folder: str, of: str) -> Iterator[tuple[str, str]]:
        """The logs in a folder with their name, if there are any yet."""
        times = [int(found[1]) for name in storage.files_below(folder) if (found := _EVENTS.search(name))]
        if times:
            yield f"{datetime.fromtimestamp(min(times)):%Y%m%d-%H%M%S}-{of}", folder


def _copy_changed(source: str, target: Path) -> None:
    for name in storage.files_below(source):
        copy = target / name
        if not copy.exists() or copy.stat().st_size != storage.stat(f"{source}/{name}").size:
            storage.copy(f"{source}/{name}", str(copy))


class Board:
    """A running TensorBoard."""

    def __init__(self, process: subprocess.Popen, url: str, logs: Logs, runs: list[str]) -> None:
        self._process, self._logs = process, logs
        self.url, self.runs = url, runs

    def watch(self) -> None:
        """Adds new runs until TensorBoard, or this process by a signal, is asked to end.

        Raises:
            RunError: if TensorBoard fails.
        """
        while self._process.poll() is None and not interruption.received():
            self._logs.update_if_due()
            try:
                self._process.wait(1.0)
            except subprocess.TimeoutExpired:
                continue
        if self._process.returncode and not interruption.received():
            raise RunError(f"TensorBoard ended with code {self._process.returncode}")


@contextmanager
def started(path: Path, root: str | None, host: str, port: int | None) -> Iterator[Board]:
    """Starts TensorBoard, and ends it with the block.

    Args:
        path: The pipeline file.
        root: Folder of the pipeline's files, as in `hubline run`, or a pipeline root of Kubeflow, which may be a URL.
        host: Host name or address to listen on.
        port: Port; 0 for any free one, None for 6006 or the next free one.

    Raises:
        UserError: if the file has errors, nothing has been trained, or TensorBoard doesn't start.
    """
    file, _ = load_training(path, "hubline tensorboard")
    if root and is_remote(root):
        where = root.rstrip("/")
    else:
        where = str(Paths.of(path, file.name, Path(root) if root else None).root)
    with tempfile.TemporaryDirectory(prefix="hubline-tensorboard-") as folder, interruption.handled():
        logs = Logs(where, file.name, f"{folder}/runs")
        Path(folder, "runs").mkdir()
        runs = logs.update()
        if not runs:
            run = f"hubline run {shlex.quote(str(path))}"
            raise UserError(f"{where}: no training logs of {path} here; create some with `{run}`, or set --root")
        command = [sys.executable, "-m", "tensorboard.main", "--logdir", f"{folder}/runs", "--host", host]
        with tempfile.NamedTemporaryFile("w") as log:
            process = subprocess.Popen(
                [*command, *([] if port is None else ["--port", str(port)])], stdout=log, stderr=log
            )
            try:
                yield Board(process, _url(process, host, Path(log.name)), logs, runs)
            finally:
                process.terminate()
                process.wait()


def _url(process: subprocess.Popen, host: str, log: Path) -> str:
    """TensorBoard's address as soon as it answers; it registers its port in a file."""
    from tensorboard import manager

    end = time.monotonic() + _START_SECONDS
    while process.poll() is None and time.monotonic() < end:
        for info in manager.get_all():
            if info.pid == process.pid:
                return f"http://{host}:{info.port}{info.path_prefix}/"
        interruption.check()
        time.sleep(0.1)
    lines = log.read_text(errors="replace").strip().splitlines()
    raise UserError(f"TensorBoard did not start: {lines[-1] if lines else 'it printed nothing'}")
