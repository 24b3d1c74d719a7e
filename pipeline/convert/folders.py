"""Folders with one subfolder per class."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hubline.core.errors import UserError
from hubline.pipeline.convert.collection import Bad

_LITTER = {"thumbs.db", "desktop.ini", "__macosx", "@eadir"}
"""What Windows, zip files of macOS, and Synology leave in folders of images, in any case; macOS itself and Linux leave
files that start with a dot."""
_TABLES = {".csv", ".tsv", ".json", ".xml"}
"""Extensions of tables and annotations, which may be next to the images."""
_SHOWN = 3


@dataclass(frozen=True)
class Listing:
    """Contents of the class folders."""

    entries: Sequence[tuple[str, str]]
    """Relative path, with `/`, and class of each entry, in the order of a hash of the path: classes are mixed in every
    output file, and stay so when a class is added."""
    bad: Sequence[str]
    """Entries without a class."""
    notes: Sequence[str]


def by_class(folder: Path, of: str, folders_too: bool = False) -> Listing:
    """Lists the folder of each class.

    Args:
        folder: Contains one folder per class.
        of: Name of the contents, in the plural.
        folders_too: Whether the contents may be folders.

    Raises:
        UserError: if there is no such folder, it contains no classes or nothing in them, or a class contains folders
            although it may not.
    """
    check_folder(folder)
    classes: list[str] = []
    strays: list[str] = []
    for entry in entries_of(folder):
        (classes if entry.is_dir() else strays).append(entry.name)
    if not classes:
        raise UserError(f"{folder}: contains no folders; expected one folder per class, containing {of}")
    entries, empty, nested = [], [], []
    for name in classes:
        held = [entry for entry in entries_of(folder / name) if folders_too or not _is_empty_folder(entry)]
        deeper = [entry.name for entry in held if entry.is_dir()]
        if deeper and not folders_too:
            nested.append(f"{folder / name}: contains folders ({listed(deeper)}); did you mean to convert this folder?")
        if not held:
            empty.append(f"{printable(name)}: contains no {of}")
        entries += [(f"{name}/{entry.name}", name) for entry in held]
    if nested:
        raise UserError("\n".join([*nested, f"{folder}: expected one folder per class, containing only {of}"]))
    if not entries:
        raise UserError(f"{folder}: its folders ({listed(classes)}) contain no {of}")
    bad = [f"{printable(name)}: has no class, because it is not in one of the class folders" for name in strays]
    return Listing(sorted(entries, key=_mixed), bad, empty)


def _is_empty_folder(entry: os.DirEntry[str]) -> bool:
    return entry.is_dir() and not any(entries_of(Path(entry.path)))


def check_folder(folder: Path) -> None:
    """Checks that a folder exists.

    Raises:
        UserError: if it doesn't.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: {'is a file; pass a folder' if folder.exists() else 'there is no such folder'}")


def entries_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    """Visible contents of a folder in natural order: `frame9` before `frame10`."""
    with os.scandir(folder) as entries:
        seen = [entry for entry in entries if not is_litter(entry.name)]
    return iter(sorted(seen, key=lambda entry: _natural(entry.name)))


def is_litter(name: str) -> bool:
    """Whether a file or folder is hidden, or one that a system leaves in folders of images."""
    return name.startswith(".") or name.lower() in _LITTER


def inside(file: str) -> str:
    """Checks that a path stays within its folder, and returns it.

    Raises:
        Bad: if it doesn't, or is no path.
    """
    if not _is_inside(PurePosixPath(file)):
        raise Bad(f"the path {printable(file)!r} leads out of the image folder")
    if "\0" in file:
        raise Bad(f"{printable(file)!r} is no path, because it contains a null character")
    return file


def unnamed(folder: Path, files: Iterable[str], table: Path) -> Iterator[str]:
    """A note about files that a table doesn't mention.

    Args:
        folder: The files' paths are relative to it.
        files: Files in the table; only their folders are searched.
        table: The table, for the note.
    """
    named = {PurePosixPath(file) for file in files}
    parents = sorted({file.parent for file in named if _is_inside(file)})
    others = [
        str(parent / entry.name)
        for parent in parents
        if (folder / parent).is_dir()
        for entry in entries_of(folder / parent)
        if entry.is_file() and Path(entry.name).suffix not in _TABLES and parent / entry.name not in named
    ]
    if others:
        yield f"{len(others):,} files in {folder} are not listed in {table} and are left out: {listed(others)}"


def encoded(name: str) -> bytes:
    """A path or name in UTF-8.

    Raises:
        Bad: if it is not UTF-8.
    """
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise Bad("its name is not UTF-8") from None


def printable(name: str) -> str:
    """A path or name with replacement characters for what is not UTF-8."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def listed(names: Sequence[str]) -> str:
    """The first few names."""
    return printable(", ".join(names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")


def _is_inside(file: PurePosixPath) -> bool:
    return not file.is_absolute() and ".." not in file.parts


def _mixed(entry: tuple[str, str]) -> bytes:
    return hashlib.sha256(entry[0].encode(errors="surrogateescape")).digest()


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """Sort key in natural order; the name itself distinguishes `01` from `1`."""
    return [(int(part or 0), "") if number else (0, part) for number, part in _parts(name)], name


def _parts(name: str) -> Iterator[tuple[bool, str]]:
    for place, part in enumerate(re.split(r"([0-9]+)", name)):
        yield place % 2 == 1, part
