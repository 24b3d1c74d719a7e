"""Recognizes and parses cells of text, many at a time in Arrow's C++."""

from collections.abc import Callable, Mapping, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hubline.pipeline.convert.amounts import AMOUNT, Amounts, places_of, plain_spaces, short_with_digits
from hubline.pipeline.convert.dates import DATE, Dates, by_format
from hubline.pipeline.convert.kinds import AMOUNTS, ORDERS, CellType, Reading

_NAN = r"[+-]?nan"
_ABSENT = (
    rf"(?i:{_NAN}|na|n/a|n\.a\.|#n/a|#na|<na>|null|none|nil|#null!|#div/0!|#value!|-|--|\x{{2013}}|\x{{2014}}|\?|\.)"
)
_WHOLE = r"[+-]?\d+"
_PADDED = r"[+-]?0\d+"
_POINT_ZERO = r"[+-]?\d+\.0"
_EXPONENT = r"[+-]?\d+[eE][+-]?\d+"
_INFINITE = r"[+-]?(?i:inf|infinity)"
_NUMBER = rf"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|{_INFINITE}"
_WHOLE_BY_POINTS = r"[+-]?(\d+|[1-9]\d{0,2}(\.\d{3})+)"
_YES = r"(?i:true|t|yes|y|on|ja|oui|vrai|sí|si|wahr|sim)"
_NO = r"(?i:false|f|no|n|off|nein|non|faux|falsch|falso|não|nao)"

READINGS = (
    *(Reading(kind, decimal) for decimal in (".", ",") for kind in AMOUNTS[:2]),
    Reading(CellType.BOOLEAN),
    *(Reading(CellType.TIMESTAMP, date=order) for order in ORDERS),
    *(Reading(kind, decimal) for kind in AMOUNTS[2:] for decimal in (".", ",")),
)
"""What cells are recognized as: if several fit all cells of a column, the first holds."""


@dataclass(frozen=True)
class TextMasks:
    """Masks that classify texts: bool of shape [texts]."""

    missing: np.ndarray
    absent: np.ndarray
    """Spellings of a missing cell such as NaN, NA or -: missing among values, words among words."""
    too_long: np.ndarray
    """Integers beyond 64 bits."""
    padded: np.ndarray
    """Integers with leading zeros, such as postcodes."""
    yes: np.ndarray
    """Words for true."""
    no: np.ndarray
    """Words for false."""
    true_false: np.ndarray
    """The words true and false themselves."""
    point_zero: np.ndarray
    """Integers followed by .0, as pandas writes integers with gaps."""
    two_numbers: np.ndarray
    """Numbers such as 1,250 that are one number with a decimal point and another with a decimal comma. 1.250 alone, as
    programs write numbers, is not among them."""
    two_dates: np.ndarray
    """Dates such as 03/04/2024 that are two dates, by which of day and month is first."""
    fits: Mapping[Reading, np.ndarray]
    """Which texts can be read how. Texts may fit several readings."""
    units: Set[str]
    """Currencies."""


def survey(texts: pa.Array, missing: Set[str]) -> TextMasks:
    """Classifies texts.

    Args:
        texts: Strings without nulls.
        missing: Texts that mark a missing cell. Surrounding spaces don't count, here and below.
    """
    trimmed = plain_spaces(texts)
    gone = _is_in(trimmed, missing)
    absent = _matching(trimmed, ~gone, _ABSENT)
    rest = ~gone & ~absent
    number = _matching(trimmed, rest, _NUMBER)
    looks_whole = _matching(trimmed, number, _WHOLE)
    whole = _convertible(trimmed, looks_whole, _to_integers)
    none = np.zeros(len(texts), bool)
    yes, no = _matching(trimmed, rest, _YES), _matching(trimmed, rest, _NO)
    fits = {Reading(CellType.BOOLEAN): yes | no}
    plain = {(CellType.INTEGER, "."): whole, (CellType.FLOAT, "."): number}
    plain[CellType.INTEGER, ","] = _matching(trimmed, number, _WHOLE_BY_POINTS)
    plain[CellType.FLOAT, ","] = _matching(trimmed, number, rf"{_WHOLE_BY_POINTS}|{_EXPONENT}|{_INFINITE}")
    others = short_with_digits(trimmed, rest & ~number)
    amounts_at, dates_at = places_of(others, AMOUNT), places_of(others, DATE)
    amounts, dates = Amounts.of(others.take(pa.array(amounts_at))), Dates(others.take(pa.array(dates_at)))
    for reading in (reading for reading in READINGS if reading.kind in AMOUNTS):
        fit = _spread(amounts.fits(reading.kind, reading.decimal), amounts_at, len(texts))
        kind = CellType.FLOAT if reading.kind is CellType.CURRENCY else reading.kind
        fits[reading] = plain.get((kind, reading.decimal), none) | fit
    days = {order: dates.read(order) for order in ORDERS}
    for order, (_, fit) in days.items():
        fits[Reading(CellType.TIMESTAMP, date=order)] = _spread(fit, dates_at, len(texts))
    two_dates = days["DMY"][1] & days["MDY"][1] & (days["DMY"][0] != days["MDY"][0])
    return TextMasks(
        missing=gone,
        absent=absent,
        too_long=looks_whole & ~whole,
        padded=_matching(trimmed, whole, _PADDED),
        yes=yes,
        no=no,
        true_false=_matching(trimmed, yes | no, "(?i:true|false)"),
        point_zero=_convertible(trimmed, _matching(trimmed, number, _POINT_ZERO), _to_integers),
        two_numbers=_spread(_two_numbers(amounts), amounts_at, len(texts)),
        two_dates=_spread(two_dates, dates_at, len(texts)),
        fits=fits,
        units=_currencies(amounts),
    )


def read(texts: pa.Array, reading: Reading, missing: Set[str]) -> tuple[pa.Array, np.ndarray]:
    """Parses texts.

    Args:
        texts: Strings without nulls.
        reading: What to read them as.
        missing: Texts that mark a missing cell. Except among words, NaN, NA, - and the like do too.

    Returns:
        The values, int64, float64 or binary, null for cells that are missing or don't fit; and a mask of those that
        don't fit, bool of shape [texts].
    """
    trimmed = plain_spaces(texts)
    there = ~_is_in(trimmed, missing)
    if reading.kind is CellType.BYTES:
        return _only(texts, there).cast(pa.binary()), np.zeros(len(texts), bool)
    there &= ~_matching(trimmed, there, _ABSENT)
    values, fit = _READERS[reading.kind](trimmed, there, reading)
    return values, there & ~fit


Read = tuple[pa.Array, np.ndarray]
"""Values, null for texts that don't fit, and a mask of those that do."""


def _read_amounts(texts: pa.Array, there: np.ndarray, reading: Reading) -> Read:
    kind, convert = reading.kind, _to_integers if reading.kind is CellType.INTEGER else _to_floats
    accepted = rf"{_WHOLE}(\.0*)?" if kind is CellType.INTEGER else _NUMBER
    if reading.decimal == ",":
        accepted = _WHOLE if kind is CellType.INTEGER else rf"{_WHOLE}|{_EXPONENT}|{_INFINITE}"
    fit = _matching(texts, there, accepted) if kind is not CellType.PERCENT else np.zeros(len(texts), bool)
    if (others := there & ~fit).any():
        amounts = Amounts.of(short_with_digits(texts, others))
        written = amounts.fits(kind, reading.decimal)
        texts = pc.if_else(pa.array(written), amounts.numbers(kind, reading.decimal), texts)
        fit = fit | written
    fit = _convertible(texts, fit, convert)
    return convert(_only(texts, fit)), fit


def _read_booleans(texts: pa.Array, there: np.ndarray, reading: Reading) -> Read:
    yes = _matching(texts, there, rf"{_YES}|1")
    fit = yes | _matching(texts, there, rf"{_NO}|0")
    return pa.array(yes.astype(np.int64), mask=~fit), fit


def _read_dates(texts: pa.Array, there: np.ndarray, reading: Reading) -> Read:
    if reading.date in ORDERS:
        seconds, fit = Dates(short_with_digits(texts, there)).read(reading.date)
    else:
        seconds, fit = by_format(_only(texts, there), reading.date)
    return pa.array(seconds, mask=~fit), fit


_READERS: Mapping[CellType, Callable[[pa.Array, np.ndarray, Reading], Read]] = {
    **dict.fromkeys(AMOUNTS, _read_amounts),
    CellType.BOOLEAN: _read_booleans,
    CellType.TIMESTAMP: _read_dates,
}


def _spread(mask: np.ndarray, places: np.ndarray, count: int) -> np.ndarray:
    """A mask of the texts at some places as a mask of all texts."""
    whole = np.zeros(count, bool)
    whole[places] = mask
    return whole


def _currencies(amounts: Amounts) -> Set[str]:
    fits = amounts.fits(CellType.CURRENCY, ".") | amounts.fits(CellType.CURRENCY, ",")
    return frozenset(pc.unique(amounts.units.filter(pa.array(fits))).to_pylist()) - {""}


def _two_numbers(amounts: Amounts) -> np.ndarray:
    """Texts that are one number with a decimal point and another with a decimal comma. Dollars and pounds that are
    grouped by commas have a decimal point."""
    two = [amounts.fits(kind, ".") & amounts.fits(kind, ",") for kind in (CellType.CURRENCY, CellType.PERCENT)]
    return np.logical_or(*two) & amounts.has_separator & ~amounts.groups_by_comma


def _to_integers(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, r"^\+|\.0*$", "").cast(pa.int64())


def _to_floats(texts: pa.Array) -> pa.Array:
    return pc.utf8_ltrim(texts, "+").cast(pa.float64())


def _only(texts: pa.Array, mask: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(mask), texts, pa.scalar(None, pa.string()))


def _is_in(texts: pa.Array, some: Set[str]) -> np.ndarray:
    return pc.is_in(texts, value_set=pa.array(sorted(some), pa.string())).to_numpy(zero_copy_only=False)


def _matching(texts: pa.Array, mask: np.ndarray, pattern: str) -> np.ndarray:
    """Restricts a mask to texts that match a pattern completely."""
    if not mask.any():
        return mask
    return mask & pc.match_substring_regex(texts, rf"^(?:{pattern})$").to_numpy(zero_copy_only=False)


def _convertible(texts: pa.Array, mask: np.ndarray, convert: Callable[[pa.Array], pa.Array]) -> np.ndarray:
    """Restricts a mask to texts that have a value, which an integer of more than 64 bits doesn't."""
    places = np.flatnonzero(mask)
    found = mask.copy()
    found[places[_refused(texts.take(pa.array(places)), convert)]] = False
    return found


def _refused(texts: pa.Array, convert: Callable[[pa.Array], pa.Array]) -> list[int]:
    """Indices of texts that cannot be converted, found by bisection: Arrow names at most one of them."""
    try:
        convert(texts)
        return []
    except pa.ArrowInvalid:
        if len(texts) == 1:
            return [0]
    half = len(texts) // 2
    return _refused(texts[:half], convert) + [half + place for place in _refused(texts[half:], convert)]
