"""Patterns for data in spans: numbered or dated portions, with versions for spans that are written again."""

import fnmatch
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cached_property
from typing import NamedTuple

from hubline.core.config_base import has_wildcards

_DATE = {"YYYY": 4, "MM": 2, "DD": 2}
_KNOWN = ("SPAN", "VERSION", *_DATE)
_PLACEHOLDER = re.compile(r"\{(?P<name>[A-Za-z]+)(:(?P<width>[^{}]*))?\}")
_TOKEN = re.compile(rf"{_PLACEHOLDER.pattern}|\*\*/|\*+|\?|\[!?\]?[^\]]*\]|.", re.DOTALL)
_EPOCH = date(1970, 1, 1)


class SpanVersion(NamedTuple):
    """Span and version of a file. Sorting orders files by age."""

    span: int
    """Number in place of `{SPAN}`; for a date, days since 1970-01-01, as TFX counts them."""
    version: int
    """Number in place of `{VERSION}`; 0 if the pattern has none."""


@dataclass(frozen=True)
class SpanPattern:
    """A glob with `{SPAN}`, or with `{YYYY}`, `{MM}` and `{DD}`; and with `{VERSION}` if spans may be written again.

    `{SPAN}` and `{VERSION}` match any number of decimal digits, or with a width, as in `{SPAN:3}`, exactly that many.
    So `span-1` and `span-01` are both span 1 of `span-{SPAN}`, and only `001` is span 1 of `{SPAN:3}`.
    """

    text: str

    @classmethod
    def parse(cls, pattern: str) -> "SpanPattern | None":
        """Parses a pattern; None for a glob without placeholders.

        Raises:
            ValueError: listing all errors in the placeholders.
        """
        placeholders = list(_PLACEHOLDER.finditer(pattern))
        if mistakes := list(_mistakes(placeholders)):
            raise ValueError("; ".join(mistakes))
        return cls(pattern.rstrip("/")) if placeholders else None

    @property
    def placeholders(self) -> frozenset[str]:
        """Names of the placeholders in the pattern."""
        return frozenset(found["name"] for found in _PLACEHOLDER.finditer(self.text))

    @property
    def dated(self) -> bool:
        """Whether spans are dates."""
        return "YYYY" in self.placeholders

    @property
    def names_folders(self) -> bool:
        """Whether the pattern may match folders, as `data/{SPAN}` does; their files are read then."""
        return not has_wildcards(self.text.rpartition("/")[2])

    @property
    def glob(self) -> str:
        """A glob that matches everything in a span, and possibly more."""
        return _PLACEHOLDER.sub(lambda found: "[0-9]" * _width(found) or "[0-9]*", self.text)

    @property
    def example(self) -> str:
        """The glob of an example span, for messages."""
        return self.fill(SpanVersion(span=20_000 if self.dated else 7, version=1))

    def fill(self, place: SpanVersion) -> str:
        """The glob of one span and version."""
        values = {"SPAN": place.span, "VERSION": place.version}
        if self.dated:
            day = to_date(place.span)
            values |= {"YYYY": day.year, "MM": day.month, "DD": day.day}
        return _PLACEHOLDER.sub(lambda found: str(values[found["name"]]).zfill(_width(found)), self.text)

    def place(self, path: str) -> SpanVersion | None:
        """Span and version of a path that matches `glob`; None if it has none, as for the date 2024-13-40."""
        found = self._regex.fullmatch(path)
        if found is None:
            return None
        number = {name: int(digits) for name, digits in found.groupdict().items()}
        try:
            span = number["SPAN"] if "SPAN" in number else (date(*map(number.__getitem__, _DATE)) - _EPOCH).days
        except ValueError:  # no such day
            return None
        return SpanVersion(span, number.get("VERSION", 0))

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile("".join(map(_regex, _TOKEN.finditer(self.text))), re.DOTALL)


def to_date(span: int) -> date:
    """The date of a span of a dated pattern."""
    return _EPOCH + timedelta(days=span)


def _mistakes(placeholders: list[re.Match[str]]) -> Iterator[str]:
    names = [found["name"] for found in placeholders]
    for found in placeholders:
        numbered = found["name"] in ("SPAN", "VERSION")
        if found["name"] not in _KNOWN or (found["width"] is not None and not numbered):
            yield f"{found.group()} is not known here; known are {', '.join(f'{{{name}}}' for name in _KNOWN)}"
        elif found["width"] is not None and not re.fullmatch("[1-9][0-9]?", found["width"]):
            yield f"{found.group()}: the width is a number of digits from 1 to 99, as in {{{found['name']}:3}}"
    yield from (f"{{{name}}} stands there twice" for name in _KNOWN if names.count(name) > 1)
    missing = [f"{{{name}}}" for name in _DATE if name not in names]
    if "SPAN" in names and len(missing) < len(_DATE):
        yield "a span is {SPAN}, or the date {YYYY}, {MM} and {DD}, not both"
    elif 0 < len(missing) < len(_DATE):
        yield f"a date is {{YYYY}}, {{MM}} and {{DD}} together; missing here: {', '.join(missing)}"
    elif "VERSION" in names and "SPAN" not in names and missing:
        yield "{VERSION} is the version of a span; missing here: {SPAN}, or {YYYY}, {MM} and {DD}"


def _width(placeholder: re.Match[str]) -> int:
    """Number of digits that a placeholder matches; 0 for any number."""
    return _DATE.get(placeholder["name"]) or int(placeholder["width"] or 0)


def _regex(token: re.Match[str]) -> str:
    """One token of a pattern as a regular expression.

    Wildcards are lazy, so that a placeholder after one gets all its digits.
    """
    text = token.group()
    if token["name"]:
        count = f"{{{_width(token)}}}" if _width(token) else "+"
        return f"(?P<{token['name']}>[0-9]{count})"
    if text.startswith("[") and len(text) > 1:
        return fnmatch.translate(text).removeprefix("(?s:").rpartition(")")[0]  # "(?s:[a-z])\\Z" to "[a-z]"
    return {"**/": "(?:.*/)?", "**": ".*?", "*": "[^/]*?", "?": "[^/]"}.get(text) or re.escape(text)
