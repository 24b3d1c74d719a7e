"""Names of the evaluation metrics."""

import math
from typing import Literal

Metric = Literal[
    "accuracy", "cross_entropy", "auc", "top_3_accuracy", "precision", "recall", "f1", "macro_f1", "exact_match",
    "rmse", "mae", "r2", "mean_iou", "iou_50", "pixel_accuracy",
]  # fmt: skip


RANGES: dict[Metric, tuple[float, float]] = {
    "cross_entropy": (0.0, math.inf),
    "rmse": (0.0, math.inf),
    "mae": (0.0, math.inf),
    "r2": (-math.inf, 1.0),
}
"""Ranges of metrics that are not fractions from 0 to 1."""


LOWER_IS_BETTER: frozenset[Metric] = frozenset({"cross_entropy", "rmse", "mae"})
