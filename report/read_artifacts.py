"""Reads the artifacts of a run for its report."""

import json
from collections import Counter
from collections.abc import Mapping
from itertools import chain, islice
from math import isfinite
from typing import Any

from tensorflow_metadata.proto.v0 import anomalies_pb2, statistics_pb2

from hubline.artifacts import quarantine
from hubline.artifacts.column_statistics import (
    STATISTICS,
    ColumnStatistics,
    nan_count,
    present,
    read_statistics,
    records,
    top_values,
    type_of,
)
from hubline.artifacts.embedded_rows import EmbeddedRows
from hubline.artifacts.examples import Manifest
from hubline.artifacts.findings import BASELINE, DataFindings
from hubline.artifacts.names import ANOMALIES_FILE, TRIED_FILE
from hubline.artifacts.quarantine import read_quarantine
from hubline.artifacts.serving_check import ServingCheckResult
from hubline.artifacts.splits import ALL, SPLITS
from hubline.artifacts.unread_dates import UnreadDates
from hubline.core import storage
from hubline.report.contents import Anomaly, Artifacts, Column, DriftedColumn, Findings, Quarantine, SplitStatistics
from hubline.report.predictions import summarize, with_pictures
from hubline.trainer.hub_trial import TrialResult
from hubline.trainer.training_notes import FILE as NOTES
from hubline.trainer.training_notes import Notes
from hubline.trainer.tuning.results import read_trials

_SHOWN_RECORDS = 100
_SHOWN_REASONS = 20
_SHOWN_VALUES = 10
_SHOWN_LENGTH = 200
"""Maximum length of a text value."""


def read(artifacts: Artifacts) -> Findings:
    """Contents of the artifacts that exist."""
    curves = f"{artifacts.model_run}/curves.json"
    predictions = summarize(artifacts.evaluation) if artifacts.evaluation else None
    if predictions and artifacts.examples:
        predictions = with_pictures(predictions, artifacts.examples)
    found = DataFindings.read(artifacts.anomalies) if artifacts.anomalies else DataFindings()
    graph = artifacts.transform_graph
    notes = _training_notes(artifacts.model_run) if artifacts.model_run else Notes()
    statistics = _statistics(artifacts.statistics) if artifacts.statistics else {}
    return Findings(
        counts=_counts(artifacts) if artifacts.examples else {},
        left_out=Manifest.read(str(artifacts.examples)).left_out if artifacts.examples else {},
        quarantine=_quarantine(artifacts),
        columns=_columns(statistics),
        anomalies=_anomalies(artifacts.anomalies) if artifacts.anomalies else None,
        findings=(*found.findings, *(UnreadDates.read(graph).findings if graph else ())),
        trials=read_trials(artifacts.tuner_results) if artifacts.tuner_results else None,
        drift=_drift(found, str(artifacts.anomalies), statistics),
        curves=_json(curves) if artifacts.model_run and storage.exists(curves) else {},
        module_warnings=module_warnings(artifacts.modules),
        training_notes=[note.text for note in notes.notes],
        parameters=[(each.part, each.trainable, each.frozen) for each in notes.parameters],
        predictions=predictions,
        serving_check=ServingCheckResult.read(artifacts.serving_check) if artifacts.serving_check else None,
    )


def module_warnings(modules: Mapping[str, str]) -> list[str]:
    """Problems found when hub modules were tried out, one line each.

    Args:
        modules: Artifact of each module, by module name.
    """
    tried = {name: TrialResult.model_validate(_json(f"{uri}/{TRIED_FILE}")) for name, uri in modules.items()}
    return [f"hubs.{name}: {warning}" for name, each in tried.items() for warning in each.warnings]


def _json(path: str) -> Any:
    with storage.open_binary(path) as file:
        return json.load(file)


def _training_notes(model_run: str) -> Notes:
    """The Trainer's notes; artifacts of older versions have none."""
    path = f"{model_run}/{NOTES}"
    return Notes.model_validate(_json(path)) if storage.exists(path) else Notes()


def _counts(artifacts: Artifacts) -> dict[str, int]:
    """Records by split and quarantined records; each ingested record counts once."""
    manifest = Manifest.read(str(artifacts.examples))
    counts, set_aside = manifest.counts, manifest.quarantined
    if artifacts.rows:
        rows = EmbeddedRows.read(artifacts.rows)
        undecodable = {split: len(rows.undecodable(split)) for split in SPLITS}
        counts = {split: count - undecodable[split] for split, count in counts.items()}
        set_aside += sum(undecodable.values())
    return counts | ({"quarantine": set_aside} if set_aside else {})


def _quarantine(artifacts: Artifacts) -> Quarantine:
    at_ingestion = f"{artifacts.examples}/{quarantine.FILE}"
    at_decoding = f"{artifacts.rows}/{quarantine.FILE}"
    reasons: Counter[str] = Counter(record.reason for record in read_quarantine(at_ingestion))
    ingested = reasons.total()
    reasons.update(record.reason for record in read_quarantine(at_decoding))
    return Quarantine(
        total=reasons.total(),
        undecodable=reasons.total() - ingested,
        reasons=reasons.most_common(_SHOWN_REASONS),
        first=list(islice(chain(read_quarantine(at_ingestion), read_quarantine(at_decoding)), _SHOWN_RECORDS)),
    )


def _anomalies(uri: str) -> list[Anomaly]:
    found = []
    for split in SPLITS:
        path = f"{uri}/Split-{split}/{ANOMALIES_FILE}"
        if not storage.exists(path):
            continue
        with storage.open_binary(path) as file:
            anomalies = anomalies_pb2.Anomalies.FromString(file.read())
        for column, info in sorted(anomalies.anomaly_info.items()):
            found.append(Anomaly(split, column, info.description))
        if anomalies.HasField("dataset_anomaly_info"):
            found.append(Anomaly(split, "", anomalies.dataset_anomaly_info.description))
    return found


Statistics = dict[str, dict[str, ColumnStatistics]]
"""By column and split."""


def _statistics(uri: str) -> Statistics:
    found: Statistics = {}
    for split in (*SPLITS, ALL):
        path = f"{uri}/Split-{split}/{STATISTICS}"
        for name, column in (read_statistics(path) if storage.exists(path) else {}).items():
            found.setdefault(name, {})[split] = column
    return dict(sorted(found.items()))


def _columns(statistics: Statistics) -> list[Column]:
    return [_column(name, by_split) for name, by_split in statistics.items()]


def _drift(found: DataFindings, anomalies: str, statistics: Statistics) -> list[DriftedColumn] | None:
    """Drift by column, the strongest first."""
    if found.drift is None:
        return None
    baseline = read_statistics(f"{anomalies}/{BASELINE}")
    drifted = []
    for drift in sorted(found.drift, key=lambda drift: (not drift.drifted, -(drift.distance or 0.0))):
        by_split = {"train": statistics[drift.column]["train"]}
        if drift.missing:
            by_split = {"baseline": baseline[drift.column]} | by_split
        drifted.append(DriftedColumn(drift, _column(drift.column, by_split)))
    return drifted


def _column(name: str, by_split: dict[str, ColumnStatistics]) -> Column:
    *_, type_now = map(type_of, by_split.values())
    return Column(name, type_now, [_split_statistics(split, column) for split, column in by_split.items()])


def _split_statistics(split: str, column: ColumnStatistics) -> SplitStatistics:
    return SplitStatistics(
        split=split,
        count=present(column),
        missing=records(column) - present(column),
        figures=_figures(column),
        buckets=[
            (bucket.low_value, bucket.high_value, bucket.sample_count)
            for histogram in column.num_stats.histograms
            if histogram.type == statistics_pb2.Histogram.STANDARD
            for bucket in histogram.buckets
            if isfinite(bucket.low_value) and isfinite(bucket.high_value)
        ],
        top=top_values(column, _SHOWN_VALUES, _SHOWN_LENGTH),
    )


def _figures(column: ColumnStatistics) -> dict[str, float]:
    match column.WhichOneof("stats"):
        case "num_stats":
            numbers = column.num_stats
            own = int if type_of(column) == "int" else float  # identifiers and codes with all their digits
            return {
                "min": own(numbers.min),
                "mean": numbers.mean,
                "median": numbers.median,
                "max": own(numbers.max),
                "std": numbers.std_dev,
                "zeros": numbers.num_zeros,
            } | ({"NaN": nan_count(column)} if type_of(column) == "float" else {})
        case "string_stats":
            strings = column.string_stats
            return {"unique": strings.unique, "mean length": strings.avg_length}
        case "bytes_stats":
            sizes = column.bytes_stats
            return {
                "unique": sizes.unique,
                "min bytes": sizes.min_num_bytes,
                "mean bytes": sizes.avg_num_bytes,
                "max bytes": sizes.max_num_bytes,
            }
    return {}
