"""Columns of the input files: what their cells turn out to be over all rows, and the type they are written as."""

from collections import Counter
from collections.abc import Set
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.pipeline.convert import text
from hubline.pipeline.convert.cells import Cells, Multiple
from hubline.pipeline.convert.decide import decide
from hubline.pipeline.convert.kinds import CellType, Decimal, Reading
from hubline.pipeline.convert.remarks import notes

_EXAMPLES = ("absent", "padded", "two_numbers", "two_dates")
_COUNTED = (*_EXAMPLES, "too_long", "point_zero", "yes", "no", "true_false")
_EXAMPLE = 60
"""Maximum length of an example value; the rest is cut off."""


class Column(Section):
    """A column, and the type it is written as."""

    name: str
    type: Literal["int64", "float", "bytes"]
    """Type in the tf.Examples."""
    read_as: CellType
    decimal: Decimal = "."
    """Decimal separator of numbers."""
    date: str = "YMD"
    """Notation of dates: an order of year, month and day, or a format of `strptime`."""
    multiple: bool
    """Whether a row may have several values."""
    missing: int
    """Number of rows without a value."""
    misfits: int = 0
    """Number of cells that don't fit the type and became missing; not among `missing`."""
    example: str | None
    """The first value; None if there is none."""
    notes: tuple[str, ...]
    """Notes for the user."""

    @property
    def reading(self) -> Reading:
        """How its cells are read."""
        return Reading(self.read_as, self.decimal, self.date)


@dataclass
class Tally:
    """Counts over the cells of a column."""

    rows: int = 0
    missing: int = 0
    misfits: int = 0
    """Cells that don't fit a declared reading."""
    counts: Counter[str] = field(default_factory=Counter)
    """Numbers of texts by the masks of `TextMasks`."""
    fits: Counter[Reading] = field(default_factory=Counter)
    strays: dict[Reading, str] = field(default_factory=dict)
    """By reading, the first text that doesn't fit."""
    samples: dict[str, str] = field(default_factory=dict)
    """By mask, the first such text, without surrounding spaces."""
    units: set[str] = field(default_factory=set)
    rounded: int = 0
    """Integers that float rounds although int64 can hold them."""
    infinite: int = 0
    """Finite numbers that become infinite as float."""
    multiple: bool = False
    example: str | None = None
    """The first cell."""

    @property
    def present(self) -> int:
        """Number of cells that are not missing in any notation."""
        return self.rows - self.missing - self.counts["absent"]

    def add_texts(self, cells: pa.Array, missing: Set[str]) -> None:
        """Counts how cells can be read, strings without nulls."""
        counted = pc.value_counts(cells)
        texts, counts = counted.field("values"), counted.field("counts").to_numpy()
        found = text.survey(texts, missing)
        self.rows += len(cells)
        self.missing += int(counts[found.missing].sum())
        for name in _COUNTED:
            self.counts[name] += int(counts[getattr(found, name)].sum())
        for name in _EXAMPLES:
            if name not in self.samples and (mask := getattr(found, name)).any():
                self.samples[name] = texts[int(mask.argmax())].as_py().strip()
        there = ~found.missing & ~found.absent
        for reading, mask in found.fits.items():
            self.fits[reading] += int(counts[mask].sum())
            if reading not in self.strays and (strays := there & ~mask).any():
                self.strays[reading] = shown(texts[int(strays.argmax())].as_py())
        self.units |= found.units
        numbers = found.fits[Reading(CellType.FLOAT)]
        values, _ = text.read(texts.filter(pa.array(numbers)), Reading(CellType.FLOAT), frozenset())
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
        self.missing -= cells.misfits
        self.misfits += cells.misfits
        if kind.stored == "float":
            self._add_floats(cells.values, np.bincount(cells.codes, minlength=len(cells.values) + 1)[:-1])

    def add_row(self, count: int, example: str | None) -> None:
        """Counts a row with `count` values, the first shown as `example`."""
        self.rows += 1
        self.missing += not count
        self.multiple |= count > 1
        self.example = self.example or example

    def settle(self, name: str, declared: Reading | None, decimal: Decimal | None = None, misfits: float = 0) -> Column:
        """Determines the column's type.

        Args:
            name: Name of the column.
            declared: Declared reading; None to use one that fits the cells.
            decimal: Decimal separator, if known.
            misfits: Largest fraction of cells that may not fit; they become missing.

        Raises:
            UserError: if cells have two meanings and nothing decides between them, or too many don't fit.
        """
        reading = declared or decide(self, name, decimal, misfits)
        if self.misfits > misfits * self.present:
            raise UserError(f"column {name!r}: {self.misfits:,} cells don't fit, more than {misfits:.3%}")
        is_text = reading.kind is CellType.BYTES
        missing = self.missing + (0 if is_text else self.counts["absent"])
        return Column(
            name=name,
            type=reading.kind.stored,
            read_as=reading.kind,
            decimal=reading.decimal,
            date=reading.date,
            multiple=self.multiple,
            missing=missing,
            misfits=self.misfits if declared or is_text else self.present - self.fitting(reading),
            example=self.example,
            notes=("no row has a value",) if missing == self.rows else tuple(notes(self, name, reading, not declared)),
        )

    def fitting(self, reading: Reading) -> int:
        """Number of cells that can be read so."""
        if reading == Reading(CellType.INTEGER) and not self.fits[reading]:
            return self.counts["point_zero"]
        return self.fits[reading]

    def _add_floats(self, values: pa.Array, counts: np.ndarray) -> None:
        """Counts what 32-bit floats do to float64 values."""
        numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
        with np.errstate(over="ignore"):
            floats = numbers.astype(np.float32)
        whole = (np.trunc(numbers) == numbers) & (np.abs(numbers) < 2**63)
        # Beyond 2**53, not even float64 is exact.
        self.rounded += int(counts[whole & ((floats != numbers) | (np.abs(numbers) > 2**53))].sum())
        self.infinite += int(counts[np.isinf(floats) & np.isfinite(numbers)].sum())


def shown(cell: str | bytes | int | float) -> str:
    """A cell, shortened for one line of text."""
    shown = cell[: 4 * _EXAMPLE].decode(errors="replace") if isinstance(cell, bytes) else str(cell)
    return shown if len(shown) <= _EXAMPLE else f"{shown[:_EXAMPLE]}…"
