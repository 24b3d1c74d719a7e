"""The folder of TFRecords that a conversion makes beside the pipeline file, and which data it was made of."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.pipeline.convert.output import SOURCE


@dataclass(frozen=True)
class Converted:
    """TFRecords made of other files."""

    folder: Path
    dates: frozenset[str] = frozenset()
    """Columns that hold dates, as seconds since 1970."""


def refuse_another_source(folder: Path, examples: str) -> None:
    """Checks that a folder of TFRecords, if there is one, was made of the same data: that its records may be replaced.

    Args:
        folder: The folder.
        examples: The path or glob of the data, as the user says it.

    Raises:
        UserError: if it was made of other data, or by another command than `hubline init`.
    """
    if not folder.is_dir() or not any(folder.iterdir()):
        return
    file, wanted = folder / SOURCE, _source(folder, examples)
    found = json.loads(file.read_text())["made_of"] if file.is_file() else None
    if found == wanted:
        return
    made = f"was made of {os.path.normpath(folder.parent / found)}" if found else "was not made by hubline init"
    raise UserError(
        f"{folder}: {examples} would be converted to this folder, which {made}; rename or remove the folder, or write "
        "the pipeline file to another folder with --output"
    )


@contextmanager
def made_of(converted: Converted, examples: str, overwrite: bool) -> Iterator[Converted]:
    """Writes down which data a folder of TFRecords was made of. Removes the folder if the block fails, unless it may
    have replaced an earlier one.

    Args:
        converted: The TFRecords.
        examples: As in `refuse_another_source`.
        overwrite: Whether they may have replaced others.
    """
    folder = converted.folder
    storage.write_text(str(folder / SOURCE), json.dumps({"made_of": _source(folder, examples)}) + "\n")
    try:
        yield converted
    except BaseException:
        if not overwrite:
            shutil.rmtree(folder)
        raise


@contextmanager
def followed_by(more: str) -> Iterator[None]:
    """Adds lines to the message of a UserError."""
    try:
        yield
    except UserError as error:
        raise UserError(f"{error}\n{more}") from error


def _source(folder: Path, examples: str) -> str:
    """The path of the data, relative so that data and TFRecords can be moved together."""
    return os.path.relpath(Path(examples).expanduser(), folder.parent)
