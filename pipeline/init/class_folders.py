"""Recognises folders of images, texts, sounds or clips by class, and says what keeps a folder from being one."""

from __future__ import annotations

import shlex
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from hubline.core.config_base import escape, is_remote
from hubline.core.errors import UserError
from hubline.core.tfrecords import GZIP_MAGIC, HEADER, begins_record
from hubline.pipeline.convert.folders import entries_of, listed
from hubline.pipeline.init.tables import is_table

CONVERTERS = {
    "images": frozenset([".png", ".jpg", ".jpeg", ".bmp", ".webp", ".tif", ".tiff"]),
    "text": frozenset([".txt", ".md"]),
    "audio": frozenset([".wav"]),
    "video": frozenset([".gif", ".mp4", ".avi", ".mov", ".webm"]),
}
"""Endings of files in class folders, by the command of `hubline convert` that reads them."""
_SHOWN = {"images": "images", "text": "texts", "audio": "WAV files", "video": "clips"}
_SPLITS = frozenset(["train", "training", "val", "valid", "validation", "dev", "eval", "evaluation", "test", "testing"])
"""Usual names of folders that hold a split."""
_TO_KEEP_SPLITS = "to keep them as splits, convert each, and name the new folders in data.split"


def class_folders_in(examples: str) -> str | None:
    """The command of `hubline convert` for a folder that holds nothing but folders of images, texts, sounds or clips,
    one per class; None for tables and TFRecords, and for what can't be told from these.

    Raises:
        UserError: if the folder holds such files in another way; says what was found, and what reads it.
    """
    if is_remote(examples) or not Path(examples).is_dir():
        return None
    folder = Path(examples)
    inner, files = _held(folder)
    if not inner:
        _refuse_without_classes(folder, files)
        return None
    held = {each: _held(each) for each in inner}
    of_classes = [file for _, each in held.values() for file in each]
    deeper = [each for folders, _ in held.values() for each in folders]
    command = _command(of_classes)
    if command is None:
        _refuse_deeper(folder, inner, deeper, [*files, *of_classes])
        return None
    if strays := [file for file in (*files, *of_classes) if file in files or not _is_of(command, file)]:
        _refuse_strays(folder, command, strays)
    return command


def converts(folder: Path, command: str, output: Path | None = None) -> str:
    """The `hubline convert` command for a folder."""
    output = output or _beside(folder, f"{folder.resolve().name}-tfrecords")
    return shlex.join(["hubline", "convert", command, str(folder), "--output", str(output)])


def _refuse_without_classes(folder: Path, files: Sequence[Path]) -> None:
    """Raises a UserError for a folder of images, texts, sounds or clips without folders."""
    command = _command([file for file in files if not is_table(file)])
    if command is None or any(_holds_records(file) for file in files if not _is_of(command, file)):
        return
    found = f"{folder}: holds {_counted(command, files)} and no folders; a class is known by its folder, so that each "
    found += f"class needs one, such as {folder / 'CLASS' / files[0].name}"
    if command == "images":
        table = next((file for file in files if file.suffix.lower() in (".csv", ".tsv")), "LABELS.csv")
        found += f"\nor, with a table of their labels: {converts(folder, command)} --labels {shlex.quote(str(table))}"
    raise UserError(found)


def _refuse_deeper(folder: Path, inner: Sequence[Path], deeper: Sequence[Path], files: Sequence[Path]) -> None:
    """Raises a UserError for a folder whose folders are empty, or hold class folders rather than files."""
    names = listed([each.name for each in inner])
    if not deeper and not files:
        raise UserError(
            f"{folder}: its folders ({names}) are empty; each should hold the images, texts, WAV files or clips of one "
            "class"
        )
    command = _command([file for each in deeper for file in _held(each)[1]])
    if command is None and not any(file.parent == folder for file in files):
        raise UserError(
            f"{folder}: holds folders ({names}) and no files; for TFRecords in those, use a pattern such as "
            f"'{escape(str(folder))}/*/*'; for other files, see hubline convert --help"
        )
    if command is None:
        return
    classes = listed(list(dict.fromkeys(each.name for each in deeper)))
    found = f"{folder}: its folders ({names}) hold no {_SHOWN[command]} but folders ({classes})"
    first = next((each for each in inner if "train" in each.name.lower()), inner[0])
    one = f"hubline init {shlex.quote(str(first))}"
    if all(each.name.lower() in _SPLITS for each in inner):
        names_of = {each: f"{folder.resolve().name}-{each.name}-tfrecords" for each in inner}
        lines = [converts(each, command, _beside(folder, name)) for each, name in names_of.items()]
        raise UserError("\n".join([f"{found}; to learn from one: {one}", f"{_TO_KEEP_SPLITS}:", *lines]))
    clips = f"\nor, if each of them is a clip, a folder of frames: {converts(folder, 'video')}"
    raise UserError(f"{found}; if those are the classes: {one}{clips if command == 'images' else ''}")


def _refuse_strays(folder: Path, command: str, strays: Sequence[Path]) -> None:
    """Raises a UserError for files that are no images, beside those or beside the class folders, and so on."""
    shown = listed([str(file.relative_to(folder)) for file in strays])
    skip = f", or leave them out by: {converts(folder, command)} --bad skip" if command in ("images", "audio") else ""
    raise UserError(
        f"{folder}: holds folders of {_SHOWN[command]}, one per class, and {len(strays):,} other files ({shown}); move "
        f"those away{skip}"
    )


def _beside(folder: Path, name: str) -> Path:
    return folder.with_name(name) if folder.name else Path("..", name)


def _held(folder: Path) -> tuple[list[Path], list[Path]]:
    """The folders and the files in a folder, without clutter."""
    held = [Path(entry.path) for entry in entries_of(folder)]
    return [each for each in held if each.is_dir()], [each for each in held if not each.is_dir()]


def _command(files: Sequence[Path]) -> str | None:
    """The command that reads most of the files; None if that is none."""
    counts = Counter(next((command for command in CONVERTERS if _is_of(command, file)), None) for file in files)
    return counts.most_common(1)[0][0] if counts else None


def _is_of(command: str, file: Path) -> bool:
    return file.suffix.lower() in CONVERTERS[command]


def _holds_records(file: Path) -> bool:
    with file.open("rb") as opened:
        head = opened.read(HEADER.size)
    return begins_record(head) or head.startswith(GZIP_MAGIC)


def _counted(command: str, files: Sequence[Path]) -> str:
    others = [file.name for file in files if not _is_of(command, file)]
    beside = f", beside {listed(others)}," if others else ""
    return f"{len(files) - len(others):,} {_SHOWN[command]}{beside}"
