"""Says why a job on an engine failed, from the long texts in which runners wrap the reason."""

import base64
import json
import re

import grpc

from hubline.components.engine_jobs.engine import Engine
from hubline.core.errors import RunError

_MARK = re.compile(r"<hubline:([A-Za-z0-9+/=]+):>")
_REFUSED = re.compile(r"(?:Connection refused|UnknownHostException|Connection timed out)[^\n]{0,200}")
_LOST = re.compile(
    r"(?:TaskManager with id|Connection unexpectedly closed by remote task manager|TaskExecutor "
    r"|Lost connection to task manager)[^\n]{0,200}"
)
_SLOTS = re.compile(r"(?:NoResourceAvailableException|TimeoutException: Timeout has occurred)[^\n]{0,300}")
_BUFFERS = re.compile(r"Insufficient number of network buffers[^\n]{0,300}")
_WORKER_GONE = re.compile(
    r"(?:SDK harness (?:exited|crashed)|call already cancelled|CANCELLED: (?:client cancelled|call already cancelled)|"
    r"CANCELLED: cancelled before receiving half close|Multiplexer hanging up|Disconnect from environment)"
)
_PYTHON = re.compile(r"^([\w.]*(?:Error|Exception|Interrupt|Exit)\b.*(?:\n(?!\s*at |\s+File |\s*$).*)*)", re.MULTILINE)
_RUNNING = re.compile(r"\s*\[while running [^\n]*")
_CAUSED_BY = re.compile(r"^Caused by: (.*)$", re.MULTILINE)

_GONE = (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED, grpc.StatusCode.CANCELLED)
"""What calls to a server that is gone end with."""

AGAIN = "Shards that are done are kept; run again"


def explained(engine: Engine, job: str, error: BaseException, failure: str) -> RunError:
    """The error to raise.

    Args:
        engine: Where the job ran.
        job: Its name.
        error: What Beam raised.
        failure: What the engine itself says; may be empty.
    """
    text = f"{error}\n{failure}"
    if isinstance(error, grpc.RpcError):
        details = str(error.details() if isinstance(error, grpc.Call) else error)
        if isinstance(error, grpc.Call) and error.code() not in _GONE:
            return RunError(f"{engine.address}: the job server refused the job {job}: {error.code().name}: {details}")
        return lost(engine, job, details)
    if found := _MARK.search(text):
        return RunError(f"{engine.workers}: {json.loads(base64.b64decode(found[1]))}")
    return RunError(_reason(engine, job, text))


def lost(engine: Engine, job: str, why: str) -> RunError:
    """The error for a job server that doesn't answer any more."""
    return RunError(
        f"{engine.address}: the job server was lost while the job {job} ran ({why}). The job may go on, or have ended "
        f"with the server. {AGAIN} when it is back"
    )


def _reason(engine: Engine, job: str, text: str) -> str:
    at = f"{engine.address}: the job {job}"
    if re.search(r"failed in state CANCELLED|JobCancellationException", text):
        return f"{at} was cancelled on the engine"
    if found := _SLOTS.search(text):
        return (
            f"{at} got no slots: {found[0].partition(': ')[2] or found[0]}. Wait for other jobs, add TaskManagers, or "
            "set beam.workers lower"
        )
    if found := _BUFFERS.search(text):
        return f"{at} failed: {found[0]} Give TaskManagers more network memory, or set beam.workers lower"
    if "Python" not in text and "Traceback" not in text and (found := _REFUSED.search(text)) and engine.pool:
        return (
            f"{engine.workers}: the engine found no worker pool there: {found[0].strip()}. A pool must run beside each "
            "TaskManager: python -m hubline.components.worker_pool"
        )
    if found := _LOST.search(text):
        return f"{at} failed, because a TaskManager was lost: {found[0].strip(' .')}. {AGAIN}"
    if raised := _python(text):
        return f"{at} failed in a worker: {raised}"
    if found := _WORKER_GONE.search(text):
        return (
            f"{engine.workers}: a worker of the job {job} ended in the middle ({found[0]}). It may have been killed "
            f"because memory ran out: look at its log, or give it more memory. {AGAIN}"
        )
    causes = _CAUSED_BY.findall(text)
    return f"{at} failed: {causes[-1] if causes else str(text).strip()[:2000]}"


def _python(text: str) -> str | None:
    """The last error of a worker's traceback."""
    if "Traceback (most recent call last)" not in text:
        return None
    after = text.rpartition("Traceback (most recent call last)")[2]
    found = _PYTHON.search(after)
    return _RUNNING.sub("", found[1]).strip() if found else None
