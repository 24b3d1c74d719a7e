"""Archives of hub modules. `hubline check` and HubModule locate the SavedModel in an archive by the same rule."""

import shutil
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from hubline.core.errors import UserError

ARCHIVES = (".tar.gz", ".tgz", ".tar")

_FILE = "saved_model.pb"

MOST_FILES = 20_000
MOST_FOLDERS_DEEP = 32
MOST_BYTES = 64 << 30
MOST_GROWTH = 20
"""Maximum ratio of unpacked to packed size. Weights hardly compress; graphs compress to about a tenth."""
FREE_BYTES = 256 << 20
"""Allowance on top of that, for small archives."""


def read_saved_model(archive: str) -> bytes:
    """The `saved_model.pb` of an archive's SavedModel; nothing is unpacked.

    Raises:
        UserError: if there is none, several are candidates, or the archive is unsafe to unpack.
    """
    content, found = b"", []
    with _opened(archive, "r|*") as tar:  # streamed, in one pass
        for member in _checked(tar, archive):
            if not _is_saved_model(member):
                continue
            found.append(member.name)
            file = tar.extractfile(member) if _depth(member.name) == min(map(_depth, found)) else None
            content = file.read() if file else content
            if _depth(member.name) == 1:
                break  # none can be higher up, and each file occurs once
    _home(archive, found)
    return content


def unpack(archive: str, folder: str) -> str:
    """Unpacks an archive.

    Returns:
        The folder of the archive's SavedModel.

    Raises:
        UserError: as `read_saved_model`; `folder` is removed.
    """
    found = []
    try:
        with _opened(archive, "r:*") as tar:
            for member in _checked(tar, archive):
                tar.extract(member, folder, filter="data")
                found += [member.name] if _is_saved_model(member) else []
        return str(Path(folder, _home(archive, found)))
    except UserError:
        shutil.rmtree(folder, ignore_errors=True)
        raise


@contextmanager
def _opened(archive: str, mode: str) -> Iterator[tarfile.TarFile]:
    try:
        with tarfile.open(archive, mode) as tar:  # type: ignore[call-overload]
            yield tar
    except tarfile.FilterError as error:
        raise UserError(f"{archive}: not unpacked, because an entry points outside the archive: {error}") from error
    except UserError:
        raise
    except Exception as error:  # a damaged archive leads tarfile to any error, even AttributeError and ValueError
        raise UserError(f"{archive}: not a complete .tar.gz of a SavedModel: {error}") from error


def _checked(tar: tarfile.TarFile, archive: str) -> Iterator[tarfile.TarInfo]:
    """The members, each checked before it is read or unpacked.

    Raises:
        tarfile.FilterError: if a member or its link target is outside the archive, or is not a regular file.
        UserError: if there are too many members, or they are too deep or too large.
    """
    size = Path(archive).stat().st_size
    most = min(FREE_BYTES + MOST_GROWTH * size, MOST_BYTES)
    total = 0
    for number, member in enumerate(tar):
        tarfile.data_filter(member, "/hub_module")
        if _leads_back(member):
            raise UserError(f"{archive}: not unpacked: its entry {member.name[:80]!r} stands for its own folder")
        total += member.size
        why = None
        if number >= MOST_FILES:
            why = f"it holds more than {MOST_FILES:,} files"
        elif _depth(member.name) > MOST_FOLDERS_DEEP:
            why = f"{member.name[:80]}… lies more than {MOST_FOLDERS_DEEP} folders deep"
        elif total > most:
            why = (
                f"with {member.name} it comes to {total:,} bytes, and its own {size:,} bytes stand for at most {most:,}"
            )
        if why:
            raise UserError(f"{archive}: not unpacked: {why}; if this is intended, use the unpacked folder instead")
        yield member


def _leads_back(member: tarfile.TarInfo) -> bool:
    """Whether a member would replace the folder that it is unpacked into, for example by a link to another one."""
    parts = PurePosixPath(member.name.lstrip("/")).parts
    return ".." in parts or (not parts and not member.isdir())


def _is_saved_model(member: tarfile.TarInfo) -> bool:
    return member.isfile() and PurePosixPath(member.name).name == _FILE


def _depth(name: str) -> int:
    return len(PurePosixPath(name.lstrip("/")).parts)


def _home(archive: str, found: list[str]) -> str:
    """Folder of the topmost SavedModel in an archive. Deeper ones belong to it; a model pushed by Hubline contains one
    of its head.

    Raises:
        UserError: if there is none, or several are equally high.
    """
    homes = sorted(
        {str(PurePosixPath(name.lstrip("/")).parent) for name in found}, key=lambda home: (_depth(home), home)
    )
    if not homes:
        raise UserError(f"{archive}: the archive contains no {_FILE}")
    if len(homes) > 1 and _depth(homes[0]) == _depth(homes[1]):
        raise UserError(
            f"{archive}: contains several SavedModels at the same depth, {homes[0]} and {homes[1]}; "
            "unpack the archive and use the folder of one of them"
        )
    return homes[0]
