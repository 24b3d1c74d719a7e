"""Reads CSV files."""

import csv
import io
import sys
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import islice
from typing import TextIO

import pyarrow as pa
import pyarrow.csv as arrow_csv

from hubline.core.errors import UserError
from hubline.pipeline.convert.encodings import wide_encoding
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.convert.source import BATCH_BYTES, BATCH_ROWS, Batch

BLOCK_BYTES = 2 << 20  # Arrow reads some thirty of these ahead
_NAMED = 5  # faulty rows that an error lists
_SEEN = 1000
"""Bytes that are read to detect the encoding."""
_OTHERS = {"';'": ";", "tab": "\t", "'|'": "|"}
"""Other delimiters, as quoted for a shell."""


@dataclass(frozen=True)
class Dialect:
    """Format of CSV files."""

    delimiter: str = ","
    header: bool = True
    """Whether the first row contains the column names; otherwise they are column_1, column_2, …"""
    encoding: str = "utf-8"
    check_delimiter: bool = False
    """Whether the delimiter is the default, so that signs of another one are an error."""


class CsvFile:
    """A CSV file, compressed if its extension says so. Quoted cells may contain line breaks; blank lines are
    ignored."""

    names: Sequence[str]
    declared: Mapping[str, CellType] = {}
    rows: int | None = None

    def __init__(self, path: str, dialect: Dialect) -> None:
        """Reads the first row.

        Raises:
            UserError: if there is none, or two columns have the same name.
        """
        self.path = path
        self._dialect = replace(dialect, encoding=self._without_mark(dialect.encoding))
        csv.field_size_limit(sys.maxsize)  # otherwise Python rejects cells of more than 128 KiB
        try:
            if self._dialect.encoding == "utf-8" and self._wide():
                raise self._undecodable()
            line, cells = next(self._rows(), (0, []))
            "".join(cells).encode()  # fails if bytes of the first row could not be decoded
        except UnicodeError as error:
            raise self._undecodable() from error
        except (csv.Error, OSError) as error:
            raise UserError(f"{path}: {error}") from error
        if not cells:
            raise UserError(f"{path}: the file is empty")
        if dialect.check_delimiter and len(cells) == 1:
            self._check_delimiter()
        numbered = [f"column_{number}" for number in range(1, len(cells) + 1)]
        named = [cell.strip() or number for cell, number in zip(cells, numbered, strict=True)]
        self.names = named if dialect.header else numbered
        # Only here does Arrow count blank lines.
        self._skipped = line if dialect.header else 0
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise UserError(f"{path}:{line}: more than one column is named {', '.join(map(repr, twice))}")

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """Returns all cells as text. See `Source`."""
        last: Batch = {}
        try:
            reader = self._open(names)
            while blocks := list(islice(reader, BATCH_BYTES // BLOCK_BYTES)):
                for batch in pa.Table.from_batches(blocks).combine_chunks().to_batches(BATCH_ROWS):
                    last = dict(zip(names, batch.columns, strict=True))
                    yield last
        except (pa.ArrowInvalid, UnicodeError, OSError) as error:
            raise self._explained(error) from error
        if any("\n" in column[-1].as_py() for column in last.values()):
            self._check_closed()

    def place(self, row: int) -> str:
        """`file:line`. See `Source`."""
        try:
            for number, (line, _) in enumerate(self._rows(), start=-1 if self._dialect.header else 0):
                if number == row:
                    return f"{self.path}:{line}"
        except (csv.Error, UnicodeError):
            pass  # Arrow is more lenient; the row number must do
        return f"{self.path}: row {row + 1}"

    def _open(self, names: Sequence[str]) -> arrow_csv.CSVStreamingReader:
        return arrow_csv.open_csv(
            self.path,
            arrow_csv.ReadOptions(
                block_size=BLOCK_BYTES,
                column_names=self.names,
                skip_rows_after_names=self._skipped,
                encoding=self._dialect.encoding,
            ),
            arrow_csv.ParseOptions(delimiter=self._dialect.delimiter, newlines_in_values=True),
            arrow_csv.ConvertOptions(
                column_types={name: pa.string() for name in self.names},
                include_columns=list(names),
                strings_can_be_null=False,
            ),
        )

    @contextmanager
    def _text(self) -> Iterator[TextIO]:
        """The text as Python reads it, for finding lines. Undecodable bytes become lone surrogates."""
        # A byte order mark is not part of the first name.
        encoding = "utf-8-sig" if self._dialect.encoding == "utf-8" else self._dialect.encoding
        with pa.input_stream(self.path) as stream:
            yield io.TextIOWrapper(stream, encoding, "surrogateescape", newline="")

    def _rows(self) -> Iterator[tuple[int, list[str]]]:
        """Rows with their first line, read by Python's csv module, which is slow but knows lines."""
        with self._text() as text:
            reader = csv.reader(text, delimiter=self._dialect.delimiter)
            line = 1
            for cells in reader:
                if cells:
                    yield line, cells
                line = reader.line_num + 1

    def _explained(self, error: Exception) -> UserError:
        """Translates an Arrow error."""
        message = str(error)
        if isinstance(error, UnicodeError) or "invalid UTF8" in message:
            return self._undecodable()
        if "straddling" in message:
            return UserError(f"{self.path}: a row is longer than {BLOCK_BYTES >> 20} MiB; a quote may not be closed")
        return (self._ragged() if "Expected" in message else None) or UserError(f"{self.path}: {message}")

    def _ragged(self) -> UserError | None:
        """Lists the rows with more or fewer cells than columns."""
        expected, count, faults = len(self.names), 0, []
        try:
            for line, cells in self._rows():
                if len(cells) != expected:
                    count += 1
                    if count <= _NAMED:
                        faults.append(f"{self.path}:{line}: {len(cells)} cells, but there are {expected} columns")
        except (csv.Error, UnicodeError):
            return None
        if count > _NAMED:
            faults.append(f"{self.path}: {count - _NAMED:,} more such rows")
        return UserError("\n".join(faults)) if faults else None

    def _undecodable(self) -> UserError:
        """Names the first line that is not in the encoding."""
        encoding = self._dialect.encoding
        if encoding == "utf-8" and (wide := self._wide()):
            return UserError(f"{self.path}: is {wide.upper()}, not utf-8; use --encoding {wide}")
        other = "latin-1" if encoding == "utf-8" else "utf-8"
        hint = f"if the file has another encoding, use for example --encoding {other}"
        try:
            with self._text() as text:
                for number, line in enumerate(text, start=1):
                    strange = [ord(letter) & 0xFF for letter in line if "\udc80" <= letter <= "\udcff"]
                    if strange:
                        return UserError(f"{self.path}:{number}: byte 0x{strange[0]:02x} is not {encoding}; {hint}")
        except UnicodeError:  # not every encoding supports lone surrogates
            pass
        return UserError(f"{self.path}: is not {encoding}; {hint}")

    def _without_mark(self, encoding: str) -> str:
        """The name of the encoding that strips a byte order mark."""
        family = encoding.rpartition("-")[0]
        if encoding in ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be") and wide_encoding(self._head()) == family:
            return family
        return "utf-8" if encoding == "utf-8-sig" else encoding

    def _head(self) -> bytes:
        try:
            with pa.input_stream(self.path) as stream:
                return stream.read(_SEEN)
        except OSError as error:
            raise UserError(f"{self.path}: {error}") from error

    def _wide(self) -> str | None:
        """The encoding of the file if it uses two or more bytes per character."""
        return wide_encoding(self._head())

    def _check_delimiter(self) -> None:
        """If the only column's name and first cell contain another delimiter, the table was probably misread."""
        rows = [cells[0] for _, cells in islice(self._rows(), 2) if len(cells) == 1]
        for name, delimiter in _OTHERS.items():
            if rows and all(delimiter in row for row in rows):
                raise UserError(
                    f"{self.path}: has one column, {rows[0]!r}; {name} seems to stand between cells, so say "
                    f"--delimiter {name}; where there is one column, say --delimiter {self._dialect.delimiter}"
                )

    def _check_closed(self) -> None:
        """Arrow reads everything after an unclosed quote as one cell, which would silently lose rows."""
        line = 1
        try:
            with self._text() as text:
                reader = csv.reader(text, delimiter=self._dialect.delimiter, strict=True)
                for _ in reader:
                    line = reader.line_num + 1
        except csv.Error as error:
            if "unexpected end of data" in str(error):
                raise UserError(f"{self.path}:{line}: a quote in this row is never closed") from error
