"""Dates of the training split that could not be parsed, stored next to the transform graph."""

from collections.abc import Mapping
from datetime import datetime

from hubline.artifacts.findings import Finding
from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.errors import DataError
from hubline.preprocessing.analysis import UnparsedColumn
from hubline.preprocessing.config import Features
from hubline.preprocessing.kinds.kind import FeatureKind
from hubline.preprocessing.kinds.timestamp import TimestampFeature

_FILE = "unread.json"
_DATES = (
    "%m/%d/%Y", "%d/%m/%Y", "%Y/%m/%d", "%d.%m.%Y", "%d-%m-%Y", "%m-%d-%Y", "%m/%d/%y", "%d/%m/%y", "%Y-%m-%d",
    "%d %b %Y", "%b %d, %Y", "%d %B %Y", "%B %d, %Y", "%d-%b-%Y",
)  # fmt: skip
_TIMES = ("", " %H:%M", " %H:%M:%S", "T%H:%M:%S", " %I:%M %p", " %I:%M:%S %p")
_SHOWN_GUESSES, _ANY = 2, "%m/%d/%Y %H:%M"


class UnreadDates(Section):
    """Number of dates that could not be parsed, with examples, by feature."""

    features: dict[str, UnparsedColumn] = {}
    columns: dict[str, str] = {}
    """Column of each of these features."""

    @classmethod
    def of(cls, features: Features, unread: Mapping[str, UnparsedColumn]) -> "UnreadDates":
        """Builds the record from the counts over the training split.

        Raises:
            DataError: if no date of a column could be parsed.
        """
        columns = {name: features[name].reads(name)[0] for name in unread}
        for name, found in unread.items():
            if found.values and found.unread == found.values:
                raise DataError(_none(name, columns[name], features[name], found))
        return cls(features=dict(unread), columns=columns)

    @property
    def findings(self) -> list[Finding]:
        """One finding per column."""
        return [
            Finding(split="train", column=self.columns[name], what=_some(name, found), stops=False)
            for name, found in self.features.items()
            if found.unread
        ]

    def write(self, uri: str) -> None:
        storage.write_bytes(f"{uri}/{_FILE}", self.to_property().encode())

    @classmethod
    def read(cls, uri: str) -> "UnreadDates":
        with storage.open_binary(f"{uri}/{_FILE}") as file:
            return cls.model_validate_json(file.read())


def _some(name: str, found: UnparsedColumn) -> str:
    return (
        f"{found.unread:,} of {found.values:,} values are not dates that features.{name} can read, such as "
        f"{_listed(found.such_as)}; they count as missing"
    )


def _none(name: str, column: str, feature: FeatureKind, found: UnparsedColumn) -> str:
    form = feature.format if isinstance(feature, TimestampFeature) else None
    written = f"is written as its format '{form}' says" if form else "is a date of ISO 8601"
    guesses = [] if form else guessed(found.such_as)
    keys = " or ".join(f'format: "{guess}"' for guess in guesses[:_SHOWN_GUESSES] or [_ANY])
    return (
        f"features.{name}: none of the {found.values:,} values of the column '{column}' {written}; they are such as "
        f"{_listed(found.such_as)}; say how they are written, {'perhaps ' if guesses else 'such as '}"
        f"{keys}"
    )


def guessed(texts: tuple[str, ...]) -> list[str]:
    """Common formats that match all of the texts."""
    formats = [f"{date}{time}" for date in _DATES for time in _TIMES]
    formats += ["%d/%b/%Y:%H:%M:%S %z", "%a, %d %b %Y %H:%M:%S %z", "%Y%m%d%H%M%S", "%Y-%m", "%H:%M", "%H:%M:%S"]
    return [each for each in formats if all(_is_written(text, each) for text in texts)]


def _is_written(text: str, form: str) -> bool:
    try:
        datetime.strptime(text, form)
    except ValueError:
        return False
    return True


def _listed(texts: tuple[str, ...]) -> str:
    return ", ".join(map(repr, texts[:3]))
