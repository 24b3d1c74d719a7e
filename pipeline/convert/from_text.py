"""Converts texts: one file per text in class folders, or one line per text."""

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa

from hubline.core.errors import UserError
from hubline.pipeline.convert.collection import Bad, Collection, ConvertedExample
from hubline.pipeline.convert.encodings import wide_encoding
from hubline.pipeline.convert.folders import by_class, encoded, printable
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.convert.labels import FILE, LABEL, TypedColumn, typed

TEXT = "text"

BOM = b"\xef\xbb\xbf"


class _Line(NamedTuple):
    number: int
    """From 0."""
    text: bytes


def in_folders(folder: Path) -> Collection[tuple[str, str]]:
    """Text files, of any name, in one folder per class.

    Raises:
        UserError: as `by_class` does.
    """
    listing = by_class(folder, "texts")

    def make(entry: tuple[str, str]) -> ConvertedExample:
        file, label = entry
        text = _checked((folder / file).read_bytes().removeprefix(BOM))
        return ConvertedExample({TEXT: [text], LABEL: [encoded(label)], FILE: [encoded(file)]})

    return Collection(
        items=listing.entries,
        count=len(listing.entries),
        place=lambda entry: printable(entry[0]),
        make=make,
        columns={TEXT: CellType.BYTES, LABEL: CellType.BYTES, FILE: CellType.BYTES},
        label=LABEL,
        bad=listing.bad,
        notes=listing.notes,
    )


def in_lines(path: Path, labels: Path | None = None) -> Collection[_Line]:
    """Lines of a file, in order. Without labels, blank lines are skipped.

    Args:
        path: The file.
        labels: A file with the label of each line on the line of the same number.

    Raises:
        UserError: if there is no such file, it is a table or contains no lines, or the numbers of lines and labels
            differ.
    """
    faults = [f"{file}: there is no such file" for file in (path, labels) if file and not file.is_file()]
    if faults:
        raise UserError("\n".join(faults))
    if path.suffix in (".csv", ".tsv"):
        raise UserError(f"{path}: is a table, not one text per line; use hubline convert csv")
    count = sum(1 for _ in _lines(path, blank=labels is not None))
    if not count:
        raise UserError(f"{path}: contains no lines")
    column = _labels(labels, path, count) if labels else None

    def make(line: _Line) -> ConvertedExample:
        text = {TEXT: [_checked(line.text)]}
        if column is None:
            return ConvertedExample(text)
        if not column[line.number]:
            raise Bad(f"has no label in {labels}")
        return ConvertedExample({**text, LABEL: column[line.number]})

    return Collection(
        items=_lines(path, blank=labels is not None),
        count=count,
        place=lambda line: f"{path}:{line.number + 1}",
        make=make,
        columns={TEXT: CellType.BYTES} | ({LABEL: column.kind} if column else {}),
        label=LABEL,
        notes=column.notes if column else (),
        in_threads=False,
    )


def _lines(path: Path, blank: bool) -> Iterator[_Line]:
    """Lines without line endings; blank lines at the end of the file are ignored."""
    skipped: list[_Line] = []
    with path.open("rb") as file:
        for number, read in enumerate(file):
            line = _Line(number, (read.removeprefix(BOM) if number == 0 else read).rstrip(b"\r\n"))
            if not line.text.strip():
                skipped += [line] if blank else []
                continue
            yield from skipped
            skipped = []
            yield line


def _labels(path: Path, texts: Path, count: int) -> TypedColumn:
    """Labels of `count` lines."""
    lines = [line.text for line in _lines(path, blank=True)]
    if len(lines) != count:
        raise UserError(f"{path}: {len(lines):,} labels, but {texts} has {count:,} lines")
    for number, line in enumerate(lines, start=1):
        try:
            line.decode()
        except UnicodeDecodeError as error:
            raise UserError(f"{path}:{number}: byte 0x{line[error.start]:02x} is not UTF-8") from None
    return typed(LABEL, pa.array([line.decode().strip() for line in lines], pa.string()))


def _checked(text: bytes) -> bytes:
    """Checks that a text is UTF-8 and not empty."""
    if not text.strip():
        raise Bad("contains no text")
    try:
        text.decode()
    except UnicodeDecodeError as error:
        wide = wide_encoding(text)
        hint = f"; it looks like {wide.upper()}, but must be UTF-8" if wide else ""
        raise Bad(f"byte 0x{text[error.start]:02x} at {error.start:,} is not UTF-8{hint}") from None
    if b"\0" in text:
        raise Bad("is not text: it contains zero bytes")
    return text
