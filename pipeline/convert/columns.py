"""The columns of the files: what their cells turn out to be over all rows, and as what they are written."""

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
from hubline.pipeline.convert.kinds import NUMBERS, Kind

_EXAMPLE = 60
"""Characters of an example; the rest is cut."""


class Column(Section):
    """A column of the files, and as what it is written."""

    name: str
    type: Literal["int64", "float", "bytes"]
    """What it is in the tf.Examples."""
    read_as: Kind
    multiple: bool
    """Whether a row may have several values."""
    missing: int
    """Rows without a value."""
    example: str | None
    """The first value; None where there is none."""
    notes: tuple[str, ...]
    """What the user may not expect."""


@dataclass
class Tally:
    """What was met in a column."""

    rows: int = 0
    missing: int = 0
    nan: int = 0
    too_long: int = 0
    padded: int = 0
    rounded: int = 0
    """Whole numbers that float rounds, though int64 would hold them."""
    infinite: int = 0
    """Numbers that are not infinite until they are a float."""
    multiple: bool = False
    kinds: Counter[Kind] = field(default_factory=Counter)
    examples: dict[Kind, str] = field(default_factory=dict)
    """The first cell of each kind."""
    example: str | None = None
    """The first cell."""

    def add_texts(self, cells: pa.Array, missing: Set[str]) -> None:
        """Counts what cells, strings without nulls, look like."""
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
        numbers = found.kinds[Kind.INTEGER] | found.kinds[Kind.FLOAT]
        values, _ = text.read(texts.filter(pa.array(numbers)), Kind.FLOAT, frozenset())
        self._add_floats(values, counts[numbers])
        if self.example is None and not found.missing.all():
            self.example = shown(texts[int(found.missing.argmin())].as_py())

    def add_cells(self, cells: Cells, kind: Kind) -> None:
        """Counts cells that are read as what they were declared to be."""
        self.missing += cells.missing
        if self.example is None and len(cells.values):
            self.example = shown(cells.values[0].as_py())
        if isinstance(cells, Multiple):
            self.rows += len(cells.lengths)
            self.multiple = True
            return
        self.rows += len(cells.codes)
        if kind is Kind.FLOAT:
            self._add_floats(cells.values, np.bincount(cells.codes, minlength=len(cells.values) + 1)[:-1])

    def add_row(self, count: int, example: str | None) -> None:
        """Counts a row with so many values, of which the first is shown like this."""
        self.rows += 1
        self.missing += not count
        self.multiple |= count > 1
        self.example = self.example or example

    def settle(self, name: str, declared: Kind | None) -> Column:
        """The column that was met.

        Args:
            name: Its name.
            declared: How it is read; None to go by what was met.
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
        """Counts what becomes of float64 values in 32 bits."""
        numbers = values.to_numpy(zero_copy_only=False).astype(np.float64)
        with np.errstate(over="ignore"):
            floats = numbers.astype(np.float32)
        whole = (np.trunc(numbers) == numbers) & (np.abs(numbers) < 2**63)
        # From 2**53 on, not even float64 tells.
        self.rounded += int(counts[whole & ((floats != numbers) | (np.abs(numbers) > 2**53))].sum())
        self.infinite += int(counts[np.isinf(floats) & np.isfinite(numbers)].sum())

    def _kind(self) -> Kind:
        """What all the cells can be read as."""
        kinds = set(self.kinds)
        if kinds - set(NUMBERS):
            return kinds.pop() if len(kinds) == 1 and not self.nan and not self.too_long else Kind.BYTES
        if Kind.FLOAT in kinds:
            return Kind.FLOAT
        if self.too_long:
            return Kind.BYTES
        if kinds:
            return Kind.INTEGER
        return Kind.FLOAT if self.nan else Kind.BYTES

    def _notes(self, name: str, kind: Kind) -> Iterator[str]:
        if kind is Kind.BYTES:
            yield from self._mixture()
        if kind is Kind.INTEGER and self.padded:
            yield f"{self.padded:,} integers lose the 0 they begin with; --type {name}=bytes keeps it"
        if kind is Kind.FLOAT and self.rounded:
            yield f"{self.rounded:,} integers have more than the 24 bits of a float; --type {name}=int64 keeps them"
        if kind is Kind.FLOAT and self.infinite:
            yield f"{self.infinite:,} numbers are too large for a float and become infinite"

    def _mixture(self) -> Iterator[str]:
        """Why a column is text, where part of it is something else."""
        numbers = sum(self.kinds[kind] for kind in NUMBERS) + self.too_long
        for family, count, said in (
            (NUMBERS, numbers and numbers + self.nan, "are not numbers"),
            ((Kind.TIMESTAMP,), self.kinds[Kind.TIMESTAMP], "are not dates"),
            ((Kind.BOOLEAN,), self.kinds[Kind.BOOLEAN], "are not true or false"),
        ):
            others = self.rows - self.missing - count
            if count and others:
                strays = [kind for kind in (Kind.BYTES, *Kind) if kind in self.examples and kind not in family]
                stray = self.examples[strays[0]] if strays else "NaN"
                yield f"{others:,} of {self.rows - self.missing:,} values {said}, such as {stray!r}"
                return
        if self.too_long:
            yield f"{self.too_long:,} integers need more than 64 bits"


def shown(cell: str | bytes | int | float) -> str:
    """A cell in a line of text."""
    shown = cell[: 4 * _EXAMPLE].decode(errors="replace") if isinstance(cell, bytes) else str(cell)
    return shown if len(shown) <= _EXAMPLE else f"{shown[:_EXAMPLE]}…"
