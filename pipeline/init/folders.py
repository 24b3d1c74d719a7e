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
from hubline.pipeline.convert.folders import is_litter
from hubline.pipeline.convert.output import Destination
from hubline.pipeline.init.class_folders import CONVERTERS, converts
from hubline.pipeline.init.converted import Converted, followed_by, made_of, refuse_another_source
from hubline.pipeline.init.tables import TABLES, table_ending

OTHER_FILES = TABLES.union(*CONVERTERS.values(), [".avro", ".json", ".yaml", ".yml", ".py", ".xml"])
"""Endings of files that often lie beside TFRecords but are something else."""


@contextmanager
def converted_folders(
    command: str, examples: str, beside: Path, overwrite: bool, console: Console
) -> Iterator[Converted]:
    """Converts class folders as `hubline convert images`, `text` and `audio` do without options. If the block fails,
    the TFRecords are removed.

    Args:
        command: As `class_folders_in` returns it.
        examples: A folder that holds one folder per class.
        beside: Folder in which the folder of TFRecords is made.
        overwrite: Whether to replace the TFRecords of an earlier conversion.
        console: Shows how many there are of each class.

    Raises:
        UserError: if a file can't be converted, or the TFRecords there were made of other data; or of clips, whose
            frames and size are to be chosen. Names the command.
    """
    from hubline.pipeline.convert import from_images, from_sounds, from_text
    from hubline.pipeline.convert.collect import collect

    folder = Path(examples)
    output = beside / f"{folder.resolve().name}-tfrecords"
    shown = converts(folder, command, output)
    then = f"then: hubline init {shlex.quote(str(output))}"
    if command == "video":
        raise UserError(
            f"{folder}: holds folders of clips, one per class; choose their frames and size as you convert them: "
            f"{shown} --frames-per-second 5 --max-frames 50 --size 112x112\n{then}"
        )
    refuse_another_source(output, examples)
    with followed_by(f"options are those of: {shown}\n{then}"):
        readers = {"images": from_images.in_folders, "text": from_text.in_folders, "audio": from_sounds.in_folders}
        collect(readers[command](folder), Destination(output, overwrite=overwrite), "fail", console)
    console.print(f"Converted by: {shown}", soft_wrap=True, highlight=False)
    with made_of(Converted(output), examples, overwrite) as converted:
        yield converted


def refuse_mixed_folder(examples: str) -> None:
    """Raises a UserError, with a pattern for the TFRecords, if a folder also holds files that are not TFRecords."""
    if is_remote(examples) or not Path(examples).is_dir():
        return
    files = [path for path in _visible(Path(examples)) if path.is_file()]
    others = Counter(path.suffix.lower() for path in files if _is_other(path))
    records = [path.name for path in files if not _is_other(path)]
    if others and records:
        pattern = _pattern_of(records)
        takes_others = any(fnmatchcase(path.name, pattern) for path in files if _is_other(path))
        pattern = f"use a pattern such as '{escape(str(Path(examples)))}/{pattern}'"
        found = ", ".join(f"{count} {ending}" for ending, count in sorted(others.items()))
        raise UserError(
            f"{examples}: every file in the folder would be data, but some are not TFRecords ({found}); "
            f"{'move those to another folder' if takes_others else pattern}"
        )


def within_the_data(folder: Path) -> str:
    """Why a pipeline file is not written to the folder of its data, and what to do."""
    held = _visible(folder)
    endings = Counter(kind for path in held if (kind := table_ending(path)))
    elsewhere = "choose a file elsewhere with --output"
    if endings:
        pattern = f"{escape(str(folder))}/*{endings.most_common(1)[0][0]}".removeprefix("./")
        return f"would lie among the data; use a pattern for the tables, such as '{pattern}', or {elsewhere}"
    if any(path.is_dir() for path in held):
        return f"would lie among the folders of the data, as would its TFRecords; {elsewhere}"
    return f"every file in {folder} would be data; {elsewhere}, or use a pattern such as '{folder / '*.tfrecord'}'"


def _is_other(path: Path) -> bool:
    return path.suffix.lower() in OTHER_FILES or is_litter(path.name)


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
