"""Cells of a column in a batch of rows, as they are written: int64, float, bytes or missing."""

from collections.abc import Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from hubline.pipeline.convert import text
from hubline.pipeline.convert.kinds import CellType, Reading

_NAMES = {
    CellType.INTEGER: "an integer of 64 bits",
    CellType.FLOAT: "a number",
    CellType.CURRENCY: "an amount of money, such as $1,200.50",
    CellType.PERCENT: "a percentage, such as 12.5%",
    CellType.BOOLEAN: "true, false, yes, no, 1 or 0",
    CellType.TIMESTAMP: "a date or timestamp, such as 2024-05-31 or 2024-05-31 12:30:00+02:00",
}
_ARROW = {"int64": pa.int64(), "float": pa.float64(), "bytes": pa.binary()}


class CellError(Exception):
    """A cell that cannot be converted."""

    def __init__(self, row: int, fault: str) -> None:
        self.row = row
        """Its row in the batch, from 0."""
        super().__init__(fault)


@dataclass(frozen=True)
class Single:
    """At most one value per row. Each distinct value is stored, and later encoded, once."""

    values: pa.Array
    """The distinct values: int64, float64 or binary, without nulls."""
    codes: np.ndarray
    """For each row, the index of its value, [rows]; `len(values)` if missing."""
    misfits: int = 0
    """Number of rows that are missing because their cell doesn't fit."""

    @property
    def missing(self) -> int:
        """Number of rows without a value."""
        return int((self.codes == len(self.values)).sum())


@dataclass(frozen=True)
class Multiple:
    """Any number of values per row."""

    values: pa.Array
    """The values of all rows, concatenated: int64, float64 or binary, without nulls."""
    lengths: np.ndarray
    """Number of values in each row, int64 [rows]; 0 if missing."""

    @property
    def missing(self) -> int:
        """Number of rows without a value."""
        return int((self.lengths == 0).sum())


Cells = Single | Multiple


def read(array: pa.Array, reading: Reading, missing: Set[str], strict: bool = True) -> Cells:
    """Reads the cells of a column.

    Args:
        array: Text as string; otherwise int64, float64 or binary, or lists of these.
        reading: How to read the cells.
        missing: Texts that mark a missing cell.
        strict: Whether a cell that cannot be read is an error rather than missing.

    Raises:
        CellError: if a cell cannot be read.
    """
    if pa.types.is_list(array.type):
        return _lists(array, reading.kind)
    coded = array.dictionary_encode()
    codes = coded.indices.fill_null(len(coded.dictionary)).to_numpy()
    values, misfits = _values(coded.dictionary, reading, missing)
    strays = np.append(misfits, False)[codes]
    if strict and strays.any():
        row = int(strays.argmax())
        raise CellError(row, f"{coded.dictionary[codes[row]].as_py()!r} is not {_name(reading)}")
    there = values.is_valid().to_numpy(zero_copy_only=False)
    if reading.kind.stored == "float":
        there &= ~np.isnan(values.to_numpy(zero_copy_only=False))
    places = np.where(there, np.cumsum(there) - 1, there.sum())
    return Single(values.filter(pa.array(there)), np.append(places, there.sum())[codes], int(strays.sum()))


def _values(distinct: pa.Array, reading: Reading, missing: Set[str]) -> tuple[pa.Array, np.ndarray]:
    """Values of distinct cells, null if missing, and which don't fit."""
    if not pa.types.is_string(distinct.type):
        # Casts unsafely for integers that float64 rounds.
        return distinct.cast(_ARROW[reading.kind.stored], safe=False), np.zeros(len(distinct), bool)
    return text.read(distinct, reading, missing)


def _name(reading: Reading) -> str:
    """What a cell had to be, in words."""
    if reading.kind is CellType.TIMESTAMP and reading.date != "YMD":
        return f"a date in the format {reading.date}"
    return _NAMES[reading.kind] + (" with a decimal comma" if reading.decimal == "," else "")


def _lists(array: pa.Array, kind: CellType) -> Multiple:
    lengths = np.diff(array.offsets.to_numpy())
    values = array.flatten()
    if values.null_count:
        place = int(np.flatnonzero(values.is_null().to_numpy(zero_copy_only=False))[0])
        row = int(np.searchsorted(np.cumsum(lengths), place, side="right"))
        raise CellError(row, "the list contains a null, which a tf.Example cannot represent")
    return Multiple(values.cast(_ARROW[kind.stored], safe=False), lengths.astype(np.int64))
