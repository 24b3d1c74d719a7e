"""Errors of the machine: what is said about a disk without space, and about a metadata database that can't be used."""

import errno
import os
import sqlite3
import subprocess
from pathlib import Path

import pytest

from hubline.core.errors import UserError
from hubline.pipeline.machine_faults import explained, refuse_unusable
from tests.support.fault_project import needs_mounts
from tests.support.fault_runs import in_mounts
from tests.support.locked_database import locked_database
from tests.support.project import HUBLINE, PROJECT, make_project


@pytest.fixture
def metadata(tmp_path: Path) -> Path:
    path = tmp_path / "metadata.sqlite"
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE numbers (number INTEGER)")
        database.executemany("INSERT INTO numbers VALUES (?)", [(number,) for number in range(5000)])
    return path


@pytest.mark.slow
def test_a_locked_database_is_not_told_as_damaged(metadata: Path) -> None:
    says = rf"^{metadata}: another process has locked the metadata database; nothing is damaged\. End that process"
    with locked_database(metadata), pytest.raises(UserError, match=says):
        refuse_unusable(metadata)
    refuse_unusable(metadata)


def test_a_whole_database_is_used_and_a_damaged_one_named(metadata: Path) -> None:
    refuse_unusable(metadata)
    refuse_unusable(metadata.with_name("none.sqlite"))
    content = bytearray(metadata.read_bytes())
    content[4096:8192] = b"\xff" * 4096
    metadata.write_bytes(content)
    with pytest.raises(UserError, match=r"the metadata database is damaged .*--fresh-metadata"):
        refuse_unusable(metadata)


def test_a_database_that_cannot_be_opened_is_not_told_as_damaged(tmp_path: Path) -> None:
    (tmp_path / "metadata.sqlite").mkdir()
    says = r"can't be opened \(disk I/O error\); nothing is damaged\. Make the file and its folder readable"
    with pytest.raises(UserError, match=says):
        refuse_unusable(tmp_path / "metadata.sqlite")


@pytest.mark.parametrize(
    "error", [TypeError("'q' has type str"), RuntimeError("Type already exists with other fields")]
)
def test_other_errors_of_ml_metadata_are_no_damage(tmp_path: Path, error: Exception) -> None:
    code = compile("def fail(error):\n    raise error", "metadata_store.py", "exec")
    module = {"__name__": "ml_metadata.metadata_store"}
    exec(code, module)
    for reason, says in ((str(error), None), ("database disk image is malformed", "is damaged")):
        raised = type(error)(reason)
        with pytest.raises(type(error)):
            module["fail"](raised)  # type: ignore[operator]
        found = explained(raised, tmp_path, tmp_path / "metadata.sqlite")
        assert found is None if says is None else says in (found or "")


class ResourceExhaustedError(Exception):
    """As TensorFlow says that a disk is full."""


def test_a_full_disk_is_told_whoever_found_it(tmp_path: Path) -> None:
    metadata = tmp_path / "metadata.sqlite"
    named = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there/file")
    wrapped = UserError("/serving: the serving folder is not writable: No space left on device")
    wrapped.__cause__ = OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    told = {
        named: "/there/file: no space left on the disk. ",
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)): ": no space left on the disk. ",
        OSError(errno.EROFS, os.strerror(errno.EROFS), "/there"): "/there: the disk is read-only. ",
        OSError(errno.EDQUOT, os.strerror(errno.EDQUOT), "/there"): "/there: the disk quota is used up. ",
        ResourceExhaustedError(
            "/there/model.pb; No space left on device [Op:SaveV2]"
        ): "/there/model.pb: no space left",
        RuntimeError("OSError: [Errno 28] No space left on device [while running 'Write']"): ": no space left on the ",
        RuntimeError(
            "Error when executing query: database or disk is full query: INSERT"
        ): f"{metadata}: no space left on the disk",
        RuntimeError("attempt to write a readonly database"): f"{metadata}: the disk is read-only. ",
        wrapped: "/serving: the serving folder is not writable: No space left on device. ",
    }
    for error, says in told.items():
        found = explained(error, tmp_path, metadata)
        assert found and says in found and "Make room" in found and "run again" in found, found
    for other in (ValueError("no"), OSError(errno.EIO, "an error", "/there"), KeyError("space")):
        assert explained(other, tmp_path, metadata) is None


def test_the_reason_is_found_below_other_errors(tmp_path: Path) -> None:
    try:
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/there/file")
        except OSError as error:
            raise ValueError("the step failed") from error
    except ValueError as error:
        assert "/there/file: no space left" in (explained(error, tmp_path, tmp_path / "metadata.sqlite") or "")


@needs_mounts()
@pytest.mark.slow
def test_a_read_only_folder_is_named_before_anything_runs(tmp_path: Path) -> None:
    path, folder = make_project(tmp_path), tmp_path / "read-only"
    folder.mkdir()
    for options, says in {
        ("--root", f"{folder}/root"): f"{folder}/root: a run's files can't be written here: Read-only file system; ",
        ("--set", f"serving.destination={folder}"): f"{folder}: the serving folder is not writable: Read-only file sys",
    }.items():
        command = in_mounts([*HUBLINE, "run", str(path), *options], read_only=[folder])
        done = subprocess.run(command, capture_output=True, text=True, cwd=PROJECT, check=False)
        assert done.returncode == 2 and says in done.stderr, done.stderr
    assert not (tmp_path / ".hubline/tiny/artifacts").exists() and not list(folder.iterdir())
