"""Drift between a baseline and the training split, by TFDV's distances."""

from collections.abc import Iterable, Iterator, Mapping

import tensorflow_data_validation as tfdv
from tensorflow_metadata.proto.v0 import anomalies_pb2, schema_pb2, statistics_pb2

from hubline.artifacts.column_statistics import ColumnStatistics, common, missing_share, top_values, type_of
from hubline.artifacts.findings import ColumnDrift
from hubline.core.number_format import shown

_TYPES = {"int": schema_pb2.INT, "float": schema_pb2.FLOAT, "string": schema_pb2.BYTES}
_MEASURES = {
    anomalies_pb2.DriftSkewInfo.Measurement.L_INFTY: "L-infinity distance",
    anomalies_pb2.DriftSkewInfo.Measurement.JENSEN_SHANNON_DIVERGENCE: "Jensen-Shannon divergence",
}
_SHOWN_VALUES, _SHOWN_LENGTH = 3, 30


def compare(
    baseline: Mapping[str, ColumnStatistics], train: Mapping[str, ColumnStatistics], limits: Mapping[str, float]
) -> Iterator[ColumnDrift]:
    """Drift of columns.

    Args:
        baseline: Statistics of the baseline, by column.
        train: Statistics of the training split.
        limits: Maximum distance by column. Columns missing from the training split are skipped.
    """
    pairs = {name: (baseline[name], train[name]) for name in limits if name in train and name in baseline}
    alike = {name: pair for name, pair in pairs.items() if type_of(pair[0]) == type_of(pair[1])}
    measured = _measure(alike)
    for name in sorted(set(limits) & set(train)):
        if name not in baseline:
            reason = "the baseline has no such column"
            yield ColumnDrift(column=name, limit=limits[name], drifted=False, reason=reason)
        elif name not in alike:
            before, now = map(type_of, pairs[name])
            yield ColumnDrift(column=name, limit=limits[name], drifted=True, reason=f"type {now}, was {before}")
        else:
            yield _drift(name, *alike[name], measured.get(name), limits[name])


def _measure(
    pairs: Mapping[str, tuple[ColumnStatistics, ColumnStatistics]],
) -> dict[str, anomalies_pb2.DriftSkewInfo.Measurement]:
    """TFDV's distance for each column; missing for columns without values in either."""
    schema = schema_pb2.Schema()
    for name, (column, _) in pairs.items():
        if type_of(column) in _TYPES:
            feature = schema.feature.add(name=name, type=_TYPES[type_of(column)])
            comparator = feature.drift_comparator
            # TFDV measures only columns with a threshold; the caller decides whether the distance is too large.
            text = type_of(column) == "string"
            (comparator.infinity_norm if text else comparator.jensen_shannon_divergence).threshold = 1.0
    if not schema.feature:
        return {}
    before, now = (_statistics(pair[index] for pair in pairs.values()) for index in (0, 1))
    found = tfdv.validate_statistics(now, schema, previous_statistics=before)
    return {info.path.step[0]: info.drift_measurements[0] for info in found.drift_skew_info}


def _statistics(columns: Iterable[ColumnStatistics]) -> statistics_pb2.DatasetFeatureStatisticsList:
    features = list(columns)
    count = max((common(column).num_non_missing + common(column).num_missing for column in features), default=0)
    dataset = statistics_pb2.DatasetFeatureStatistics(num_examples=count, features=features)
    return statistics_pb2.DatasetFeatureStatisticsList(datasets=[dataset])


def _drift(name: str, before: ColumnStatistics, now: ColumnStatistics, measurement, limit: float) -> ColumnDrift:
    measure = _MEASURES[measurement.type] if measurement else None
    distance = float(measurement.value) if measurement else None
    missing = missing_share(before), missing_share(now)
    parts = [f"{measure} {distance:.4g}" if measurement else "no values to compare", f"limit {limit:g}"]
    parts.append(f"{_numbers(now)}, was {_numbers(before)}")
    return ColumnDrift(
        column=name,
        measure=measure,
        distance=distance,
        missing=missing,
        limit=limit,
        drifted=(distance or 0.0) > limit or abs(missing[1] - missing[0]) > limit,
        reason="; ".join(parts),
    )


def _numbers(column: ColumnStatistics) -> str:
    """For example `mean 0.4287, std 0.2133, missing 1.2 %`, or `red 61.5 %, blue 38.5 %, missing 0.0 %`."""
    parts = [f"missing {missing_share(column):.1%}"]
    if column.WhichOneof("stats") == "num_stats":
        mean, deviation = (shown(value, least=4) for value in (column.num_stats.mean, column.num_stats.std_dev))
        parts = [f"mean {mean}", f"std {deviation}", *parts]
    else:
        values = max(common(column).tot_num_values, 1)
        parts = [
            f"{value} {count / values:.1%}" for value, count in top_values(column, _SHOWN_VALUES, _SHOWN_LENGTH)
        ] + parts
    return ", ".join(parts)
