"""Reads what the artifacts of a run hold for its report."""

import json
from collections import Counter
from collections.abc import Iterator
from itertools import chain, islice
from typing import Any, TypeVar

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from components import quarantine, storage
from components.config import SPLITS
from components.embedder.manifest import Rows
from components.example_gen.manifest import Manifest
from components.quarantine import read_set_aside
from components.report.contents import (
    Anomaly,
    Artifacts,
    Column,
    Findings,
    Quarantine,
    SplitStatistics,
)
from components.report.predictions import summarize, with_pictures

_SHOWN_RECORDS = 100
_SHOWN_REASONS = 20
_SHOWN_VALUES = 10
_SHOWN_LENGTH = 200
"""Characters of a text value."""

_NOT_TEXT = "__BYTES_VALUE__"
"""What TFDV puts in the place of a value that is not UTF-8, such as an image."""


def read(artifacts: Artifacts) -> Findings:
    """What the artifacts hold; of those that are not there, nothing."""
    curves = f"{artifacts.model_run}/curves.json"
    predictions = summarize(artifacts.evaluation) if artifacts.evaluation else None
    if predictions and artifacts.examples:
        predictions = with_pictures(predictions, artifacts.examples)
    return Findings(
        counts=_counts(artifacts) if artifacts.examples else {},
        quarantine=_quarantine(artifacts),
        columns=_columns(artifacts.statistics) if artifacts.statistics else (),
        anomalies=_anomalies(artifacts.anomalies) if artifacts.anomalies else None,
        curves=_json(curves) if artifacts.model_run and storage.exists(curves) else {},
        predictions=predictions,
    )


def _json(path: str) -> Any:
    with storage.open_binary(path) as file:
        return json.load(file)


Message = TypeVar("Message", statistics_pb2.DatasetFeatureStatisticsList, anomalies_pb2.Anomalies)


def _by_split(uri: str, name: str, message: type[Message]) -> Iterator[tuple[str, Message]]:
    """The protos of the splits in an artifact, in the order of `SPLITS`."""
    for split in SPLITS:
        path = f"{uri}/Split-{split}/{name}"
        if storage.exists(path):
            with storage.open_binary(path) as file:
                yield split, message.FromString(file.read())


def _counts(artifacts: Artifacts) -> dict[str, int]:
    """Records by split, and those that were set aside: each that came in counts once."""
    manifest = Manifest.read(str(artifacts.examples))
    counts, set_aside = manifest.counts, manifest.quarantined
    if artifacts.rows:
        rows = Rows.read(artifacts.rows)
        undecodable = {split: len(rows.undecodable(split)) for split in SPLITS}
        counts = {split: count - undecodable[split] for split, count in counts.items()}
        set_aside += sum(undecodable.values())
    return counts | ({"quarantine": set_aside} if set_aside else {})


def _quarantine(artifacts: Artifacts) -> Quarantine:
    at_ingestion = f"{artifacts.examples}/{quarantine.FILE}"
    at_decoding = f"{artifacts.rows}/{quarantine.FILE}"
    reasons: Counter[str] = Counter(record.reason for record in read_set_aside(at_ingestion))
    ingested = reasons.total()
    reasons.update(record.reason for record in read_set_aside(at_decoding))
    return Quarantine(
        total=reasons.total(),
        undecodable=reasons.total() - ingested,
        reasons=reasons.most_common(_SHOWN_REASONS),
        first=list(islice(chain(read_set_aside(at_ingestion), read_set_aside(at_decoding)), _SHOWN_RECORDS)),
    )


def _anomalies(uri: str) -> list[Anomaly]:
    found = []
    for split, anomalies in _by_split(uri, "SchemaDiff.pb", anomalies_pb2.Anomalies):
        for column, info in sorted(anomalies.anomaly_info.items()):
            found.append(Anomaly(split, column, info.description))
        if anomalies.HasField("dataset_anomaly_info"):
            found.append(Anomaly(split, "", anomalies.dataset_anomaly_info.description))
    return found


def _columns(uri: str) -> list[Column]:
    types: dict[str, str] = {}
    splits: dict[str, list[SplitStatistics]] = {}
    for split, statistics in _by_split(uri, "FeatureStats.pb", statistics_pb2.DatasetFeatureStatisticsList):
        for feature in statistics.datasets[0].features:
            name = feature.name or ".".join(feature.path.step)
            types[name] = statistics_pb2.FeatureNameStatistics.Type.Name(feature.type).lower()
            splits.setdefault(name, []).append(_split_statistics(split, feature))
    return [Column(name, types[name], splits[name]) for name in sorted(splits)]


def _split_statistics(split: str, feature: statistics_pb2.FeatureNameStatistics) -> SplitStatistics:
    stats = getattr(feature, feature.WhichOneof("stats"))
    common = stats if isinstance(stats, statistics_pb2.CommonStatistics) else stats.common_stats
    return SplitStatistics(
        split=split,
        count=common.num_non_missing,
        missing=common.num_missing,
        figures=_figures(feature),
        buckets=[
            (bucket.low_value, bucket.high_value, bucket.sample_count)
            for histogram in feature.num_stats.histograms
            if histogram.type == statistics_pb2.Histogram.STANDARD
            for bucket in histogram.buckets
        ],
        top=[
            (value.value[:_SHOWN_LENGTH], value.frequency)
            for value in feature.string_stats.top_values[:_SHOWN_VALUES]
            if value.value != _NOT_TEXT
        ],
    )


def _figures(feature: statistics_pb2.FeatureNameStatistics) -> dict[str, float]:
    match feature.WhichOneof("stats"):
        case "num_stats":
            numbers = feature.num_stats
            return {
                "min": numbers.min,
                "mean": numbers.mean,
                "median": numbers.median,
                "max": numbers.max,
                "std": numbers.std_dev,
                "zeros": numbers.num_zeros,
            }
        case "string_stats":
            strings = feature.string_stats
            return {"unique": strings.unique, "mean length": strings.avg_length}
        case "bytes_stats":
            sizes = feature.bytes_stats
            return {
                "unique": sizes.unique,
                "min bytes": sizes.min_num_bytes,
                "mean bytes": sizes.avg_num_bytes,
                "max bytes": sizes.max_num_bytes,
            }
    return {}
