"""The server's process."""

import json
import os
import select
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import IO, Any

import psutil

from hubline.core import interruption

MODULE = "hubline.serving.check.serve"
"""What the process runs."""
HOST, NAME = "127.0.0.1", "model"
_PAUSE_SECONDS, _ENDING_SECONDS = 0.1, 1.0
_LAST_LINES = 20


class ServerFault(Exception):
    """The server doesn't start, ends, or doesn't answer any more."""


class AnswerFault(Exception):
    """The server answers a request with an error, or in another form."""


@dataclass(frozen=True)
class Server:
    """A running server."""

    process: subprocess.Popen[bytes]
    errors: IO[bytes]
    rest: str
    """URL of the model."""
    grpc: str
    """Host and port."""
    load_seconds: float
    """Time in which the model was loaded."""
    start_seconds: float
    """Time from the start of the process until it answered."""

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the process."""
        return psutil.Process(self.process.pid).memory_info().rss

    def end(self) -> str | None:
        """How the process has ended, or ends in the next moment: its connections close before. None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_ENDING_SECONDS)
            return _end_of(self.process, self.errors)
        return None


@contextmanager
def serving(model: str, timeout: float) -> Iterator[Server]:
    """Serves a model in a process of its own, which has ended at the end of the block, whatever happens in it.

    The process uses no GPU, whose memory this process may hold.

    Args:
        model: Folder of the SavedModel.
        timeout: Seconds in which the server has to answer, from the start of its process.

    Raises:
        ServerFault: if it doesn't.
    """
    with tempfile.TemporaryFile() as errors:
        begin = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", MODULE, model, str(timeout)],
            env={**os.environ, "CUDA_VISIBLE_DEVICES": "-1"},
            stdin=subprocess.PIPE,  # ends with this process, even if it is killed, and the server with it
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,  # Ctrl-C reaches this process only, which then ends the server
        )
        try:
            told = _first_line(process, errors, begin + timeout, timeout)
            rest = f"http://{HOST}:{told['rest']}/v1/models/{NAME}"
            seconds = time.monotonic() - begin
            yield Server(process, errors, rest, f"{HOST}:{told['grpc']}", told["load_seconds"], seconds)
        finally:
            _stop(process)


def _first_line(process: subprocess.Popen[bytes], errors: IO[bytes], deadline: float, timeout: float) -> dict[str, Any]:
    """What the server tells once it answers."""
    assert process.stdout is not None
    while not select.select([process.stdout], [], [], _PAUSE_SECONDS)[0]:
        interruption.check()
        if time.monotonic() > deadline:
            raise ServerFault(f"the server doesn't answer within {timeout:g} s (timeout_seconds)")
    line = process.stdout.readline()
    if not line:
        process.wait()
        raise ServerFault(_end_of(process, errors))
    told: dict[str, Any] = json.loads(line)
    if "error" in told:
        raise ServerFault(f"the server can't load the model: {told['error']}")
    return told


def _end_of(process: subprocess.Popen[bytes], errors: IO[bytes]) -> str:
    errors.seek(0)
    last = "\n".join(errors.read().decode(errors="replace").splitlines()[-_LAST_LINES:])
    code = interruption.shell_code(process.returncode)
    return f"the server ended with exit code {code}: {last}"


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.kill()  # all is answered, and nothing is written: TensorFlow would take a second to end
    process.wait()
    for stream in (process.stdin, process.stdout):
        assert stream is not None
        stream.close()
