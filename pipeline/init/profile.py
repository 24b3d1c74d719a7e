"""Reads a sample of the data and profiles each column."""

from __future__ import annotations

import bisect
from collections.abc import Sequence, Set
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import tensorflow as tf
from rich.console import Console
from rich.progress import Progress
from tensorflow_metadata.proto.v0 import statistics_pb2

from hubline.artifacts.splits import ALL
from hubline.components.adapters.tfdv import basic_statistics
from hubline.components.pin.find import find
from hubline.core import storage
from hubline.core.adapters.tfx_bsl import ExampleDecoder
from hubline.core.errors import DataError, tensorflow_reason
from hubline.core.tfrecords import read_batches
from hubline.pipeline.init.column_profile import ColumnProfile, DataProfile, NumberProfile, Type
from hubline.pipeline.init.dates import has_times, is_dates
from hubline.pipeline.init.pictures import describe_pictures
from hubline.pipeline.init.recordings import describe_sounds
from hubline.preprocessing.encoded_images import IMAGE_MAGIC
from hubline.preprocessing.encoded_sounds import format_fault
from hubline.preprocessing.examples import flattened

FILES, RECORDS, BYTES = 64, 100_000, 256 << 20
"""Maximum numbers of files, records and bytes that are read."""
_FREQUENT = 100
_BATCH = 256
_FRAMING = 16  # bytes that a TFRecord file adds to a record


@dataclass
class _Sample:
    """Serialized records, and where they come from."""

    records: list[bytes] = field(default_factory=list)
    places: list[tuple[str, int]] = field(default_factory=list)
    """Path of each file that was read, with the index of its first record in `records`."""
    whole: dict[str, int] = field(default_factory=dict)
    """Number of records in each file that was read to the end."""

    def count(self, paths: Sequence[str]) -> int:
        """Estimated number of records in all files: from the sizes of files that were read to the end or, if there are
        none, from the size of a record, which underestimates compressed files."""
        if len(self.whole) == len(paths):
            return len(self.records)
        size = sum(storage.stat(path).size for path in self.whole)
        records = sum(self.whole.values())
        if not records:
            size, records = sum(map(len, self.records)) + _FRAMING * len(self.records), len(self.records)
        everything = sum(storage.stat(path).size for path in paths)
        return max(len(self.records), round(everything * records / size))


def look(pattern: str, console: Console, dates: Set[str] = frozenset()) -> DataProfile:
    """Profiles the columns of the records that match a pattern.

    Args:
        pattern: As in `data.examples`, absolute.
        console: Shows progress.
        dates: Integer columns that are known to be seconds since 1970.

    Raises:
        UserError: if it matches no file.
        DataError: if a file is damaged, a record is not a `tf.Example`, or there are no records.
    """
    paths = list(find({ALL: pattern})[ALL])
    sample = _read(paths, console)
    if not sample.records:
        raise DataError(f"{pattern}: no records in {len(paths)} files")
    with console.status(f"describing {len(sample.records):,} records"):
        columns = describe(_decode(sample), dates)
    return DataProfile(
        columns=columns,
        files=len(paths),
        records=len(sample.records),
        total=sample.count(paths),
        is_whole=len(sample.whole) == len(paths),
    )


def _read(paths: Sequence[str], console: Console) -> _Sample:
    """The first records of files that are spread evenly over all files."""
    chosen = [paths[number * len(paths) // FILES] for number in range(FILES)] if len(paths) > FILES else paths
    sample = _Sample()
    with Progress(console=console, transient=True) as progress:
        for path in progress.track(chosen, description=f"reading {len(chosen)} files"):
            _read_file(path, sample, -(-RECORDS // len(chosen)), BYTES // len(chosen))
    return sample


def _read_file(path: str, sample: _Sample, most_records: int, most_bytes: int) -> None:
    sample.places.append((path, len(sample.records)))
    count = size = 0
    # One more than taken, to detect whether there are more.
    for _, batch in read_batches(path, min(_BATCH, most_records + 1)):
        if count == most_records or size >= most_bytes:
            return
        taken = batch.numpy()[: most_records - count].tolist()
        sample.records += taken
        count, size = count + len(taken), size + sum(map(len, taken))
        if len(taken) < len(batch):
            return
    sample.whole[path] = count


def _decode(sample: _Sample) -> pa.RecordBatch:
    decoder = ExampleDecoder()

    def decode(records: list[bytes]) -> pa.RecordBatch:
        return decoder.decode(flattened(tf.constant(records)).numpy().tolist())

    def fault(count: int) -> str:
        try:
            decode(sample.records[:count])
        except tf.errors.OpError as error:
            return tensorflow_reason(error)
        except RuntimeError as error:
            return str(error).partition(": ")[2] or str(error)
        return ""

    try:
        return decode(sample.records)
    except (RuntimeError, tf.errors.OpError):
        counts = range(1, len(sample.records) + 1)
        bad = bisect.bisect_left(counts, True, key=lambda count: bool(fault(count)))
        path, first = next(place for place in reversed(sample.places) if place[1] <= bad)
        raise DataError(
            f"{path}: record {bad - first} (counted from 0) is no tf.Example, or has a column of another type than "
            f"those before it ({fault(bad + 1)})"
        ) from None


def describe(batch: pa.RecordBatch, dates: Set[str] = frozenset()) -> tuple[ColumnProfile, ...]:
    """Profiles each column of a batch of records, which contains a list of values per record; sorted by name. Those in
    `dates` are known to be seconds since 1970."""
    columns = {name: _present(batch.column(index)) for index, name in enumerate(batch.schema.names)}
    statistics = _statistics(pa.RecordBatch.from_arrays(list(columns.values()), list(columns)))
    lengths = {name: pc.list_value_length(batch.column(name)) for name in columns if not _is_empty(columns[name])}
    return tuple(
        _column(name, columns[name], lengths.get(name), statistics[name], name in dates) for name in sorted(columns)
    )


def _is_empty(column: pa.Array) -> bool:
    return pa.types.is_null(column.type) or len(column.flatten()) == 0


def _present(column: pa.Array) -> pa.Array:
    """A column without the values that `preprocessing.columns.present` treats as missing; null for a record without
    values."""
    if pa.types.is_null(column.type):
        return column
    values = column.flatten()
    if pa.types.is_floating(values.type):
        there = np.isfinite(values.to_numpy(zero_copy_only=False))
    elif pa.types.is_integer(values.type):
        there = np.ones(len(values), bool)
    else:
        there = pc.greater(pc.binary_length(values), 0).to_numpy(zero_copy_only=False)
    before = np.concatenate([[0], np.cumsum(there)])
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    ends = np.concatenate([[0], before[np.cumsum(lengths)]])
    nothing = np.append(np.diff(ends) == 0, False)
    return pa.LargeListArray.from_arrays(pa.array(ends, pa.int64(), mask=nothing), values.filter(pa.array(there)))


def _statistics(batch: pa.RecordBatch) -> dict[str, statistics_pb2.FeatureNameStatistics]:
    """TFDV's basic statistics. Distinct values are counted elsewhere: TFDV's sketches are off by some percent, and
    whether all values are distinct is what identifies an identifier."""
    return {feature.path.step[0]: feature for feature in basic_statistics(batch).features}


def _column(
    name: str,
    column: pa.Array,
    lengths: pa.Array | None,
    statistics: statistics_pb2.FeatureNameStatistics,
    is_date: bool = False,
) -> ColumnProfile:
    if lengths is None:
        return ColumnProfile(name, "nothing", records=len(column), present=0, values=0, distinct=0)
    values = column.flatten()
    counts = pc.value_counts(values)
    common = (statistics.num_stats if statistics.HasField("num_stats") else statistics.string_stats).common_stats
    several = pc.min_max(pc.replace_with_mask(lengths, pc.equal(lengths, 0), pa.scalar(None, lengths.type)))
    kind = _type(values)
    return ColumnProfile(
        name=name,
        type=kind,
        records=len(column),
        present=common.num_non_missing,
        values=len(values),
        distinct=len(counts),
        frequent=() if kind in ("image", "sound", "bytes") else _frequent(counts),
        fewest=several["min"].as_py(),
        most=several["max"].as_py(),
        numbers=_numbers(values, statistics.num_stats) if kind in ("integer", "float") else None,
        pictures=describe_pictures(values) if kind == "image" else None,
        sounds=describe_sounds(values) if kind == "sound" else None,
        is_date=is_date or is_dates(values, kind),
        has_times=has_times(values, kind),
        words=pc.mean(pc.count_substring(values.cast(pa.large_string()), " ")).as_py() + 1 if kind == "text" else 0.0,
    )


def _type(values: pa.Array) -> Type:
    if pa.types.is_integer(values.type):
        return "integer"
    if pa.types.is_floating(values.type):
        return "float"
    if _texts(values) is not None:
        return "text"
    magic = tuple(IMAGE_MAGIC.values())
    if all(value.as_py().startswith(magic) for value in values):
        return "image"
    return "bytes" if any(format_fault(value.as_py()) for value in values) else "sound"


def _texts(values: pa.Array) -> pa.Array | None:
    """Bytes as texts; None if any is not UTF-8 or contains a zero byte, as every image does."""
    try:
        texts = values.cast(pa.large_string())
    except pa.ArrowInvalid:
        return None
    return None if pc.any(pc.match_substring(texts, "\0")).as_py() else texts


def _frequent(counts: pa.Array) -> tuple[tuple[int | float | str, int], ...]:
    pairs = [(_readable(value), count) for value, count in zip(*map(pa.Array.to_pylist, counts.flatten()), strict=True)]
    return tuple(sorted(pairs, key=lambda pair: (-pair[1], pair[0]))[:_FREQUENT])


def _readable(value: int | float | bytes) -> int | float | str:
    return value.decode() if isinstance(value, bytes) else value


def _numbers(values: pa.Array, statistics: statistics_pb2.NumericStatistics) -> NumberProfile:
    deviations = values.to_numpy(zero_copy_only=False).astype(np.float64) - statistics.mean
    deviation = statistics.std_dev
    return NumberProfile(
        minimum=statistics.min,
        mean=statistics.mean,
        median=statistics.median,
        maximum=statistics.max,
        deviation=deviation,
        skewness=float(np.mean((deviations / deviation) ** 3)) if deviation > 0 else 0.0,
    )
