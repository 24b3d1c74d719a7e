"""Folders with a folder for each class."""

import hashlib
import os
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from hubline.core.errors import UserError
from hubline.pipeline.convert.collection import Bad

_LITTER = {"Thumbs.db", "desktop.ini"}
"""What Windows leaves in folders of pictures; what macOS and Linux leave begins with a dot."""
_TABLES = {".csv", ".tsv", ".json", ".xml"}
"""What tables and annotations are written in, which may lie beside the images."""
_SHOWN = 3


@dataclass(frozen=True)
class Listing:
    """What lies in the folders of the classes."""

    entries: Sequence[tuple[str, str]]
    """Each entry as its path within the folder, with `/`, and its class. They are in the order of a hash of the path:
    the classes are mixed in every file that is written, and stay so where a class is added."""
    bad: Sequence[str]
    """What has no class."""
    notes: Sequence[str]


def by_class(folder: Path, of: str, folders_too: bool = False) -> Listing:
    """What lies in the folder of each class.

    Args:
        folder: Holds a folder for each class.
        of: What these hold, in the plural.
        folders_too: Whether it may be folders, too.

    Raises:
        UserError: where there is no such folder, no class, or nothing in any; or where a class holds folders and may
            not.
    """
    check_folder(folder)
    classes: list[str] = []
    strays: list[str] = []
    for entry in entries_of(folder):
        (classes if entry.is_dir() else strays).append(entry.name)
    if not classes:
        raise UserError(f"{folder}: holds no folders; it takes one for each class, with its {of}")
    entries, empty, nested = [], [], []
    for name in classes:
        held = list(entries_of(folder / name))
        deeper = [entry.name for entry in held if entry.is_dir()]
        if deeper and not folders_too:
            nested.append(f"{folder / name}: holds folders ({listed(deeper)}); is it the folder to convert?")
        if not held:
            empty.append(f"{printable(name)}: holds no {of}")
        entries += [(f"{name}/{entry.name}", name) for entry in held]
    if nested:
        raise UserError("\n".join([*nested, f"{folder}: takes a folder for each class, and in it nothing but {of}"]))
    if not entries:
        raise UserError(f"{folder}: there are no {of} in its folders ({listed(classes)})")
    bad = [f"{printable(name)}: has no class: it lies beside the folders of the classes" for name in strays]
    return Listing(sorted(entries, key=_mixed), bad, empty)


def check_folder(folder: Path) -> None:
    """Makes sure that a folder is there.

    Raises:
        UserError: where it is not.
    """
    if not folder.is_dir():
        raise UserError(f"{folder}: {'is a file; it takes a folder' if folder.exists() else 'there is no such folder'}")


def entries_of(folder: Path) -> Iterator[os.DirEntry[str]]:
    """What a folder holds, by name, numbers in names by their size: `frame9` before `frame10`; but nothing hidden."""
    with os.scandir(folder) as entries:
        seen = [entry for entry in entries if not entry.name.startswith(".") and entry.name not in _LITTER]
    return iter(sorted(seen, key=lambda entry: _natural(entry.name)))


def inside(file: str) -> str:
    """A path that someone wrote down, if it stays within its folder.

    Raises:
        Bad: where it does not.
    """
    if not _is_inside(PurePosixPath(file)):
        raise Bad(f"the path {printable(file)!r} leads out of the folder of the images")
    return file


def unnamed(folder: Path, files: Iterable[str], table: Path) -> Iterator[str]:
    """A note on the files that a table leaves out.

    Args:
        folder: The files' paths count from here.
        files: Those that the table names; what lies beside them is looked at, and nothing else.
        table: The table, as the note calls it.
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
        yield f"{len(others):,} files in {folder} are not in {table} and are left out: {listed(others)}"


def encoded(name: str) -> bytes:
    """A path or name as UTF-8.

    Raises:
        Bad: where it is none.
    """
    try:
        return name.encode()
    except UnicodeEncodeError:
        raise Bad("its name is not UTF-8") from None


def printable(name: str) -> str:
    """A path or name, with a sign in place of what is not UTF-8."""
    return name.encode(errors="surrogateescape").decode(errors="replace")


def listed(names: Sequence[str]) -> str:
    """The first of some names."""
    return printable(", ".join(names[:_SHOWN])) + (", …" if len(names) > _SHOWN else "")


def _is_inside(file: PurePosixPath) -> bool:
    return not file.is_absolute() and ".." not in file.parts


def _mixed(entry: tuple[str, str]) -> bytes:
    return hashlib.sha256(entry[0].encode(errors="surrogateescape")).digest()


def _natural(name: str) -> tuple[list[tuple[int, str]], str]:
    """A key to sort by; the name itself tells `01` from `1`."""
    return [(int(part or 0), "") if number else (0, part) for number, part in _parts(name)], name


def _parts(name: str) -> Iterator[tuple[bool, str]]:
    for place, part in enumerate(re.split(r"([0-9]+)", name)):
        yield place % 2 == 1, part
