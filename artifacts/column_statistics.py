"""What TFDV's statistics say of a column, whatever its type."""

from typing import TypeAlias

from tensorflow_metadata.proto.v0 import statistics_pb2

from hubline.core import storage

ColumnStatistics: TypeAlias = statistics_pb2.FeatureNameStatistics

STATISTICS = "FeatureStats.pb"
"""The file with the statistics of a split in an ExampleStatistics artifact, as TFX names it."""

NOT_TEXT = "__BYTES_VALUE__"
"""What TFDV puts in the place of a value that is not UTF-8, such as an image."""


def read_statistics(path: str) -> dict[str, ColumnStatistics]:
    """The statistics of each column in a file that holds a DatasetFeatureStatisticsList, by name, sorted."""
    with storage.open_binary(path) as file:
        return by_column(statistics_pb2.DatasetFeatureStatisticsList.FromString(file.read()))


def by_column(statistics: statistics_pb2.DatasetFeatureStatisticsList) -> dict[str, ColumnStatistics]:
    """The statistics of each column of a data set, by name, sorted."""
    found = {column.name or ".".join(column.path.step): column for column in statistics.datasets[0].features}
    return dict(sorted(found.items()))


def type_of(column: ColumnStatistics) -> str:
    """`int`, `float`, `string`, `bytes` or `struct`."""
    return statistics_pb2.FeatureNameStatistics.Type.Name(column.type).lower()


def common(column: ColumnStatistics) -> statistics_pb2.CommonStatistics:
    """How many records have a column, and how many values."""
    stats = getattr(column, column.WhichOneof("stats"))
    return stats if isinstance(stats, statistics_pb2.CommonStatistics) else stats.common_stats


def records(column: ColumnStatistics) -> int:
    """Records, whether they have the column or not."""
    return common(column).num_non_missing + common(column).num_missing


def nan_count(column: ColumnStatistics) -> int:
    """Values that are NaN."""
    return int(max((histogram.num_nan for histogram in column.num_stats.histograms), default=0))


def present(column: ColumnStatistics) -> int:
    """Records that have a value in the column. NaN is none."""
    values = common(column).tot_num_values - nan_count(column)
    return min(common(column).num_non_missing, values)


def missing_share(column: ColumnStatistics) -> float:
    """The share of the records that have no value in the column; NaN is none."""
    return 1 - present(column) / max(records(column), 1)


def top_values(column: ColumnStatistics, most: int, length: int) -> list[tuple[str, float]]:
    """The most frequent values of a column of text, of so many characters at most, and how often each is there."""
    found = column.string_stats.top_values[:most]
    return [(shortened(value.value, length), value.frequency) for value in found if value.value != NOT_TEXT]


def not_text(column: ColumnStatistics) -> int:
    """How many values of a column of bytes are known not to be UTF-8."""
    if type_of(column) == "bytes":
        return int(common(column).tot_num_values)
    marked = sum(int(value.frequency) for value in column.string_stats.top_values if value.value == NOT_TEXT)
    return max(marked, int(column.string_stats.invalid_utf8_count))


def shortened(text: str, length: int) -> str:
    """The beginning of a text, if it is longer than so many characters."""
    return text if len(text) <= length else f"{text[: length - 1]}…"
