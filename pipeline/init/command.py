"""`hubline init`: from data to a pipeline file."""

from __future__ import annotations

import os
import shlex
from collections import Counter
from collections.abc import Collection, Set
from contextlib import ExitStack
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from rich.console import Console

from hubline.core import storage
from hubline.core.config_base import escape, is_remote, normalized
from hubline.core.errors import UserError
from hubline.pipeline.init.profile import look
from hubline.pipeline.init.suggest import Suggestion, suggest
from hubline.pipeline.init.tables import converted_tables, tables_in
from hubline.pipeline.init.write import as_yaml, name_of, seen, text_of

OTHER_FILES = frozenset(
    [
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".bmp",
        ".csv",
        ".tsv",
        ".parquet",
        ".json",
        ".yaml",
        ".yml",
        ".txt",
        ".md",
        ".py",
    ]
)
"""Endings of files that often lie beside TFRecords but are something else."""

CONVERTERS = {
    "images": frozenset([".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"]),
    "text": frozenset([".txt", ".md"]),
    "video": frozenset([".gif", ".mp4", ".avi", ".mov", ".webm"]),
}
"""Endings of files in class folders, by the command of `hubline convert` that reads them."""


def init(
    examples: str,
    label: str | None,
    hub: str | None,
    output: Path,
    overwrite: bool,
    console: Console,
    kept: Collection[str] = (),
) -> dict[str, Any]:
    """Profiles data and writes a pipeline file for it.

    Args:
        examples: A file, folder, glob or span pattern of TFRecords; or a file or glob of CSV or Parquet files, which
            are converted first.
        label: Label column; None to find it by name.
        hub: Handle of a module for the images, clips or texts, if any.
        output: The file to write.
        overwrite: Whether it may exist.
        console: Shows progress and the outcome.
        kept: Columns that become features although they look like identifiers or bookkeeping.

    Returns:
        The outcome in machine-readable form.

    Raises:
        UserError: if the file exists, the data cannot be read or learned from, or the module doesn't fit.
    """
    _refuse_output(output, overwrite, examples)
    _refuse_mixed_folder(examples)
    _refuse_class_folders(examples)
    folder = output.absolute().parent
    module = None
    if hub is not None:
        # Imported here because TensorFlow Hub and TFX take seconds to import.
        from hubline.pipeline.init.module import look_at_module

        with console.status(f"looking at {hub}"):
            module = look_at_module(hub, hub if is_remote(hub) else os.path.relpath(hub, folder))
    dates: Set[str] = frozenset()
    with ExitStack() as unfinished:
        if tables := tables_in(examples):
            made = unfinished.enter_context(converted_tables(tables, folder, label, overwrite, console))
            examples, dates = str(made.folder), made.dates
        data = look(_absolute(examples), console, dates)
        suggestion = suggest(data, label, module, kept)
        text = text_of(suggestion, data, _relative(_absolute(examples), folder), name_of(folder))
        storage.write_text(str(output), text)
    _say(console, f"Looked at {seen(data)}.", suggestion, output)
    return {
        "status": "succeeded",
        "file": str(output),
        "examples": examples,
        "records": data.records,
        "total": data.total,
        "sampled": not data.is_whole,
        "label": suggestion.label.settings,
        "features": {feature.name: feature.settings for feature in suggestion.features},
        "left_out": suggestion.left_out
        | dict.fromkeys((each.name for each in suggestion.without_module), "no hub module"),
    }


def _refuse_output(output: Path, overwrite: bool, examples: str) -> None:
    if output.is_dir():
        raise UserError(f"{output}: this is a folder; pass a file, such as {output / 'pipeline.yaml'}")
    if not output.absolute().parent.is_dir():
        raise UserError(f"{output.parent}: there is no such folder")
    if Path(examples).is_dir() and Path(examples).samefile(output.parent):
        raise UserError(
            f"{output}: every file in {examples} would be data; choose a file elsewhere with --output, or use a "
            "pattern "
            f"such as '{Path(examples) / '*.tfrecord'}'"
        )
    if output.exists() and not overwrite:
        raise UserError(f"{output}: already exists; choose another file with --output, or pass --overwrite")


def _refuse_mixed_folder(examples: str) -> None:
    """Raises a UserError, with a pattern for the TFRecords, if a folder also holds files that are not TFRecords."""
    if is_remote(examples) or not Path(examples).is_dir():
        return
    files = [path for path in Path(examples).iterdir() if path.is_file() and not path.name.startswith((".", "_"))]
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


def _refuse_class_folders(examples: str) -> None:
    """Raises a UserError, with the command that converts them, if a folder holds nothing but folders of images or
    texts, one per class."""
    if is_remote(examples) or not Path(examples).is_dir():
        return
    held = [path for path in Path(examples).iterdir() if not path.name.startswith((".", "_"))]
    if not held or not all(path.is_dir() for path in held):
        return
    endings = {path.suffix.lower() for each in held for path in each.iterdir() if path.is_file()}
    command = next((command for command, some in CONVERTERS.items() if endings and endings <= some), None)
    if command:
        convert = shlex.join(["hubline", "convert", command, examples, "--output", "data"])
        raise UserError(f"{examples}: holds folders of {command}, one per class; convert them first: {convert}")


def _pattern_of(names: list[str]) -> str:
    """A pattern for all of some file names: their common start and end."""
    if len(names) == 1:
        return escape(names[0])
    end = _common_start([name[::-1] for name in names])[::-1]
    return f"{escape(_common_start([name.removesuffix(end) for name in names]))}*{escape(end)}"


def _common_start(texts: list[str]) -> str:
    return os.path.commonprefix(texts)  # noqa: RUF071 (by character is meant)


def _absolute(examples: str) -> str:
    """An absolute pattern. The path of an existing file or folder is taken literally."""
    if is_remote(examples):
        return normalized(examples)
    given = Path(examples).expanduser()
    if given.exists():
        return escape(os.path.abspath(given))  # noqa: PTH100
    return os.path.normpath(os.path.join(escape(os.getcwd()), given))  # noqa: PTH109, PTH118


def _relative(pattern: str, folder: Path) -> str:
    """The pattern relative to a folder, for a pipeline file in it."""
    return pattern if is_remote(pattern) else os.path.relpath(pattern, escape(str(folder)))


def _say(console: Console, looked: str, suggestion: Suggestion, output: Path) -> None:
    def say(text: str, style: str | None = None) -> None:
        console.print(text, style=style, soft_wrap=True)

    say(looked)
    for feature in suggestion.features:
        say(f"  {feature.name}: {as_yaml(feature.settings)}")
    for feature in suggestion.without_module:
        say(f"  {feature.name}: {feature.settings['kind']}, commented out; say --hub HANDLE", "yellow")
    for column, reason in suggestion.left_out.items():
        say(f"  {column}: left out, {reason}", "yellow")
    say(f"  the label: {as_yaml(suggestion.label.settings)}")
    say(f"Wrote {output}.", "green")
    say(f"Next:   read it, then hubline run {shlex.quote(str(output))}")
