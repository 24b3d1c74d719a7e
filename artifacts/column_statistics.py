"""Accessors for TFDV's statistics of a column, independent of the column's type."""

from typing import TypeAlias

from tensorflow_metadata.proto.v0 import statistics_pb2

from hubline.core import storage

ColumnStatistics: TypeAlias = statistics_pb2.FeatureNameStatistics

STATISTICS = "FeatureStats.pb"
"""TFX's file name for the statistics of a split in an ExampleStatistics artifact."""

NOT_TEXT = "__BYTES_VALUE__"
"""TFDV's placeholder for a value that is not UTF-8, such as an image."""


def read_statistics(path: str) -> dict[str, ColumnStatistics]:
    """Statistics of each column by name, sorted, from a file with a DatasetFeatureStatisticsList."""
    with storage.open_binary(path) as file:
        return by_column(statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read()))


def by_column(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, ColumnStatistics]:
    """Statistics of each column of a data set by name, sorted."""
    found = {column.name or ".".join(column.path.step): column for column in statistics.datasets[0].features}
    return dict(sorted(found.items()))


def type_of(column: ColumnStatistics) -> str:
    """`int`, `float`, `string`, `bytes` or `struct`."""
    return statistics_pb2.FeatureNameStatistics.Type.Name(column.type).lower()


def common(column: ColumnStatistics) -> statistics_pb2.CommonStatistics:
    """The statistics that all types share, such as counts of records and values."""
    stats = getattr(column, column.WhichOneof("stats"))
    return stats if isinstance(stats, statistics_pb2.CommonStatistics) else stats.common_stats


def records(column: ColumnStatistics) -> int:
    """Number of records, with or without the column."""
    return common(column).num_non_missing + common(column).num_missing


def nan_count(column: ColumnStatistics) -> int:
    """Number of NaN values."""
    return int(max((histogram.num_nan for histogram in column.num_stats.histograms), default=0))


def present(column: ColumnStatistics) -> int:
    """Number of records that have a value. NaN counts as missing."""
    values = common(column).tot_num_values - nan_count(column)
    return min(common(column).num_non_missing, values)


def missing_share(column: ColumnStatistics) -> float:
    """Fraction of records that have no value. NaN counts as missing."""
    return 1 - present(column) / max(records(column), 1)


def top_values(column: ColumnStatistics, most: int, length: int) -> list[tuple[str, float]]:
    """The most frequent values of a string column with their frequencies, each value cut to `length` characters."""
    found = column.string_stats.top_values[:most]
    return [(shortened(value.value, length), value.frequency) for value in found if value.value != NOT_TEXT]


def not_text(column: ColumnStatistics) -> int:
    """Number of values of a bytes column that are known not to be UTF-8."""
    if type_of(column) == "bytes":
        return int(common(column).tot_num_values)
    marked = sum(int(value.frequency) for value in column.string_stats.top_values if value.value == NOT_TEXT)
    return max(marked, int(column.string_stats.invalid_utf8_count))


def shortened(text: str, length: int) -> str:
    """A text cut to `length` characters, ending in an ellipsis if it was longer."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
