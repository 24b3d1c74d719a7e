"""The first records of the data, which are read once for all looks."""

import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from hubline.artifacts.splits import ALL
from hubline.components.config.data import Data, DataToInfer
from hubline.components.example_gen.first_record import Column, has_column, read_records
from hubline.components.pin.find import Found, find
from hubline.core.config_base import is_remote
from hubline.core.config_errors import Location
from hubline.core.errors import UserError

_RECORDS = 100
"""Records of each split that are judged."""
_SECONDS = 1.0
"""Time for reading these records, and again for each column that they lack."""


@dataclass(frozen=True)
class SampledRecord:
    """A record of the data."""

    path: str
    number: int
    """Position in its file, from 0."""
    columns: Mapping[str, Column]

    @property
    def name(self) -> str:
        """The record within its file, for messages."""
        return "the first record" if self.number == 0 else f"record {self.number} (counted from 0)"


class Sample:
    """Files and first records of the data, as far as they are on this machine."""

    def __init__(self, data: Data | DataToInfer) -> None:
        self.patterns = data.patterns
        self._window = data.window
        is_selected = isinstance(data, Data) and data.where is not None
        self.is_strict = data.bad_records.policy == "fail"
        """Whether a single unreadable record stops a run."""
        self.is_judged = self.is_strict and not is_selected
        """Whether a single bad record stops a run. Records that `where` leaves out may lack anything."""
        self._found: dict[str, Found] = {}
        self._searched: dict[str, list[str]] = {}
        self._lacks: dict[str, bool | None] = {}

    def files(self, split: str) -> Found:
        """The data files of a split; of data in spans, those of the newest.

        Raises:
            UserError: if there are none.
        """
        if split not in self._found:
            self._found[split] = find({split: self.patterns[split]}, window=1)[split]
        return self._found[split]

    def known_files(self, split: str) -> list[str]:
        """The same; empty if there are none, which has its own error, or they are not on this machine."""
        if is_remote(self.patterns[split]):
            return []
        try:
            return list(self.files(split))
        except (UserError, OSError):
            return []

    @cached_property
    def records(self) -> list[SampledRecord]:
        """The first records of the first file of each split, up to an unreadable one."""
        found = []
        ends = time.monotonic() + _SECONDS
        for path in dict.fromkeys(path for split in self.patterns for path in self.known_files(split)[:1]):
            for number, columns in enumerate(read_records(path, _RECORDS, ends)):
                found.append(SampledRecord(path, number, columns))
        return found

    @cached_property
    def columns(self) -> list[str]:
        """Columns that have a value in one of these records, sorted."""
        return sorted({name for record in self.records for name, column in record.columns.items() if column.values})

    def lacks(self, column: str) -> bool | None:
        """Whether no record of the data has a column; None if the data is too large to know, or there is none.

        Of data in spans, all that a run reads are searched: a column is often missing in a single one.
        """
        if column not in self._lacks:
            self._lacks[column] = self._look_for(column)
        return self._lacks[column]

    def _look_for(self, column: str) -> bool | None:
        if column in self.columns:
            return False
        if not self.records or any(map(is_remote, self.patterns.values())):
            return None
        try:
            paths = [path for split in self.patterns for path in self._files_of_all_spans(split)]
        except (UserError, OSError):  # older spans have errors, which a run reports
            return None
        ends = time.monotonic() + _SECONDS
        for path in paths:
            there = has_column(path, column, ends)
            if there is None or there:
                return None if there is None else False
        return True

    def _files_of_all_spans(self, split: str) -> list[str]:
        """The data files of a split that a run reads, those of the newest span first."""
        if split not in self._searched:
            found = find({split: self.patterns[split]}, self._window)[split]
            self._searched[split] = sorted(found, key=lambda path: -(found[path].span or 0))
        return self._searched[split]


def key_of_split(split: str) -> Location:
    """Key of a split's pattern in the pipeline file."""
    return ("data", "examples") if split == ALL else ("data", "split", split)
