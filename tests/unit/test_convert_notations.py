"""Cells as people write them: money, percentages, decimal commas, dates, yes and no, and what means missing."""

import re
from collections.abc import Sequence
from datetime import datetime, timezone

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.core.errors import UserError
from hubline.pipeline.convert import cells
from hubline.pipeline.convert.columns import Column, Tally
from hubline.pipeline.convert.kinds import CellType, Reading

MISSING = frozenset({""})
Value = int | float | str | None


def settled(texts: Sequence[str], declared: Reading | None = None, **options: object) -> Column:
    """The column of these cells, counted in two batches."""
    tally = Tally()
    half = len(texts) // 2
    for part in (texts[:half], texts[half:]):
        if declared:
            found = cells.read(pa.array(part, pa.string()), declared, MISSING, strict=False)
            tally.add_cells(found, declared.kind)
        else:
            tally.add_texts(pa.array(part, pa.string()), MISSING)
    return tally.settle("x", declared, **options)  # type: ignore[arg-type]


def values(texts: Sequence[str], column: Column) -> list[Value]:
    """What is written of each cell; None if nothing."""
    found = cells.read(pa.array(texts, pa.string()), column.reading, MISSING, strict=not column.misfits)
    assert isinstance(found, cells.Single)
    distinct = [*found.values.to_pylist(), None]
    return [value.decode() if isinstance(value, bytes) else value for value in (distinct[c] for c in found.codes)]


def seconds(*date: int) -> int:
    return int(datetime(*date, tzinfo=timezone.utc).timestamp())  # type: ignore[arg-type, misc]


MONEY, PERCENT = CellType.CURRENCY, CellType.PERCENT
few = settings(max_examples=30, deadline=None)
INTEGER, FLOAT, BYTES = CellType.INTEGER, CellType.FLOAT, CellType.BYTES


@pytest.mark.parametrize(
    ("texts", "kind", "expected"),
    [
        ("$1,200|$950|-$5.50|($3)|$-2|+$1", MONEY, [1200, 950, -5.5, -3, -2, 1]),
        ("$1,200|$3,400", MONEY, [1200, 3400]),
        ("US$ 1,200|US$ 3", MONEY, [1200, 3]),
        ("£1,459|£3", MONEY, [1459, 3]),
        ("¥1,459|¥3", MONEY, [1459, 3]),
        ("₩1,459|₩3", MONEY, [1459, 3]),
        ("1,459 INR|3 INR", MONEY, [1459, 3]),
        ("R$ 5.899,00|R$ 3", MONEY, [5899, 3]),
        ("1.200,00 €|950 €|1.000 €", MONEY, [1200, 950, 1000]),
        ("€ 1 200,50|7", MONEY, [1200.5, 7]),
        ("USD 1,200.50|USD 3", MONEY, [1200.5, 3]),
        ("1'200.50 CHF|7 CHF", MONEY, [1200.5, 7]),
        ("£5|€6", BYTES, ["£5", "€6"]),
        ("12 %|7.5%|-1%", PERCENT, [0.12, 0.075, -0.01]),
        ("12,5 %|7%", PERCENT, [0.125, 0.07]),
        ("12%|0.5", BYTES, ["12%", "0.5"]),
        ("1,5|2|-0,25|3,5e-2", FLOAT, [1.5, 2, -0.25, 0.035]),
        ("1.234,5|1.234", FLOAT, [1234.5, 1234]),
        ("0,250|1,250", FLOAT, [0.25, 1.25]),
        ("1,5|2.5", BYTES, ["1,5", "2.5"]),
        ("1,234,567|1,000|5", INTEGER, [1234567, 1000, 5]),
        ("1.234.567|1.000", INTEGER, [1234567, 1000]),
        ("1,250|2.5", FLOAT, [1250, 2.5]),
        ("1.250|2.500", FLOAT, [1.25, 2.5]),
        ("12,34,567|1.5", FLOAT, [1234567, 1.5]),
        ("1 234 567|5", INTEGER, [1234567, 5]),
        ("\u22125|1\u202f000", INTEGER, [-5, 1000]),
        ("1,2,3|4", BYTES, ["1,2,3", "4"]),
        ("--5|4", BYTES, ["--5", "4"]),
        ("(-5)|4", BYTES, ["(-5)", "4"]),
        ("00501|10001", BYTES, ["00501", "10001"]),
        ("8.0||9.0", INTEGER, [8, None, 9]),
        ("8.0|9.0", FLOAT, [8, 9]),
        ("8.0||9.00", FLOAT, [8, None, 9]),
        ("17031081401.0|", INTEGER, [17031081401, None]),
        ("1|NA|n/a|-|NULL|None|?|#N/A|nan||2", INTEGER, [1, *[None] * 9, 2]),
        ("$5|-|$6", MONEY, [5, None, 6]),
        ("a|NA|-|NULL", BYTES, ["a", "NA", "-", "NULL"]),
        ("yes|No|Y|n|", CellType.BOOLEAN, [1, 0, 1, 0, None]),
        ("ja|nein", CellType.BOOLEAN, [1, 0]),
        ("T|F|NA", CellType.BOOLEAN, [1, 0, None]),
        ("on|OFF", CellType.BOOLEAN, [1, 0]),
        ("y|y", BYTES, ["y", "y"]),
        ("true|true", CellType.BOOLEAN, [1, 1]),
        ("yes|no|maybe", BYTES, ["yes", "no", "maybe"]),
        ("31/12/2023|01/02/2024", CellType.TIMESTAMP, [seconds(2023, 12, 31), seconds(2024, 2, 1)]),
        ("12/31/2023|01/02/2024", CellType.TIMESTAMP, [seconds(2023, 12, 31), seconds(2024, 1, 2)]),
        ("31.12.2023|1.2.2024", CellType.TIMESTAMP, [seconds(2023, 12, 31), seconds(2024, 2, 1)]),
        ("31/12/23|1/2/69", CellType.TIMESTAMP, [seconds(2023, 12, 31), seconds(1969, 2, 1)]),
        ("2023/12/31|2024-1-2", CellType.TIMESTAMP, [seconds(2023, 12, 31), seconds(2024, 1, 2)]),
        ("31 Dec 2023|May 5, 2024", CellType.TIMESTAMP, [seconds(2023, 12, 31), seconds(2024, 5, 5)]),
        ("05/05/2024|06/06/2024", CellType.TIMESTAMP, [seconds(2024, 5, 5), seconds(2024, 6, 6)]),
        (
            "12/31/2023 12:30 AM|12/31/2023 12:00 p.m.|12/31/2023",
            CellType.TIMESTAMP,
            [seconds(2023, 12, 31, 0, 30), seconds(2023, 12, 31, 12), seconds(2023, 12, 31)],
        ),
        ("31-Dec-2023 23:59:58.7+02:00", CellType.TIMESTAMP, [seconds(2023, 12, 31, 21, 59, 58)]),
        ("29/02/2023|01/02/2023", BYTES, ["29/02/2023", "01/02/2023"]),
        ("12/31/2023|31/12/2023", BYTES, ["12/31/2023", "31/12/2023"]),
        ("12/31/2023 13:00 PM", BYTES, ["12/31/2023 13:00 PM"]),
        ("12/31-2023", BYTES, ["12/31-2023"]),
    ],
)
def test_a_notation_that_fits_all_cells_is_read(texts: str, kind: CellType, expected: list[Value]) -> None:
    column = settled(texts.split("|"))
    assert column.read_as is kind
    assert values(texts.split("|"), column) == expected
    assert column.missing == expected.count(None) and column.misfits == 0


@pytest.mark.parametrize(
    ("texts", "says"),
    [
        ("1,250|3,400", "'1,250' could be 1250 (with a decimal point) or 1.250 (with a decimal comma)"),
        ("€1,459|€1,399", "'€1,459' could be 1459 (with a decimal point) or 1.459 (with a decimal comma)"),
        ("R$ 5,899|R$ 3", "'R$ 5,899' could be 5899 (with a decimal point) or 5.899 (with a decimal comma)"),
        ("₺1,459|₺1,399", "'₺1,459' could be 1459 (with a decimal point) or 1.459 (with a decimal comma)"),
        ("1,459 ₽|3 ₽", "'1,459 ₽' could be 1459 (with a decimal point) or 1.459 (with a decimal comma)"),
        ("TRY 1,459|TRY 3", "'TRY 1,459' could be 1459 (with a decimal point) or 1.459 (with a decimal comma)"),
        ("$1.200|$5", "'$1.200' could be 1.200 (with a decimal point) or 1200 (with a decimal comma)"),
        ("1,250 %|5 %", "'1,250 %' could be 1250 (with"),
        ("03/04/2024|01/02/2024", "say --date-format x=DMY for day 03 of month 04, or --date-format x=MDY for day 04"),
        ("3.4.2024 10:00|05.05.2024", "day 3 of month 4"),
    ],
)
def test_two_meanings_are_refused_with_both(texts: str, says: str) -> None:
    with pytest.raises(UserError, match=re.escape(says)):
        settled(texts.split("|"))


def test_options_choose_between_two_meanings() -> None:
    texts = ["1,250", "3,400"]
    assert values(texts, settled(texts, decimal=".")) == [1250, 3400]
    assert values(texts, settled(texts, decimal=",")) == [1.25, 3.4]
    dates = ["03/04/2024", "01/02/2024"]
    for form in ("DMY", "%d/%m/%Y"):
        column = settled(dates, Reading(CellType.TIMESTAMP, date=form))
        assert values(dates, column) == [seconds(2024, 4, 3), seconds(2024, 2, 1)]
    assert values(dates, settled(dates, Reading(CellType.TIMESTAMP, date="MDY")))[0] == seconds(2024, 3, 4)


def test_few_cells_that_do_not_fit_become_missing_if_allowed() -> None:
    texts = ["1.5", "2", "x", "4", "NA"]
    assert settled(texts).read_as is BYTES and settled(texts, misfits=0.2).read_as is BYTES
    column = settled(texts, misfits=0.25)
    assert (column.read_as, column.missing, column.misfits) == (FLOAT, 1, 1)
    assert column.notes == ("1 cells don't fit and become missing, such as 'x'",)
    assert values(texts, column) == [1.5, 2, None, 4, None]
    declared = settled(texts, Reading(FLOAT), misfits=0.25)
    assert (declared.read_as, declared.misfits) == (FLOAT, 1)
    with pytest.raises(UserError, match=r"column 'x': 1 cells don't fit, more than 20.000%"):
        settled(texts, Reading(FLOAT), misfits=0.2)


amounts = st.lists(st.decimals(-(10**9), 10**9, allow_nan=False, places=2), min_size=1, max_size=8)


@few
@given(amounts, st.sampled_from([",", " ", "'", ""]), st.sampled_from(["${}", "{} €", "{}%", "USD {}", "{}"]))
def test_amounts_with_a_decimal_point_come_back(numbers: list, mark: str, form: str) -> None:
    _round_trip([form.format(f"{number:,.2f}".replace(",", mark)) for number in numbers], numbers, form)


@few
@given(amounts, st.sampled_from([".", " ", "'", ""]), st.sampled_from(["${}", "{} €", "{}%", "USD {}", "{}"]))
def test_amounts_with_a_decimal_comma_come_back(numbers: list, mark: str, form: str) -> None:
    swapped = [f"{number:,.2f}".replace(",", "_").replace(".", ",").replace("_", mark) for number in numbers]
    _round_trip([form.format(text) for text in swapped], numbers, form)


def _round_trip(texts: list[str], numbers: list, form: str) -> None:
    found = values(texts, settled(texts))
    assert found == [float(number / 100 if "%" in form else number) for number in numbers]


@few
@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=8), st.sampled_from([",", ".", " ", "'"]))
def test_grouped_integers_come_back_unless_they_have_two_meanings(numbers: list[int], mark: str) -> None:
    texts = [f"{number:,}".replace(",", mark) for number in numbers] + [f"{10**6:,}".replace(",", mark)]
    column = settled(texts)
    assert column.type == "int64" and values(texts, column) == [*numbers, 10**6]


@few
@given(
    st.lists(st.datetimes(datetime(1, 1, 1), datetime(9999, 12, 31)), min_size=1, max_size=8),
    st.sampled_from([("%d/%m/%Y", (2000, 1, 31)), ("%m/%d/%Y", (2000, 1, 31)), ("%Y.%m.%d", (2000, 1, 31))]),
    st.sampled_from([" %H:%M:%S", " %I:%M:%S %p", ", %H:%M:%S", ""]),
)
def test_dates_come_back(dates: list[datetime], order: tuple[str, tuple[int, int, int]], time: str) -> None:
    # Day 31 tells which is the month; strftime doesn't pad years.
    dates = [*dates, datetime(*order[1])]
    form = (order[0] + time).replace("%Y", "{year:04}")
    texts = [date.strftime(form.replace("{year:04}", "YEAR")).replace("YEAR", f"{date.year:04}") for date in dates]
    column = settled(texts)
    whole = [date.replace(microsecond=0) if time else datetime(date.year, date.month, date.day) for date in dates]
    assert column.read_as is CellType.TIMESTAMP
    assert values(texts, column) == [int((date - datetime(1970, 1, 1)).total_seconds()) for date in whole]


@few
@given(st.lists(st.text(max_size=12), min_size=1, max_size=6))
def test_any_text_is_read_or_stays_as_it_is(texts: list[str]) -> None:
    try:
        column = settled(texts)
    except UserError as error:
        assert "say --d" in str(error)
        return
    found = values(texts, column)
    if column.read_as is BYTES:
        assert found == [None if not text.strip() else text for text in texts]
    else:
        assert sum(value is None for value in found) == column.missing


def test_a_column_of_numbers_by_a_program_is_read_as_before() -> None:
    numbers = np.random.default_rng(0).normal(size=1000).round(3)
    texts = [repr(float(number)) for number in numbers]
    assert values(texts, settled(texts)) == numbers.tolist()
