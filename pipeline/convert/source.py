"""The interface of input files that return their rows in batches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from hubline.pipeline.convert.kinds import CellType

BATCH_BYTES, BATCH_ROWS = 8 << 20, 1 << 16
"""Maximum size of a batch of rows."""

Batch = dict[str, pa.Array]
"""Rows by column: strings are unparsed text; otherwise int64, float64 or binary, or lists of these."""


class Source(Protocol):
    """A file with rows and columns."""

    path: str
    names: Sequence[str]
    """Columns of the file, in order."""
    declared: Mapping[str, CellType]
    """Kinds of the columns that the file itself declares."""
    rows: int | None
    """Number of rows; None if unknown."""

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """Some columns in batches of rows of limited size.

        Raises:
            UserError: if the file cannot be read.
        """

    def place(self, row: int) -> str:
        """Where a row is, for error messages."""
