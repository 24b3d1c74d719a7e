"""Errors of the machine rather than of the pipeline: a disk that takes no more files, or the metadata database.

Nothing here imports TensorFlow or TFX.
"""

import re
import shutil
import sqlite3
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from hubline.core.errors import UserError

_REASONS = {
    "no space left on the disk": r"No space left on device|database or disk is full",
    "the disk quota is used up": r"Disk quota exceeded",
    "the disk is read-only": r"Read-only file system|attempt to write a readonly database",
}
"""What is wrong with a disk, and how the system, TensorFlow and SQLite say so."""
_ADVICE = (
    "Make room, or make the disk writable, and run again: finished steps are kept, and nothing unfinished is served"
)
_LOCKED = re.compile("database (table )?is locked|Concurrent writes aborted")
_CLOSED = re.compile("unable to open database file|disk I/O error|[Pp]ermission denied")
_DAMAGED = re.compile("malformed|not a database|no such table|no such column")
_OF_DATABASE = re.compile("|".join(each.pattern for each in (_LOCKED, _CLOSED, _DAMAGED)))
"""What SQLite says of a database. Other errors of ML Metadata, such as wrong arguments, are no fault of the machine."""


def explained(error: BaseException, root: Path, metadata: Path) -> str | None:
    """What is wrong with the machine, and what to do; None if the error has another reason.

    Args:
        error: An exception of a step.
        root: Folder of the pipeline's files, which is named where the exception names no file.
        metadata: The metadata database.
    """
    chain = list(_chain(error))
    for each in chain:
        if found := _disk_fault(each, root, metadata):
            return found
    of_database = [str(each) for each in chain if _is_of_database(each) and _OF_DATABASE.search(str(each))]
    return database_fault(metadata, of_database[0]) if of_database else None


def refuse_unusable(metadata: Path) -> None:
    """Checks the metadata database before a run.

    Raises:
        UserError: if it is damaged, locked or not readable.
    """
    if not metadata.exists():
        return
    try:
        with closing(sqlite3.connect(f"file:{quote(str(metadata))}?mode=ro", uri=True)) as database:
            ((found,), *_) = database.execute("PRAGMA integrity_check(1)").fetchall()
    except sqlite3.DatabaseError as error:
        found = str(error)
    if found != "ok":
        raise UserError(database_fault(metadata, found))


def database_fault(metadata: Path, reason: str) -> str:
    """The message about a metadata database that is locked, not readable or damaged, from SQLite's or ML Metadata's
    reason."""
    if _LOCKED.search(reason):
        return (
            f"{metadata}: another process has locked the metadata database; nothing is damaged. End that process "
            f"(fuser {metadata} shows its number), then run again"
        )
    if _CLOSED.search(reason):
        return (
            f"{metadata}: the metadata database can't be opened ({' '.join(reason.split())}); nothing is damaged. Make "
            "the file and its folder readable and writable for this user, then run again"
        )
    return (
        f"{metadata}: the metadata database is damaged ({' '.join(reason.split())}). Start a new one: hubline run FILE "
        "--fresh-metadata. Data, served models, checkpoints and the store stay as they are; steps run again, mostly "
        "from the store"
    )


def _disk_fault(error: BaseException, root: Path, metadata: Path) -> str | None:
    text = str(error)
    reason = next((reason for reason, told in _REASONS.items() if re.search(told, text)), None)
    if reason is None:
        return None
    if isinstance(error, UserError):  # which names the file
        found = text
    elif isinstance(error, OSError) and error.filename:
        found = f"{error.filename}: {reason}"
    else:
        found = f"{_place(text, root, metadata)}: {reason}"
    return f"{found}. {_ADVICE}"


def _place(text: str, root: Path, metadata: Path) -> str | Path:
    """The file that the error is about, or else the folder that is most likely."""
    if "readonly database" in text or "database or disk is full" in text:
        return metadata
    is_full = "No space" in text or "quota" in text
    return _file_in(text) or (_fullest(root, Path(tempfile.gettempdir())) if is_full else root)


def _file_in(text: str) -> str | None:
    """The file that TensorFlow names before the reason."""
    found = re.search(r"(/[^;:\n]+); (?:No space|Disk quota|Read-only)", text)
    return found[1] if found else None


def _fullest(*folders: Path) -> Path:
    """The folder whose disk has the least free space."""
    return min(folders, key=lambda folder: shutil.disk_usage(folder).free)


def _is_of_database(error: BaseException) -> bool:
    """Whether ML Metadata raised the error: some of its errors are plain RuntimeErrors."""
    frames = traceback.walk_tb(error.__traceback__)
    return any(frame.f_globals.get("__name__", "").startswith("ml_metadata.") for frame, _ in frames)


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """An error, and what it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
