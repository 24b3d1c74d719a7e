"""Folders: of images, texts or sounds by class, which are converted, and of TFRecords beside other files."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from fnmatch import fnmatchcase
from pathlib import Path

from rich.console import Console

from hubline.core.config_base import escape, is_remote
from hubline.core.errors import UserError
from hubline.pipeline.convert.output import Destination
from hubline.pipeline.init.tables import Converted, followed_by, removed_on_failure

OTHER_FILES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".bmp",
        ".webp",
        ".wav",
        ".csv",
        ".tsv",
        ".parquet",
        ".avro",
        ".json",
        ".yaml",
        ".yml",
        ".txt",
        ".md",
        ".py",
        ".xml",
    ]
)
"""Endings of files that often lie beside TFRecords but are something else."""
CONVERTERS = {
    "images": frozenset([".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"]),
    "text": frozenset([".txt", ".md"]),
    "audio": frozenset([".wav"]),
    "video": frozenset([".gif", ".mp4", ".avi", ".mov", ".webm"]),
}
"""Endings of files in class folders, by the command of `hubline convert` that reads them."""


def class_folders_in(examples: str) -> str | None:
    """The command of `hubline convert` for a folder that holds nothing but folders of images, texts, sounds or clips,
    one per class; None for anything else."""
    if is_remote(examples) or not Path(examples).is_dir():
        return None
    held = _visible(Path(examples))
    if not held or not all(path.is_dir() for path in held):
        return None
    endings = {path.suffix.lower() for each in held for path in _visible(each)}
    return next((command for command, some in CONVERTERS.items() if endings and endings <= some), None)


@contextmanager
def converted_folders(
    command: str, folder: Path, beside: Path, overwrite: bool, console: Console
) -> Iterator[Converted]:
    """Converts class folders as `hubline convert images`, `text` and `audio` do without options. If the block fails,
    the TFRecords are removed.

    Args:
        command: As `class_folders_in` returns it.
        folder: Holds one folder per class.
        beside: Folder in which the folder of TFRecords is made.
        overwrite: Whether to replace the TFRecords of an earlier conversion.
        console: Shows how many there are of each class.

    Raises:
        UserError: if a file can't be converted; or of clips, whose frames and size are to be chosen. Names the command.
    """
    from hubline.pipeline.convert import from_images, from_sounds, from_text
    from hubline.pipeline.convert.collect import collect

    output = beside / f"{folder.resolve().name}-tfrecords"
    shown = shlex.join(["hubline", "convert", command, str(folder), "--output", str(output)])
    then = f"then: hubline init {shlex.quote(str(output))}"
    if command == "video":
        raise UserError(
            f"{folder}: holds folders of clips, one per class; choose their frames and size as you convert them: "
            f"{shown} --frames-per-second 5 --max-frames 50 --size 112x112\n{then}"
        )
    with followed_by(f"options are those of: {shown}\n{then}"):
        readers = {"images": from_images.in_folders, "text": from_text.in_folders, "audio": from_sounds.in_folders}
        collect(readers[command](folder), Destination(output, overwrite=overwrite), "fail", console)
    console.print(f"Converted by: {shown}", soft_wrap=True, highlight=False)
    with removed_on_failure(output, overwrite):
        yield Converted(output)


def refuse_mixed_folder(examples: str) -> None:
    """Raises a UserError, with a pattern for the TFRecords, if a folder also holds files that are not TFRecords."""
    if is_remote(examples) or not Path(examples).is_dir():
        return
    files = [path for path in _visible(Path(examples)) if path.is_file()]
    others = Counter(path.suffix.lower() for path in files if path.suffix.lower() in OTHER_FILES)
    records = [path.name for path in files if path.suffix.lower() not in OTHER_FILES]
    if others and records:
        pattern = _pattern_of(records)
        takes_others = any(fnmatchcase(path.name, pattern) for path in files if path.suffix.lower() in OTHER_FILES)
        pattern = f"use a pattern such as '{escape(str(Path(examples)))}/{pattern}'"
        found = ", ".join(f"{count} {ending}" for ending, count in sorted(others.items()))
        raise UserError(
            f"{examples}: every file in the folder would be data, but some are not TFRecords ({found}); "
            f"{'move those to another folder' if takes_others else pattern}"
        )


def _visible(folder: Path) -> list[Path]:
    return [path for path in folder.iterdir() if not path.name.startswith((".", "_"))]


def _pattern_of(names: list[str]) -> str:
    """A pattern for all of some file names: their common start and end."""
    if len(names) == 1:
        return escape(names[0])
    end = _common_start([name[::-1] for name in names])[::-1]
    return f"{escape(_common_start([name.removesuffix(end) for name in names]))}*{escape(end)}"


def _common_start(texts: list[str]) -> str:
    return os.path.commonprefix(texts)  # noqa: RUF071 (by character is meant)
