"""Decides how the cells of a column are read. All cells must fit, and none may have two meanings."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hubline.core.errors import UserError
from hubline.pipeline.convert.kinds import AMOUNTS, NUMBERS, CellType, Decimal, Reading
from hubline.pipeline.convert.text import READINGS

if TYPE_CHECKING:
    from hubline.pipeline.convert.columns import Tally

_TEXT = Reading(CellType.BYTES)


def decide(tally: Tally, name: str, decimal: Decimal | None, misfits: float) -> Reading:
    """The reading that fits most cells, if it fits enough of them; otherwise text.

    Args:
        tally: What the cells look like.
        name: Name of the column.
        decimal: Decimal separator, if known.
        misfits: Largest fraction of cells that may not fit.

    Raises:
        UserError: if several readings fit all cells and give them other values.
    """
    if not tally.present:
        return Reading(CellType.FLOAT) if tally.counts["absent"] else _TEXT
    candidates = [each for each in READINGS if decimal in (None, each.decimal) and _is_possible(tally, each)]
    best = max(candidates, key=lambda each: tally.fits[each])  # the first of several
    if tally.present - tally.fits[best] > misfits * tally.present:
        return _TEXT
    _refuse_two_meanings(tally, name, best, decimal)
    return _TEXT if best.kind is CellType.INTEGER and tally.counts["padded"] else _refined(tally, best)


def _is_possible(tally: Tally, reading: Reading) -> bool:
    """A column of money has one currency. A column of words is yes or no only if both occur: a column with nothing but
    `y` is no answer."""
    if reading.kind is CellType.CURRENCY:
        return len(tally.units) <= 1
    if reading.kind is CellType.BOOLEAN:
        counts = tally.counts
        return bool(counts["yes"] and counts["no"]) or counts["true_false"] == counts["yes"] + counts["no"]
    return True


def _refined(tally: Tally, best: Reading) -> Reading:
    """Integers, if numbers are those of pandas for integers with gaps; text, if all are whole but some too long."""
    if best != Reading(CellType.FLOAT):
        return best
    whole = Reading(CellType.INTEGER)
    if tally.fits[whole] + tally.counts["too_long"] == tally.fits[best]:
        return _TEXT
    has_gaps = tally.missing + tally.counts["absent"] > 0
    return whole if has_gaps and tally.counts["point_zero"] == tally.present else best


def _refuse_two_meanings(tally: Tally, name: str, best: Reading, decimal: Decimal | None) -> None:
    """Checks that no other notation fits as many cells, if it would give some of them other values.

    Raises:
        UserError: with both meanings, and the options that choose between them.
    """
    if best.kind in AMOUNTS and decimal is None and tally.counts["two_numbers"]:
        other = Reading(CellType.FLOAT if best.kind in NUMBERS else best.kind, ",")
        if best.decimal == "." and tally.fits[other] == tally.fits[best]:
            raise UserError(_two_numbers(tally, name))
    day_first, month_first = (Reading(CellType.TIMESTAMP, date=order) for order in ("DMY", "MDY"))
    if best == day_first and tally.fits[month_first] == tally.fits[best] and tally.counts["two_dates"]:
        cell = tally.samples["two_dates"]
        first, second = cell.replace("-", "/").replace(".", "/").split("/")[:2]
        raise UserError(
            f"column {name!r}: in {cell!r}, and in all other dates, day and month could be swapped; say "
            f"--date-format {name}=DMY for day {first} of month {second}, or --date-format {name}=MDY for day {second} "
            f"of month {first}"
        )


def _two_numbers(tally: Tally, name: str) -> str:
    cell = tally.samples["two_numbers"]
    mark = "," if "," in cell else "."
    digits = "".join(letter for letter in cell if letter.isdigit() or letter in ",.")
    as_decimal, as_group = digits.replace(",", "."), digits.replace(",", "").replace(".", "")
    point, comma = (as_decimal, as_group) if mark == "." else (as_group, as_decimal)
    return (
        f"column {name!r}: {cell!r} could be {point} (with a decimal point) or {comma} (with a decimal comma), and no "
        f"other cell decides; say --decimal {name}=. or --decimal {name}=,"
    )
