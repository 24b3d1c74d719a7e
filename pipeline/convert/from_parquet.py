"""Reads Parquet files."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from hubline.core.errors import UserError
from hubline.pipeline.convert.kinds import CellType
from hubline.pipeline.convert.source import BATCH_BYTES, BATCH_ROWS, Batch

_BUFFER_BYTES = 1 << 20
_PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}


class ParquetFile:
    """A Parquet file; lists become several values of one column."""

    def __init__(self, path: str, types: Mapping[str, CellType]) -> None:
        """Reads the schema.

        Args:
            path: The file.
            types: Declared kinds of columns that are not to be read as their own type.

        Raises:
            UserError: if it is not a Parquet file, or has two columns of the same name.
        """
        self.path = path
        try:
            # With a buffer, column chunks are read in pieces.
            self._file = pq.ParquetFile(path, buffer_size=_BUFFER_BYTES)
        except (pa.ArrowInvalid, OSError) as error:
            raise UserError(f"{path}: cannot be read as a Parquet file: {error}") from error
        self._schema = self._file.schema_arrow
        self.names: Sequence[str] = self._schema.names
        self.rows: int | None = self._file.metadata.num_rows
        twice = [name for name, count in Counter(self.names).items() if count > 1]
        if twice:
            raise UserError(f"{path}: more than one column is named {', '.join(map(repr, twice))}")
        kinds = {field.name: _kind_of(_inner(field.type)) for field in self._schema}
        self.declared: Mapping[str, CellType] = {name: kind for name, kind in kinds.items() if kind}
        self._as_text = {name for name, kind in types.items() if name in self.names and kind != kinds[name]}

    def batches(self, names: Sequence[str]) -> Iterator[Batch]:
        """Returns columns with another declared kind as text. See `Source`."""
        self._check(names)
        metadata = self._file.metadata
        groups = (metadata.row_group(number) for number in range(metadata.num_row_groups))
        row_bytes = sum(group.total_byte_size for group in groups) // max(1, metadata.num_rows) + 8 * len(self.names)
        size = max(1, min(BATCH_ROWS, BATCH_BYTES // row_bytes))
        try:
            for batch in self._file.iter_batches(size, columns=list(names)):
                yield {name: self._column(name, batch.column(batch.schema.names.index(name))) for name in names}
        except (pa.ArrowException, OSError) as error:
            raise UserError(f"{self.path}: {error}") from error

    def place(self, row: int) -> str:
        """File and row. See `Source`."""
        return f"{self.path}: row {row} (counted from 0)"

    def _check(self, names: Sequence[str]) -> None:
        """Checks that a tf.Example can contain the columns."""
        kinds = {name: self._schema.field(name).type for name in names}
        faults = [
            f"{self.path}: column {name!r} is {kind}, which a tf.Example cannot contain; use --drop {name}"
            for name, kind in kinds.items()
            if name not in self.declared
        ] + [
            f"{self.path}: column {name!r} is {kind}, which cannot be read as another type; remove its --type"
            for name, kind in kinds.items()
            if name in self._as_text and _is_list(kind)
        ]
        if faults:
            raise UserError("\n".join(faults))

    def _column(self, name: str, array: pa.Array) -> pa.Array:
        try:
            if name in self._as_text:
                return _text(array)
            if not _is_list(array.type):
                return _values(array, self.declared[name])
            lengths = pc.list_value_length(array).fill_null(0).to_numpy()
            values = _values(array.filter(array.is_valid()).flatten(), self.declared[name])
            return pa.ListArray.from_arrays(pa.array(np.append(0, np.cumsum(lengths)), pa.int32()), values)
        except pa.ArrowException as error:
            raise UserError(f"{self.path}: column {name!r}: {error}") from error


def _is_list(kind: pa.DataType) -> bool:
    return pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)


def _inner(kind: pa.DataType) -> pa.DataType:
    """Type of the values within lists and dictionaries."""
    values = kind.value_type if _is_list(kind) else kind
    return values.value_type if pa.types.is_dictionary(values) else values


def _decoded(array: pa.Array) -> pa.Array:
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def _kind_of(kind: pa.DataType) -> CellType | None:
    """How values of a type are read; None if they cannot be."""
    types = pa.types
    if types.is_boolean(kind):
        return CellType.BOOLEAN
    if types.is_integer(kind):
        return CellType.INTEGER
    if types.is_floating(kind) or types.is_decimal(kind):
        return CellType.FLOAT
    if types.is_timestamp(kind) or types.is_date(kind):
        return CellType.TIMESTAMP
    text = types.is_string(kind) or types.is_large_string(kind) or types.is_time(kind) or types.is_null(kind)
    if text or types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return CellType.BYTES
    return None


def _text(array: pa.Array) -> pa.Array:
    """Cells as text."""
    array = _decoded(array)
    if not pa.types.is_floating(array.type) and not pa.types.is_decimal(array.type):
        return array.cast(pa.string())
    # Arrow writes large numbers with an exponent, which integers must not have.
    floats = array.cast(pa.float64())
    whole = floats.cast(pa.int64(), safe=False)
    is_whole = pc.equal(whole.cast(pa.float64(), safe=False), floats)
    return pc.if_else(is_whole, whole.cast(pa.string()), floats.cast(pa.string()))


def _values(array: pa.Array, kind: CellType) -> pa.Array:
    """Values as int64, float64 or binary."""
    array = _decoded(array)
    if kind is CellType.TIMESTAMP:
        return _seconds(array)
    if kind is CellType.BYTES:
        return (array.cast(pa.string()) if pa.types.is_time(array.type) else array).cast(pa.binary())
    return array.cast(pa.float64() if kind is CellType.FLOAT else pa.int64())


def _seconds(array: pa.Array) -> pa.Array:
    """Dates and timestamps as integer seconds since 1970, also before it."""
    if pa.types.is_date(array.type):
        array = array.cast(pa.timestamp("ms"))
    counts = array.cast(pa.int64())
    there = counts.is_valid().to_numpy(zero_copy_only=False)
    return pa.array(counts.fill_null(0).to_numpy() // _PER_SECOND[array.type.unit], mask=~there)
