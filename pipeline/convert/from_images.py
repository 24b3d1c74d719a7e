"""Converts image files, with labels from folders or a table."""

from collections.abc import Mapping
from pathlib import Path

from hubline.core.errors import UserError
from hubline.pipeline.convert.collection import Bad, Collection, ConvertedExample
from hubline.pipeline.convert.folders import by_class, check_folder, encoded, inside, printable, unnamed
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.convert.labels import FILE, LABEL, Labels
from hubline.pipeline.convert.picture import picture

IMAGE = "image"


def in_folders(folder: Path, max_side: int | None = None) -> Collection[tuple[str, str]]:
    """Images in one folder per class.

    Args:
        folder: Contains the class folders.
        max_side: As in `picture`.

    Raises:
        UserError: as `by_class` does.
    """
    listing = by_class(folder, "images")

    def make(entry: tuple[str, str]) -> ConvertedExample:
        file, label = entry
        return _made(folder, file, {LABEL: [encoded(label)]}, max_side)

    return Collection(
        items=listing.entries,
        count=len(listing.entries),
        place=lambda entry: printable(entry[0]),
        make=make,
        columns={IMAGE: CellType.BYTES, LABEL: CellType.BYTES, FILE: CellType.BYTES},
        label=LABEL,
        bad=listing.bad,
        notes=listing.notes,
    )


def with_labels(folder: Path, labels: Labels, several: bool, max_side: int | None = None) -> Collection[int]:
    """Images listed in a table, in the order of its rows.

    Args:
        folder: The images' paths are relative to it.
        labels: The table.
        several: Whether an image may have any number of labels, including none.
        max_side: As in `picture`.

    Raises:
        UserError: if there is no such folder, or a column has the name of a generated one.
    """
    check_folder(folder)
    taken = [name for name in (IMAGE, FILE) if name in labels.columns]
    if taken:
        raise UserError(f"the labels have a column {taken[0]!r}, which the conversion writes itself; rename it")

    def make(row: int) -> ConvertedExample:
        values = {name: column[row] for name, column in labels.columns.items()}
        if not values[LABEL] and not several:
            raise Bad("has no label")
        return _made(folder, inside(labels.files[row]), values, max_side)

    return Collection(
        items=range(len(labels.files)),
        count=len(labels.files),
        place=lambda row: printable(labels.files[row]),
        make=make,
        columns={
            IMAGE: CellType.BYTES,
            FILE: CellType.BYTES,
            **{name: column.kind for name, column in labels.columns.items()},
        },
        label=LABEL,
        notes=[
            *(note for column in labels.columns.values() for note in column.notes),
            *unnamed(folder, labels.files, labels.path),
        ],
    )


def _made(folder: Path, file: str, values: Mapping, max_side: int | None) -> ConvertedExample:
    name = encoded(file)
    taken = picture((folder / file).read_bytes(), max_side)
    row = {IMAGE: [taken.encoded], FILE: [name], **values}
    return ConvertedExample(row, tuple(f"images {change}" for change in taken.changes))
