"""Profiles each column of a sample of the data."""

from __future__ import annotations

from collections.abc import Callable, Set

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from rich.console import Console
from tensorflow_metadata.proto.v0 import statistics_pb2

from hubline.artifacts.splits import ALL
from hubline.components.adapters.tfdv import basic_statistics
from hubline.components.pin.find import find
from hubline.core.errors import DataError
from hubline.core.spans import SpanPattern
from hubline.pipeline.init.column_profile import ColumnProfile, DataProfile, NumberProfile, Type
from hubline.pipeline.init.dates import has_times, is_dates
from hubline.pipeline.init.pictures import describe_pictures
from hubline.pipeline.init.recordings import describe_sounds
from hubline.pipeline.init.sample import decoded, read_sample
from hubline.preprocessing.encoded_images import IMAGE_MAGIC
from hubline.preprocessing.encoded_sounds import format_fault

_FREQUENT = 100


def look(pattern: str, console: Console, dates: Set[str] = frozenset()) -> DataProfile:
    """Profiles the columns of the records that match a pattern.

    Args:
        pattern: As in `data.examples`, absolute.
        console: Shows progress.
        dates: Integer columns that are known to be seconds since 1970.

    Raises:
        UserError: if it matches no file.
        DataError: if a file is damaged, a record is not a `tf.Example`, or there are no records; or as `decoded` does.
    """
    paths = list(find({ALL: pattern})[ALL])
    sample = read_sample(paths, console)
    if not sample.records:
        raise DataError(f"{pattern}: no records in {len(paths)} files")
    with console.status(f"describing {len(sample.records):,} records"):
        columns = describe(decoded(sample), dates, sample.place)
    return DataProfile(
        columns=columns,
        files=len(paths),
        records=len(sample.records),
        total=sample.count(paths),
        is_whole=len(sample.whole) == len(paths),
        has_spans=SpanPattern.parse(pattern) is not None,
    )


def describe(
    batch: pa.RecordBatch, dates: Set[str] = frozenset(), place: Callable[[int], str] = "record {}".format
) -> tuple[ColumnProfile, ...]:
    """Profiles each column of a batch of records, which contains a list of values per record; sorted by name.

    Args:
        batch: The records.
        dates: Columns that are known to be seconds since 1970.
        place: File and number of a record, by its index.
    """
    columns = {name: _present(batch.column(index)) for index, name in enumerate(batch.schema.names)}
    statistics = _statistics(pa.RecordBatch.from_arrays(list(columns.values()), list(columns)))
    lengths = {name: pc.list_value_length(batch.column(name)) for name in columns if not _is_empty(columns[name])}
    return tuple(
        _column(name, columns[name], lengths.get(name), statistics[name], name in dates, place)
        for name in sorted(columns)
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
    is_date: bool,
    place: Callable[[int], str],
) -> ColumnProfile:
    if lengths is None:
        return ColumnProfile(name, "nothing", records=len(column), present=0, values=0, distinct=0)
    values = column.flatten()
    counts = pc.value_counts(values)
    common = (statistics.num_stats if statistics.HasField("num_stats") else statistics.string_stats).common_stats
    several = pc.min_max(pc.replace_with_mask(lengths, pc.equal(lengths, 0), pa.scalar(None, lengths.type)))
    kind, fits = _type(values)
    files = values if fits is None else values.filter(pa.array(fits))
    broken = [] if fits is None else np.unique(pc.list_parent_indices(column).to_numpy()[~fits]).tolist()
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
        pictures=describe_pictures(files) if kind == "image" else None,
        sounds=describe_sounds(files) if kind == "sound" else None,
        broken=len(broken),
        broken_place=place(broken[0]) if broken else "",
        is_date=is_date or is_dates(values, kind),
        has_times=has_times(values, kind),
        words=pc.mean(pc.count_substring(values.cast(pa.large_string()), " ")).as_py() + 1 if kind == "text" else 0.0,
    )


def _type(values: pa.Array) -> tuple[Type, np.ndarray | None]:
    """The type of most values and, of images and sounds, which values are of that type, bool [values]."""
    if pa.types.is_integer(values.type):
        return "integer", None
    if pa.types.is_floating(values.type):
        return "float", None
    if _texts(values) is not None:
        return "text", None
    magic = tuple(IMAGE_MAGIC.values())
    images = np.array([value.as_py().startswith(magic) for value in values])
    sounds = np.array([format_fault(value.as_py()) is None for value in values])
    found: tuple[tuple[Type, np.ndarray], ...] = (("image", images), ("sound", sounds))
    return next(((kind, fits) for kind, fits in found if 2 * fits.sum() > len(fits)), ("bytes", None))


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
