"""Columns of the input files: what their cells turn out to be over all rows, and the type they are written as."""

from collections import Counter
from collections.abc import Iterator, Set
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hubline.core.config_base import Section
from hubline.pipeline.convert import text
from hubline.pipeline.convert.cells import Cells, Multiple
from hubline.pipeline.convert.kinds import NUMBERS, CellType

_EXAMPLE = 60
"""Maximum length of an example value; the rest is cut off."""


class Column(Section):
    """A column, and the type it is written as."""

    name: str
    type: Literal["int64", "float", "bytes"]
    """Type in the tf.Examples."""
    read_as: CellType
    multiple: bool
    """Whether a row may have several values."""
    missing: int
    """Number of rows without a value."""
    example: str | None
    """The first value; None if there is none."""
    notes: tuple[str, ...]
    """Notes for the user."""


@dataclass
class Tally:
    """Counts over the cells of a column."""

    rows: int = 0
    missing: int = 0
    nan: int = 0
    too_long: int = 0
    padded: int = 0
    rounded: int = 0
    """Integers that float rounds although int64 can hold them."""
    infinite: int = 0
    """Finite numbers that become infinite as float."""
    multiple: bool = False
    kinds: Counter[CellType] = field(default_factory=Counter)
    examples: dict[CellType, str] = field(default_factory=dict)
    """The first cell of each kind."""
    example: str | None = None
    """The first cell."""

    def add_texts(self, cells: pa.Array, missing: Set[str]) -> None:
        """Counts the apparent kinds of cells, strings without nulls."""
        counted = pc.value_counts(cells)
        texts, counts = counted.field("values"), counted.field("counts").to_numpy()
        found = text.survey(texts, missing)
        self.rows += len(cells)
        self.missing += int(counts[found.missing].sum())
        self.nan += int(counts[found.nan].sum())
        self.too_long += int(counts[found.too_long].sum())
        self.padded += int(counts[found.padded].sum())
        for kind in (kind for kind, mask in found.kinds.items() if mask.any()):
            self.kinds[kind] += int(counts[found.kinds[kind]].sum())
            self.examples.setdefault(kind, shown(texts[int(found.kinds[kind].argmax())].as_py()))
        numbers = found.kinds[CellType.INTEGER] | found.kinds[CellType.FLOAT]
        values, _ = text.read(texts.filter(pa.array(numbers)), CellType.FLOAT, frozenset())
        self._add_floats(values, counts[numbers])
        if self.example is None and not found.missing.all():
            self.example = shown(texts[int(found.missing.argmin())].as_py())

    def add_cells(self, cells: Cells, kind: CellType) -> None:
        """Counts cells that are read as their declared kind."""
        self.missing += cells.missing
        if self.example is None and len(cells.values):
            self.example = shown(cells.values[0].as_py())
        if isinstance(cells, Multiple):
            self.rows += len(cells.lengths)
            self.multiple = True
            return
        self.rows += len(cells.codes)
        if kind is CellType.FLOAT:
            self._add_floats(cells.values, np.bincount(cells.codes, minlength=len(cells.values) + 1)[:-1])

    def add_row(self, count: int, example: str | None) -> None:
        """Counts a row with `count` values, the first shown as `example`."""
        self.rows += 1
        self.missing += not count
        self.multiple |= count > 1
        self.example = self.example or example

    def settle(self, name: str, declared: CellType | None) -> Column:
        """Determines the column's type.

        Args:
            name: Name of the column.
            declared: Declared kind; None to use the observed kind.
        """
        kind = declared or self._kind()
        missing = self.missing + (self.nan if kind in NUMBERS else 0)
        return Column(
            name=name,
            type=kind.stored,
            read_as=kind,
            multiple=self.multiple,
            missing=missing,
            example=self.example,
            notes=("no row has a value",) if missing == self.rows else tuple(self._notes(name, kind)),
        )

    def _add_floats(self, values: pa.Array, counts: np.ndarray) -> None:
        """Counts what 32-bit floats do to float64 values."""
        numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
        with np.errstate(over="ignore"):
            floats = numbers.astype(np.float32)
        whole = (np.trunc(numbers) == numbers) & (np.abs(numbers) < 2**63)
        # Beyond 2**53, not even float64 is exact.
        self.rounded += int(counts[whole & ((floats != numbers) | (np.abs(numbers) > 2**53))].sum())
        self.infinite += int(counts[np.isinf(floats) & np.isfinite(numbers)].sum())

    def _kind(self) -> CellType:
        """The kind that fits all cells."""
        kinds = set(self.kinds)
        if kinds - set(NUMBERS):
            return kinds.pop() if len(kinds) == 1 and not self.nan and not self.too_long else CellType.BYTES
        if CellType.FLOAT in kinds:
            return CellType.FLOAT
        if self.too_long:
            return CellType.BYTES
        if kinds:
            return CellType.INTEGER
        return CellType.FLOAT if self.nan else CellType.BYTES

    def _notes(self, name: str, kind: CellType) -> Iterator[str]:
        if kind is CellType.BYTES:
            yield from self._mixture()
        if kind is CellType.INTEGER and self.padded:
            yield f"{self.padded:,} integers lose their leading zeros; --type {name}=bytes keeps them"
        if kind is CellType.FLOAT and self.rounded:
            yield f"{self.rounded:,} integers need more than the 24 bits of a float; --type {name}=int64 keeps them"
        if kind is CellType.FLOAT and self.infinite:
            yield f"{self.infinite:,} numbers are too large for a float and become infinite"

    def _mixture(self) -> Iterator[str]:
        """Explains why a column is text although part of it isn't."""
        numbers = sum(self.kinds[kind] for kind in NUMBERS) + self.too_long
        for family, count, complaint in (
            (NUMBERS, numbers and numbers + self.nan, "are not numbers"),
            ((CellType.TIMESTAMP,), self.kinds[CellType.TIMESTAMP], "are not dates"),
            ((CellType.BOOLEAN,), self.kinds[CellType.BOOLEAN], "are not true or false"),
        ):
            others = self.rows - self.missing - count
            if count and others:
                strays = [kind for kind in (CellType.BYTES, *CellType) if kind in self.examples and kind not in family]
                stray = self.examples[strays[0]] if strays else "NaN"
                yield f"{others:,} of {self.rows - self.missing:,} values {complaint}, such as {stray!r}"
                return
        if self.too_long:
            yield f"{self.too_long:,} integers need more than 64 bits"


def shown(cell: str | bytes | int | float) -> str:
    """A cell, shortened for one line of text."""
    shown = cell[: 4 * _EXAMPLE].decode(errors="replace") if isinstance(cell, bytes) else str(cell)
    return shown if len(shown) <= _EXAMPLE else f"{shown[:_EXAMPLE]}…"
