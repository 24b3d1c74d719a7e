"""The errors of workers, in files next to the job's, from which the process that started the workers raises them."""

import json

from hubline.core import errors, storage
from hubline.core.errors import RunError, UserError

_TYPES = {each.__name__: each for each in (UserError, RunError, errors.DataError, errors.DamageError)}


def write(job_path: str, index: int, error: UserError) -> None:
    """Leaves the error of a worker."""
    said = {"type": type(error).__name__, "text": str(error)}
    storage.write_text(f"{_folder(job_path)}/error-{index}.json", json.dumps(said))


def raise_first(job_path: str) -> None:
    """Raises the error that a worker left, if any: that of the worker with the lowest index."""
    for path in _paths(job_path):
        with storage.open_binary(path) as file:
            said = json.load(file)
        raise _TYPES.get(said["type"], RunError)(said["text"])


def remove(job_path: str) -> None:
    """Removes the errors of an earlier training."""
    for path in _paths(job_path):
        storage.remove(path)


def _paths(job_path: str) -> list[str]:
    folder = _folder(job_path)
    return [f"{folder}/{name}" for name in storage.names(folder) if name.startswith("error-")]


def _folder(job_path: str) -> str:
    return job_path.rpartition("/")[0]
