"""Patterns of data that comes in spans: numbered or dated portions, with versions where they are written anew."""

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


class Place(NamedTuple):
    """Where a file stands. Places are in the order of their age."""

    span: int
    """The number that `{SPAN}` stands for, or that of a date: days since 1970-01-01, as TFX counts them."""
    version: int
    """The number that `{VERSION}` stands for; 0 where the pattern has none."""


@dataclass(frozen=True)
class SpanPattern:
    """A glob with `{SPAN}`, or `{YYYY}`, `{MM}` and `{DD}`; and `{VERSION}` where the same span may come anew.

    `{SPAN}` and `{VERSION}` stand for decimal digits, as many as there are, or with a width, as in `{SPAN:3}`, for so
    many. So `span-1` and `span-01` are both span 1 of `span-{SPAN}`, and only `001` is span 1 of `{SPAN:3}`.
    """

    text: str

    @classmethod
    def parse(cls, pattern: str) -> "SpanPattern | None":
        """The pattern, or None for a glob without placeholders.

        Raises:
            ValueError: with all that is wrong with its placeholders.
        """
        placeholders = list(_PLACEHOLDER.finditer(pattern))
        if mistakes := list(_mistakes(placeholders)):
            raise ValueError("; ".join(mistakes))
        return cls(pattern.rstrip("/")) if placeholders else None

    @property
    def placeholders(self) -> frozenset[str]:
        """The names of its placeholders."""
        return frozenset(found["name"] for found in _PLACEHOLDER.finditer(self.text))

    @property
    def dated(self) -> bool:
        """Whether its spans are dates."""
        return "YYYY" in self.placeholders

    @property
    def names_folders(self) -> bool:
        """Whether it may name folders, as `data/{SPAN}` does, whose files are meant."""
        return not has_wildcards(self.text.rpartition("/")[2])

    @property
    def glob(self) -> str:
        """A glob that everything in a span matches, and perhaps more."""
        return _PLACEHOLDER.sub(lambda found: "[0-9]" * _width(found) or "[0-9]*", self.text)

    @property
    def example(self) -> str:
        """The glob of some span, to show a person."""
        return self.fill(Place(span=20_000 if self.dated else 7, version=1))

    def fill(self, place: Place) -> str:
        """The glob of one place."""
        values = {"SPAN": place.span, "VERSION": place.version}
        if self.dated:
            day = to_date(place.span)
            values |= {"YYYY": day.year, "MM": day.month, "DD": day.day}
        return _PLACEHOLDER.sub(lambda found: str(values[found["name"]]).zfill(_width(found)), self.text)

    def place(self, path: str) -> Place | None:
        """The span and version of a path that matches `glob`; None where there are none, such as for 2024-13-40."""
        found = self._regex.fullmatch(path)
        if found is None:
            return None
        number = {name: int(digits) for name, digits in found.groupdict().items()}
        try:
            span = number["SPAN"] if "SPAN" in number else (date(*map(number.__getitem__, _DATE)) - _EPOCH).days
        except ValueError:  # no such day
            return None
        return Place(span, number.get("VERSION", 0))

    @cached_property
    def _regex(self) -> re.Pattern[str]:
        return re.compile("".join(map(_regex, _TOKEN.finditer(self.text))), re.DOTALL)


def to_date(span: int) -> date:
    """The day that a span of a dated pattern is."""
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
    """How many digits a placeholder stands for; 0 for any number of them."""
    return _DATE.get(placeholder["name"]) or int(placeholder["width"] or 0)


def _regex(token: re.Match[str]) -> str:
    """A piece of a pattern as a regular expression.

    Wildcards take as little as they can, so that the placeholder after one gets all its digits.
    """
    text = token.group()
    if token["name"]:
        count = f"{{{_width(token)}}}" if _width(token) else "+"
        return f"(?P<{token['name']}>[0-9]{count})"
    if text.startswith("[") and len(text) > 1:
        return fnmatch.translate(text).removeprefix("(?s:").rpartition(")")[0]  # "(?s:[a-z])\\Z" to "[a-z]"
    return {"**/": "(?:.*/)?", "**": ".*?", "*": "[^/]*?", "?": "[^/]"}.get(text) or re.escape(text)
