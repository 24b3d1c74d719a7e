"""Kubeflow Pipelines' own types of artifacts, which its dashboard draws.

What each of them holds: https://github.com/kubeflow/pipelines/blob/master/sdk/python/kfp/dsl/types/artifact_types.py
"""

from collections.abc import Iterable
from itertools import islice
from typing import Any

import numpy as np
from tfx.types import artifact, value_artifact

from hubline.core import storage
from hubline.report.contents import Roc

_POINTS = 200
"""Of a curve; more do not show, and the whole of it stands in one row of a database."""

SHOWN_CLASSES = 40
"""Of a confusion matrix. The dashboard makes a table cell of each count and draws the table anew every ten seconds: 100
classes took it 5.7 s, 300 took 24.6 s and 10.5 MiB of metadata (KFP 2.17 in Chromium)."""

_PREVIEW_BYTES, _PREVIEW_LINES, _PREVIEW_COLUMNS = 255, 20, 42


class _Text(value_artifact.ValueArtifact):
    """A text in UTF-8: the one file at its `uri`."""

    def encode(self, value: str) -> bytes:
        """The text as UTF-8."""
        return value.encode()

    def decode(self, serialized_value: bytes) -> str:
        """The text of UTF-8."""
        return serialized_value.decode()


class Metrics(_Text):
    """Named numbers, which are its custom properties; its text is what the dashboard previews."""

    TYPE_NAME = "system.Metrics"


class ClassificationMetrics(_Text):
    """A confusion matrix and a ROC curve, which are its custom properties; its text is what the dashboard previews."""

    TYPE_NAME = "system.ClassificationMetrics"


class Html(_Text):
    """A page."""

    TYPE_NAME = "system.HTML"


class Markdown(_Text):
    """A text in Markdown."""

    TYPE_NAME = "system.Markdown"


def show(made: artifact.Artifact, name: str, text: str) -> None:
    """Writes the text of an artifact, and gives it the name that the dashboard shows in place of the output's key."""
    made.set_string_custom_property("display_name", name)
    # Not by `write`, whose property `__is_null__` the dashboard would show among the metrics.
    storage.write_text(made.uri, text)


def preview(lines: Iterable[str]) -> str:
    """The first lines of a text, as much of it as the dashboard's preview shows.

    The frontend reads 255 bytes (`PREVIEW_DATA_MAXLEN`) and shows 20 lines of some 42 columns:
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
    """A confusion matrix as the dashboard takes it: of many classes, those that are confused most, in their order.

    Args:
        classes: Their names.
        counts: int64 of shape [true class, predicted class].
    """
    confused = counts.sum(axis=0) + counts.sum(axis=1) - 2 * counts.diagonal()
    shown = np.sort(np.argsort(-confused, kind="stable")[:SHOWN_CLASSES])
    return {
        "annotationSpecs": [{"displayName": classes[number]} for number in shown],
        "rows": [{"row": row} for row in counts[np.ix_(shown, shown)].tolist()],
    }


def confidence_metrics(roc: Roc) -> list[dict[str, float]]:
    """A ROC curve as the dashboard takes it, in ascending order of false positives, thinned out where it is long."""
    places = np.unique(np.linspace(0, len(roc.thresholds) - 1, _POINTS).round().astype(int))
    columns = {
        "confidenceThreshold": roc.thresholds,
        "falsePositiveRate": roc.false_positives,
        "recall": roc.true_positives,
    }
    points = zip(*(column[places].tolist() for column in columns.values()), strict=True)
    return [dict(zip(columns, point, strict=True)) for point in points]
