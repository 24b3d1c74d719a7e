"""Kubeflow Pipelines' own types of artifacts, which its dashboard draws.

What each of them holds: https://github.com/kubeflow/pipelines/blob/master/sdk/python/kfp/dsl/types/artifact_types.py
"""

from typing import Any

import numpy as np
from tfx.types import artifact, value_artifact

from components.report.contents import Roc

_POINTS = 200
"""Of a curve; more do not show, and the whole of it stands in one row of a database."""


class Metrics(artifact.Artifact):
    """Named numbers, which are its custom properties."""

    TYPE_NAME = "system.Metrics"


class ClassificationMetrics(artifact.Artifact):
    """A confusion matrix and a ROC curve, which are its custom properties."""

    TYPE_NAME = "system.ClassificationMetrics"


class Html(value_artifact.ValueArtifact):
    """A page: the one file at its `uri`."""

    TYPE_NAME = "system.HTML"

    def encode(self, value: str) -> bytes:
        """The page as UTF-8."""
        return value.encode()

    def decode(self, serialized_value: bytes) -> str:
        """The page of UTF-8."""
        return serialized_value.decode()


def confusion_matrix(classes: list[str], counts: np.ndarray) -> dict[str, Any]:
    """A confusion matrix as the dashboard takes it.

    Args:
        classes: Their names.
        counts: int64 of shape [true class, predicted class].
    """
    return {
        "annotationSpecs": [{"displayName": name} for name in classes],
        "rows": [{"row": row} for row in counts.tolist()],
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
