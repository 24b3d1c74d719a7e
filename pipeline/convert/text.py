"""Recognizes and parses cells of text, many at a time in Arrow's C++."""

from collections.abc import Callable, Set
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hubline.pipeline.convert.kinds import NUMBERS, CellType

_NAN = r"[+-]?(?i:nan)"
_WHOLE = r"[+-]?\d+"
_PADDED = r"[+-]?0\d+"
_NUMBER = r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?|[+-]?(?i:inf|infinity)"
_CLOCK = r"\d{2}:\d{2}(:\d{2}(\.\d+)?)?"
_TIMESTAMP = rf"\d{{4}}-\d{{2}}-\d{{2}}([T ]{_CLOCK}(Z|[+-]\d{{2}}(:?\d{{2}})?)?)?"

Converter = Callable[[pa.Array], pa.Array]


def _to_integers(texts: pa.Array) -> pa.Array:
    return pc.replace_substring_regex(texts, r"^\+|\.0*$", "").cast(pa.int64())


def _to_floats(texts: pa.Array) -> pa.Array:
    return pc.utf8_ltrim(texts, "+").cast(pa.float64())


def _to_booleans(texts: pa.Array) -> pa.Array:
    return pc.or_(pc.equal(pc.utf8_lower(texts), "true"), pc.equal(texts, "1")).cast(pa.int64())


def _to_seconds(texts: pa.Array) -> pa.Array:
    # Arrow parses one format at a time: here, the one with time and zone but without fractions.
    texts = pc.replace_substring_regex(texts, r"\.\d+", "")
    texts = pc.replace_substring_regex(texts, r"^(.{10})$", r"\1 00:00")
    texts = pc.replace_substring_regex(texts, rf"^(.{{11}}{_CLOCK})$", r"\1Z")
    return texts.cast(pa.timestamp("s", "UTC")).cast(pa.int64())


@dataclass(frozen=True)
class _CellFormat:
    """Format of cells of a kind."""

    looks: str
    """Cells that are recognized as this kind."""
    accepted: str
    """Cells that can be read as this kind."""
    convert: Converter
    """Converts cells to values; raises `pa.ArrowInvalid` for a cell that has none despite its format."""


_FORMS = {
    CellType.INTEGER: _CellFormat(_WHOLE, rf"{_WHOLE}(\.0*)?", _to_integers),
    CellType.FLOAT: _CellFormat(_NUMBER, _NUMBER, _to_floats),
    CellType.BOOLEAN: _CellFormat(r"(?i:true|false)", r"(?i:true|false)|[01]", _to_booleans),
    CellType.TIMESTAMP: _CellFormat(_TIMESTAMP, _TIMESTAMP, _to_seconds),
}


@dataclass(frozen=True)
class TextMasks:
    """Masks that classify texts: bool of shape [texts]."""

    missing: np.ndarray
    nan: np.ndarray
    """NaN: a missing cell among numbers, a word among words."""
    too_long: np.ndarray
    """Integers beyond 64 bits."""
    padded: np.ndarray
    """Integers with leading zeros, such as postcodes."""
    kinds: dict[CellType, np.ndarray]


def survey(texts: pa.Array, missing: Set[str]) -> TextMasks:
    """Classifies texts.

    Args:
        texts: Strings without nulls.
        missing: Texts that mark a missing cell. Surrounding spaces don't count, here and below.
    """
    trimmed = pc.utf8_trim_whitespace(texts)
    gone = _is_in(trimmed, missing)
    rest = ~gone
    kinds = {}
    too_long = np.zeros(len(texts), bool)
    for kind, form in _FORMS.items():
        looks = _matching(trimmed, rest, form.looks)
        kinds[kind] = _convertible(trimmed, looks, form.convert)
        if kind is CellType.INTEGER:
            too_long = looks & ~kinds[kind]
        rest = rest & ~kinds[kind] & ~too_long
    nan = _matching(trimmed, rest, _NAN)
    kinds[CellType.BYTES] = rest & ~nan
    return TextMasks(gone, nan, too_long, _matching(trimmed, kinds[CellType.INTEGER], _PADDED), kinds)


def read(texts: pa.Array, kind: CellType, missing: Set[str]) -> tuple[pa.Array, np.ndarray]:
    """Parses texts.

    Args:
        texts: Strings without nulls.
        kind: What to read them as.
        missing: Texts that mark a missing cell; among numbers, NaN does too.

    Returns:
        The values, int64, float64 or binary, null for cells that are missing or don't fit; and a mask of those that
        don't fit, bool of shape [texts].
    """
    trimmed = pc.utf8_trim_whitespace(texts)
    there = ~_is_in(trimmed, missing)
    if kind is CellType.BYTES:
        return _only(texts, there).cast(pa.binary()), np.zeros(len(texts), bool)
    if kind in NUMBERS:
        there &= ~_matching(trimmed, there, _NAN)
    form = _FORMS[kind]
    fit = _convertible(trimmed, _matching(trimmed, there, form.accepted), form.convert)
    return form.convert(_only(trimmed, fit)), there & ~fit


def _only(texts: pa.Array, mask: np.ndarray) -> pa.Array:
    return pc.if_else(pa.array(mask), texts, pa.scalar(None, pa.string()))


def _is_in(texts: pa.Array, some: Set[str]) -> np.ndarray:
    return pc.is_in(texts, value_set=pa.array(sorted(some), pa.string())).to_numpy(zero_copy_only=False)


def _matching(texts: pa.Array, mask: np.ndarray, pattern: str) -> np.ndarray:
    """Restricts a mask to texts that match a pattern completely."""
    if not mask.any():
        return mask
    return mask & pc.match_substring_regex(texts, rf"^(?:{pattern})$").to_numpy(zero_copy_only=False)


def _convertible(texts: pa.Array, mask: np.ndarray, convert: Converter) -> np.ndarray:
    """Restricts a mask to texts that have a value, which 30 February doesn't."""
    places = np.flatnonzero(mask)
    found = mask.copy()
    found[places[_refused(texts.take(pa.array(places)), convert)]] = False
    return found


def _refused(texts: pa.Array, convert: Converter) -> list[int]:
    """Indices of texts that cannot be converted, found by bisection: Arrow names at most one of them."""
    try:
        convert(texts)
        return []
    except pa.ArrowInvalid:
        if len(texts) == 1:
            return [0]
    half = len(texts) // 2
    return _refused(texts[:half], convert) + [half + place for place in _refused(texts[half:], convert)]
