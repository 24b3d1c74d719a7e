"""Artifact types of Kubeflow Pipelines that its dashboard renders.

Their contents: https://github.com/kubeflow/pipelines/blob/master/sdk/python/kfp/dsl/types/artifact_types.py
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from tfx.types import artifact, value_artifact

from hubline.core import storage
from hubline.report.labels.predictions import Roc

_POINTS = 200
"""Maximum points of a curve. More would not be visible, and a curve is stored in one database row."""

SHOWN_CLASSES = 40
"""Maximum classes of a confusion matrix. The dashboard renders each count as a table cell and redraws the table every
ten seconds: 100 classes took 5.7 s, 300 took 24.6 s and 10.5 MiB of metadata (KFP 2.17 in Chromium)."""

_PREVIEW_BYTES, _PREVIEW_LINES, _PREVIEW_COLUMNS = 255, 20, 42


class _Text(value_artifact.ValueArtifact):
    """A UTF-8 text in the single file at the artifact's `uri`."""

    def encode(self, value: str) -> bytes:
        return value.encode()

    def decode(self, serialized_value: bytes) -> str:
        return serialized_value.decode()


class Metrics(_Text):
    """Scalar metrics, stored as custom properties. The file's text is the dashboard's preview."""

    TYPE_NAME = "system.Metrics"


class ClassificationMetrics(_Text):
    """A confusion matrix and a ROC curve, stored as custom properties. The file's text is the dashboard's preview."""

    TYPE_NAME = "system.ClassificationMetrics"


class Html(_Text):
    TYPE_NAME = "system.HTML"


class Markdown(_Text):
    TYPE_NAME = "system.Markdown"


def show(made: artifact.Artifact, name: str, text: str) -> None:
    """Writes an artifact's text, and sets the display name that the dashboard shows instead of the output's key."""
    made.set_string_custom_property("display_name", name)
    # Not with `write`, which adds a property `__is_null__` that the dashboard would list as a metric.
    storage.write_text(made.uri, text)


def preview(lines: Iterable[str]) -> str:
    """The first lines of a text, cut to the size of the dashboard's preview.

    The frontend reads 255 bytes (`PREVIEW_DATA_MAXLEN`) and shows 20 lines of about 42 columns:
    https://github.com/kubeflow/pipelines/blob/master/frontend/src/components/ArtifactPreview.tsx
    """
    text = ""
    for line in islice(lines, _PREVIEW_LINES):
        longer = f"{text}{line[:_PREVIEW_COLUMNS]}\n"
        if len(longer.encode()) > _PREVIEW_BYTES:
            break
        text = longer
    return text


def confusion_matrix(classes: list[str], counts: np.ndarray) -> dict[str, Any]:
    """A confusion matrix in the dashboard's format, limited to the most confused classes, in their original order.

    Args:
        classes: Class names.
        counts: int64 of shape [true class, predicted class].
    """
    confused = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    shown = np.sort(np.argsort(-confused, kind="stable")[:SHOWN_CLASSES])
    return {
        "annotationSpecs": [{"displayName": classes[number]} for number in shown],
        "rows": [{"row": row} for row in counts[np.ix_(shown, shown)].tolist()],
    }


def confidence_metrics(roc: Roc) -> list[dict[str, float]]:
    """A ROC curve in the dashboard's format, by ascending false positive rate; long curves are thinned."""
    places = np.unique(np.linspace(0, len(roc.thresholds) - 1, _POINTS).round().astype(int))
    columns = {
        "confidenceThreshold": roc.thresholds,
        "falsePositiveRate": roc.false_positives,
        "recall": roc.true_positives,
    }
    points = zip(*(column[places].tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, point, strict=True)) for point in points]
