"""Cleans up after earlier runs: unfinished files are removed, and damaged ones are dropped to be made again.

Only what reads ML Metadata imports TFX here; nothing imports TensorFlow.
"""

import hashlib
import logging
import shutil
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.seal import Seal
from hubline.core.shard_cache import ShardCache
from hubline.pipeline.machine_faults import refuse_unusable
from hubline.pipeline.paths import Paths

_LOGGER = logging.getLogger(__name__)


def prepare(places: Paths, fresh_metadata: bool) -> None:
    """Prepares a pipeline's folders for a run. The caller holds their lock, so no process is working on unfinished
    files.

    Args:
        places: Locations of the pipeline's files.
        fresh_metadata: Whether to start a new metadata database; the old one is kept next to it.

    Raises:
        UserError: if the metadata database is damaged or locked.
    """
    now = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    if fresh_metadata and places.metadata.exists():
        for path in places.root.glob(f"{places.metadata.name}*"):
            path.rename(path.with_name(f"earlier-{now}-{path.name}"))
    refuse_unusable(places.metadata)
    if not places.metadata.exists() and places.artifacts.exists():
        # Execution ids start at 1 again and would collide with the folders of the previous database.
        kept = places.artifacts.with_name(f"artifacts-{now}")
        places.artifacts.rename(kept)
        _LOGGER.warning("there is no metadata of earlier runs; their artifacts are in %s now, safe to delete", kept)
    ShardCache(str(places.store)).sweep(idle_for=timedelta(0))


class Seals:
    """Digests of artifacts' files at the end of their step."""

    def __init__(self, folder: Path) -> None:
        """Seals in a folder, which is created if necessary."""
        self._folder = folder

    def seal(self, uris: Iterable[str]) -> None:
        """Seals new artifacts."""
        for uri in uris:
            storage.write_bytes(str(self._path(uri)), Seal.of(uri).to_property().encode())

    def damage(self, uri: str, thoroughly: bool = False) -> str | None:
        """What is wrong with an artifact; None if nothing is, or if it has no seal."""
        path = self._path(uri)
        if not path.exists():
            return None
        try:
            return Seal.model_validate_json(path.read_bytes()).damage(uri, thoroughly)
        except ValidationError:
            return f"{path}: it can't be read"

    def drop(self, uri: str) -> None:
        """Marks an artifact as damaged."""
        storage.write_bytes(str(self._path(uri)), b"")

    def _path(self, uri: str) -> Path:
        return self._folder / f"{hashlib.sha256(uri.encode()).hexdigest()}.json"


def empty_folders(outputs: Mapping[str, Any]) -> None:
    """Empties output folders that an earlier run with the same execution ids filled."""
    for uri in uris(outputs):
        if Path(uri).is_dir() and any(Path(uri).iterdir()):
            _LOGGER.warning("%s: a folder of an earlier life is emptied", uri)
            shutil.rmtree(uri)


def drop_damaged(seals: Seals, artifacts: Iterable[str], store: ShardCache) -> list[str]:
    """Verifies artifacts and the whole store and drops what is damaged; returns descriptions of it."""
    found = list(store.drop_damaged())
    for uri in artifacts:
        if damage := seals.damage(uri, thoroughly=True):
            seals.drop(uri)
            found.append(damage)
    return found


CHECK_FAILED = "the serving check failed last time, and times differ from run to run"


def unusable(
    seals: Seals, folders: Iterable[str], destinations: Iterable[str], checks: Iterable[int] = ()
) -> str | None:
    """Why a step's earlier result can't be used again; None if it can.

    Args:
        seals: Seals of the artifacts.
        folders: Folders of the step's artifacts.
        destinations: Folders that the step delivered to; empty for an artifact that tells of none.
        checks: Verdicts of serving checks, 1 or 0, among the artifacts.
    """
    if 0 in checks:
        return CHECK_FAILED
    for folder in folders:
        if damage := seals.damage(folder):
            return damage
    gone = next((path for path in destinations if path and not storage.exists(path)), None)
    return gone and f"{gone}: the step delivered this folder, and it is gone"


def uris(outputs: Mapping[str, Any]) -> Iterator[str]:
    """Local folders of TFX artifacts, which are given by key."""
    for artifacts in outputs.values():
        yield from (artifact.uri for artifact in artifacts if artifact.uri and not is_remote(artifact.uri))


def clear_unfinished(store: Any, artifacts: Path) -> None:
    """Removes the files of killed steps, and marks their executions as failed in ML Metadata."""
    from ml_metadata.proto import metadata_store_pb2

    running = [
        execution
        for execution in store.get_executions()
        if execution.last_known_state == metadata_store_pb2.Execution.RUNNING
    ]
    for execution in running:
        for folder in artifacts.glob(f"*/*/{execution.id}"):
            shutil.rmtree(folder, ignore_errors=True)
        for folder in artifacts.glob(f"*/.system/*/{execution.id}"):
            shutil.rmtree(folder, ignore_errors=True)
        execution.last_known_state = metadata_store_pb2.Execution.FAILED
    if running:
        store.put_executions(running)
