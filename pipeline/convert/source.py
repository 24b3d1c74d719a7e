"""What is converted: files that give their rows in batches."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Protocol

import pyarrow as pa

from hubline.pipeline.convert.kinds import Kind

BATCH_BYTES, BATCH_ROWS = 8 << 20, 1 << 16
"""What a batch of rows comes to at most."""

Batch = dict[str, pa.Array]
"""Some rows by column: string is text that is still to be read; else int64, float64 or binary, or lists of these."""


class Source(Protocol):
    """A file with rows and columns."""

    path: str
    names: Sequence[str]
    """Its columns, in their order."""
    declared: Mapping[str, Kind]
    """Those whose kind the file itself tells."""
    rows: int | None
    """How many it has; None where it does not tell."""

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """Some of its columns, in batches of rows, which are bounded by bytes.

        Raises:
            UserError: where the file cannot be read.
        """

    def place(self, row: int) -> str:
        """Where a row stands, counted from 0, as an error says it."""
