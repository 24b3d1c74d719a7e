"""What earlier runs left: unfinished things are cleared away, and what is damaged is dropped, to be made again.

Nothing here imports TensorFlow or TFX but what looks into metadata.
"""

import hashlib
import logging
import shutil
import sqlite3
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pydantic import ValidationError

from hubline.core import storage
from hubline.core.config_base import is_remote
from hubline.core.errors import UserError
from hubline.core.seal import Seal
from hubline.core.shard_cache import Store
from hubline.pipeline.paths import Places

_LOGGER = logging.getLogger(__name__)


def prepare(places: Places, fresh_metadata: bool) -> None:
    """Readies the places of a pipeline for a run; the caller holds their lock, so whatever is unfinished is dead.

    Args:
        places: Where the pipeline keeps what it makes.
        fresh_metadata: Start a new metadata database. The old one stays beside it.

    Raises:
        UserError: where the metadata database is damaged.
    """
    now = datetime.now().strftime("%Y%m%d-%H%M%S-%f")
    if fresh_metadata and places.metadata.exists():
        for path in places.root.glob(f"{places.metadata.name}*"):
            path.rename(path.with_name(f"earlier-{now}-{path.name}"))
    _refuse_damaged(places.metadata)
    if not places.metadata.exists() and places.artifacts.exists():
        # Executions are numbered from 1 again, so their folders would be those of an earlier life.
        kept = places.artifacts.with_name(f"artifacts-{now}")
        places.artifacts.rename(kept)
        _LOGGER.warning("there is no metadata of earlier runs; their artifacts are in %s now, safe to delete", kept)
    Store(str(places.store)).sweep()


def _refuse_damaged(metadata: Path) -> None:
    if not metadata.exists():
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(str(metadata))}?mode=ro", uri=True)) as database:
            ((found,), *_) = database.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise UserError(damaged_metadata(metadata, " ".join(found.split())))


def damaged_metadata(metadata: Path, reason: str) -> str:
    """What to say where the metadata database can't be used."""
    return (
        f"{metadata}: the metadata database is damaged ({reason}). Start a new one: hubline run FILE --fresh-metadata. "
        "Data, served models, checkpoints and the store stay as they are; steps run again, mostly from the store"
    )


class Seals:
    """The seals of artifacts: what their files were when their step ended."""

    def __init__(self, folder: Path) -> None:
        """Seals in a folder, which is made where it isn't there."""
        self._folder = folder

    def seal(self, uris: Iterable[str]) -> None:
        """Seals artifacts that were just made."""
        for uri in uris:
            storage.write_bytes(str(self._path(uri)), Seal.of(uri).to_property().encode())

    def damage(self, uri: str, thoroughly: bool = False) -> str | None:
        """What is wrong with an artifact; None where nothing is, or where it has no seal."""
        path = self._path(uri)
        if not path.exists():
            return None
        try:
            return Seal.model_validate_json(path.read_bytes()).damage(uri, thoroughly)
        except ValidationError:
            return f"{path}: it can't be read"

    def are_whole(self, outputs: Mapping[str, Any]) -> bool:
        """Whether the artifacts of a step, by key, are undamaged; warns of one that is damaged."""
        for uri in uris(outputs):
            if damage := self.damage(uri):
                _LOGGER.warning("%s; the step that made it runs again", damage)
                return False
        return True

    def drop(self, uri: str) -> None:
        """Has an artifact taken for damaged from now on."""
        storage.write_bytes(str(self._path(uri)), b"")

    def _path(self, uri: str) -> Path:
        return self._folder / f"{hashlib.sha256(uri.encode()).hexdigest()}.json"


def empty_folders(outputs: Mapping[str, Any]) -> None:
    """Empties the folders of outputs that an earlier run with the same execution numbers filled."""
    for uri in uris(outputs):
        if Path(uri).is_dir() and any(Path(uri).iterdir()):
            _LOGGER.warning("%s: a folder of an earlier life is emptied", uri)
            shutil.rmtree(uri)


def drop_damaged(seals: Seals, artifacts: Iterable[str], store: Store) -> list[str]:
    """Reads artifacts, and all that is in the store, and drops what is damaged; says what that was."""
    found = list(store.drop_damaged())
    for uri in artifacts:
        if damage := seals.damage(uri, thoroughly=True):
            seals.drop(uri)
            found.append(damage)
    return found


def uris(outputs: Mapping[str, Any]) -> Iterator[str]:
    """The local folders of TFX's artifacts by key."""
    for artifacts in outputs.values():
        yield from (artifact.uri for artifact in artifacts if artifact.uri and not is_remote(artifact.uri))


def clear_unfinished(store: Any, artifacts: Path) -> None:
    """Removes what steps left that were killed, and notes in the metadata (an MLMD store) that they failed."""
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
