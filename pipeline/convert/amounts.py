"""Numbers as people write them: with separators of thousands, a decimal comma, a currency or a percent sign."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hubline.pipeline.convert.kinds import CellType, Decimal

LONGEST = 40
"""Maximum number of bytes of a cell that is a number or a date."""

_CURRENCY = (
    r"(?:[A-Z]{0,2}\p{Sc}|USD|EUR|GBP|JPY|CHF|CAD|AUD|NZD|CNY|INR|BRL|MXN|SEK|NOK|DKK|PLN|CZK|HUF|TRY|ZAR|KRW|SGD|HKD"
    r"|kr|zł|Kč|Ft|Fr\.)"
)
AMOUNT = (
    rf"^(?P<open>\(?)(?P<outer>[+-]?) ?(?P<before>{_CURRENCY}?) ?(?P<inner>[+-]?)"
    rf"(?P<number>[0-9.,' ]*[0-9.,])(?P<exponent>(?:[eE][+-]?[0-9]+)?) ?(?P<after>(?:{_CURRENCY}|%)?)(?P<close>\)?)$"
)
"""What `Amounts` takes apart."""
_DIGITS = {
    decimal: rf"(?:[0-9]+|[1-9][0-9]{{0,2}}(?:(?:{mark}[0-9]{{3}})+|(?: [0-9]{{3}})+|(?:'[0-9]{{3}})+){more})"
    for decimal, mark, more in ((".", ",", r"|[1-9][0-9]?(?:,[0-9]{2})+,[0-9]{3}"), (",", r"\.", ""))
}
"""Whole numbers by decimal separator, with or without grouping. A grouped number has no leading zero, so 0,250 has a
decimal comma. Indian grouping, as in 12,34,567, is known with a decimal point."""
_GROUPED_BY_COMMAS = r"^(?:(?:US|A|AU|C|CA|NZ|HK|S|MX)?\$|[£¥₹₩₪฿₱]|USD|GBP|JPY|CNY|INR|AUD|CAD|NZD|HKD|SGD|MXN|KRW)$"
"""Currencies that are written with a decimal point. Others, such as R$, € and ₺, have a decimal comma as often."""


def plain_spaces(texts: pa.Array) -> pa.Array:
    """Texts without surrounding spaces. Other spaces and minus signs of Unicode become those of ASCII."""
    texts = pc.utf8_trim_whitespace(texts)
    return pc.replace_substring(pc.replace_substring_regex(texts, "[\u00a0\u2007\u2009\u202f]", " "), "\u2212", "-")


def short_with_digits(texts: pa.Array, mask: np.ndarray) -> pa.Array:
    """Texts that can be numbers or dates; null for all others."""
    short = pc.less_equal(pc.binary_length(texts), LONGEST).to_numpy(zero_copy_only=False)
    digits = pc.match_substring_regex(texts, "[0-9]").to_numpy(zero_copy_only=False)
    return pc.if_else(pa.array(mask & short & digits), texts, pa.scalar(None, pa.string()))


def places_of(texts: pa.Array, pattern: str) -> np.ndarray:
    """Indices of texts that match a pattern somewhere; nulls don't."""
    found = pc.fill_null(pc.match_substring_regex(texts, pattern), False)
    return np.flatnonzero(found.to_numpy(zero_copy_only=False))


@dataclass(frozen=True)
class Amounts:
    """Texts taken apart. Masks are bool arrays of shape [texts]."""

    parts: pa.StructArray
    """Groups of `AMOUNT`; null for texts that are no amounts."""

    @classmethod
    def of(cls, texts: pa.Array) -> "Amounts":
        """Takes texts apart, which `plain_spaces` made; null if they need not be looked at."""
        return cls(pc.extract_regex(texts, AMOUNT))

    def fits(self, kind: CellType, decimal: Decimal) -> np.ndarray:
        """Which texts are amounts of a kind with this decimal separator."""
        point = r"\." if decimal == "." else ","
        digits = (
            _DIGITS[decimal] if kind is CellType.INTEGER else rf"{_DIGITS[decimal]}(?:{point}[0-9]*)?|{point}[0-9]+"
        )
        mask = self._is_amount & self._matches("number", rf"^(?:{digits})$")
        if kind is CellType.PERCENT:
            return mask & self._is_percent & ~self._has_exponent
        if kind is CellType.CURRENCY:
            return mask & ~self._is_percent & ~(self.has_unit & self._has_exponent)
        return mask & ~self.has_unit & ~(self._has_exponent & (kind is CellType.INTEGER))

    def numbers(self, kind: CellType, decimal: Decimal) -> pa.Array:
        """The numbers as Arrow parses them, such as -1200.5; a percentage ends with e-2."""
        digits = pc.replace_substring_regex(self._part("number"), f"[{',' if decimal == '.' else '.'} ']", "")
        signs = pc.binary_join_element_wise(self._part("outer"), self._part("inner"), "")
        is_negative = pc.or_(pc.equal(signs, "-"), pc.equal(self._part("open"), "("))
        return pc.binary_join_element_wise(
            pc.if_else(is_negative, "-", ""),
            pc.replace_substring(digits, ",", "."),
            self._part("exponent"),
            "e-2" if kind is CellType.PERCENT else "",
            "",
        )

    @cached_property
    def units(self) -> pa.Array:
        """Currency or percent sign; empty without, null for texts that are no amounts."""
        return pc.binary_join_element_wise(self._part("before"), self._part("after"), "")

    @cached_property
    def has_unit(self) -> np.ndarray:
        """Whether there is a currency or a percent sign."""
        return self._any("before") | self._any("after")

    @cached_property
    def has_separator(self) -> np.ndarray:
        """Whether there is a point or a comma."""
        return self._matches("number", "[.,]")

    @cached_property
    def groups_by_comma(self) -> np.ndarray:
        """Whether the separators are commas, beside a currency that is written with a decimal point."""
        has_point = pc.fill_null(pc.match_substring_regex(self.units, _GROUPED_BY_COMMAS), False)
        return ~self._matches("number", r"\.") & has_point.to_numpy(zero_copy_only=False)

    @cached_property
    def _is_amount(self) -> np.ndarray:
        """Whether parentheses are closed, and there is at most one sign and one unit."""
        is_open, is_closed = self._any("open"), self._any("close")
        signs = is_open.astype(int) + self._any("outer") + self._any("inner")
        one_unit = ~(self._any("before") & self._any("after"))
        there = self.parts.is_valid().to_numpy(zero_copy_only=False)
        return there & (is_open == is_closed) & (signs <= 1) & one_unit

    @cached_property
    def _is_percent(self) -> np.ndarray:
        return self._matches("after", "^%$")

    @cached_property
    def _has_exponent(self) -> np.ndarray:
        return self._any("exponent")

    def _part(self, name: str) -> pa.Array:
        return pc.struct_field(self.parts, [self.parts.type.get_field_index(name)])

    def _any(self, name: str) -> np.ndarray:
        return self._matches(name, ".")

    def _matches(self, name: str, pattern: str) -> np.ndarray:
        found = pc.match_substring_regex(self._part(name), pattern)
        return pc.fill_null(found, False).to_numpy(zero_copy_only=False)
