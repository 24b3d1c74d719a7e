"""Notes on a column: surprises, and the options that read the column otherwise."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING

from hubline.pipeline.convert.kinds import AMOUNTS, CellType, Reading
from hubline.pipeline.convert.text import READINGS

if TYPE_CHECKING:
    from hubline.pipeline.convert.columns import Tally

FEW = 0.2
"""Largest fraction of strays that is still called an exception."""
_FAMILIES = (
    (AMOUNTS, "are not numbers"),
    ((CellType.TIMESTAMP,), "are not dates"),
    ((CellType.BOOLEAN,), "are not true or false"),
)


def notes(tally: Tally, name: str, reading: Reading, inferred: bool) -> Iterator[str]:
    """Notes for the user.

    Args:
        tally: What the cells look like.
        name: Name of the column.
        reading: How they are read.
        inferred: Whether the cells decided it.
    """
    kind, counts = reading.kind, tally.counts
    if kind is CellType.BYTES and inferred:
        yield from _mixture(tally, name)
    if kind is CellType.INTEGER and inferred and counts["point_zero"] == tally.present:
        yield f"whole numbers with gaps, as pandas writes integers; --type {name}=float reads floats"
    if kind is CellType.FLOAT and tally.rounded:
        yield f"{tally.rounded:,} integers need more than the 24 bits of a float; --type {name}=int64 keeps them"
    if kind.stored == "float" and tally.infinite:
        yield f"{tally.infinite:,} numbers are too large for a float and become infinite"
    misfits = tally.present - tally.fits[reading]
    if inferred and kind is not CellType.BYTES and reading in tally.strays and misfits and counts["point_zero"] == 0:
        yield f"{misfits:,} cells don't fit and become missing, such as {tally.strays[reading]!r}"


def _mixture(tally: Tally, name: str) -> Iterator[str]:
    """Explains why a column is text although part of it isn't."""
    whole = tally.fits[Reading(CellType.INTEGER)]
    if whole == tally.present and tally.counts["padded"]:
        cell = tally.samples["padded"]
        yield f"codes with leading zeros such as {cell!r} stay text; --type {name}=int64 reads numbers"
        return
    if len(tally.units) > 1:
        yield f"several currencies: {', '.join(sorted(tally.units))}"
        return
    complaint, best = max(
        ((complaint, _most(tally, kinds)) for kinds, complaint in _FAMILIES), key=lambda each: tally.fits[each[1]]
    )
    fits, others = tally.fits[best], tally.present - tally.fits[best]
    if fits and others:
        share = math.ceil(1000 * others / tally.present) / 1000
        hint = f"; with --misfits {share:g}, they become missing" if share <= FEW else ""
        yield f"{others:,} of {tally.present:,} values {complaint}, such as {tally.strays[best]!r}{hint}"
    elif tally.counts["too_long"]:
        yield f"{tally.counts['too_long']:,} integers need more than 64 bits"
    if tally.counts["absent"]:
        cell, count = tally.samples["absent"], tally.counts["absent"]
        yield f"cells such as {cell!r} ({count:,}) are words here; --missing '{cell}' makes them missing"


def _most(tally: Tally, kinds: Collection[CellType]) -> Reading:
    """The reading of these kinds that fits most cells."""
    return max((each for each in READINGS if each.kind in kinds), key=lambda each: tally.fits[each])
