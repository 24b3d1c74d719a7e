"""Types of the `evaluation` section."""

import math
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hubline.core.config_base import Section
from hubline.trainer.labels.parts import TRAINING
from hubline.trainer.metric_names import Metric, MetricName, class_fault, family_of


class Threshold(Section):
    """Requirements on a metric of the test split that a model must meet to be blessed."""

    at_least: float | None = None
    """Lowest value that passes."""
    at_most: float | None = None
    """Highest value that passes."""
    no_worse_than_serving_by: float | None = Field(default=None, ge=0.0)
    """How much worse the metric may be than that of the version in serving. Ignored while nothing is in serving."""
    every_slice: bool = False
    """Whether every slice of `evaluation.slices` must meet the threshold too."""

    @model_validator(mode="after")
    def _says_something(self) -> "Threshold":
        if self.at_least is None and self.at_most is None and self.no_worse_than_serving_by is None:
            raise ValueError("set at_least, at_most or no_worse_than_serving_by")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least ({self.at_least:g}) is above at_most ({self.at_most:g}): no value can pass")
        return self


class Evaluation(Section):
    """How a trained model is evaluated. Only the test split is used."""

    metrics: tuple[Metric, ...] = Field(default=(), examples=[["accuracy", "cross_entropy"]])
    """Metrics to compute and report; metrics named in `thresholds` are computed as well. Metrics by kind of label.
    `class`: accuracy, cross_entropy; top_5_accuracy, with any number below that of the classes; auc, the area under the
    ROC curve, and pr_auc, under the precision-recall curve, averaged over classes; macro_precision, macro_recall and
    macro_f1, averaged over classes; micro_f1; and of one class against the rest, such as `cat`: precision(cat),
    recall(cat), f1(cat), auc(cat), pr_auc(cat). `binary`: the same without top_5_accuracy; precision, recall, f1 and
    pr_auc without a class are those of the second class. `multilabel`: the same without accuracy and top_5_accuracy;
    precision, recall and f1 without a class are micro-averaged; exact_match, the fraction of records with every class
    right; binary_accuracy, the fraction of decisions about a class that are right. `regression`: rmse, mae, r2.
    `class_and_box`: the metrics of `class`; mean_iou, the intersection over union of the true and the predicted box,
    averaged over records; iou_50, the fraction of records with an IoU of at least 0.5. `pixels`: mean_iou, the IoU of
    each class over the pixels of all records, averaged over classes; the IoU of one class, such as iou(road);
    pixel_accuracy. Default: accuracy and cross_entropy; for `multilabel` f1 and macro_f1; for `regression` rmse and
    mae; for `class_and_box` mean_iou and accuracy; for `pixels` mean_iou and pixel_accuracy."""
    thresholds: dict[Metric, Threshold] = Field(default={}, examples=[{"accuracy": {"at_least": 0.9}}])
    """Thresholds by metric. Default: the label's first metric may be no worse than that of the version in serving. An
    empty mapping sets no thresholds."""
    slices: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(default=(), examples=[[["hour"]]])
    """Slices to report metrics for, each a list of one or more columns whose values define the slices."""
    slice_min_examples: int = Field(default=1, ge=1)
    """Slices with fewer examples are reported, but no threshold applies to them."""
    baseline: Literal["beat", "ignore"] = "beat"
    """`beat` requires the model to be better, by more than chance, than the best constant prediction: the class
    distribution or most frequent class of the training split, the mean or median, the median box, or the most frequent
    class of a pixel. The comparison is reported either way."""

    def of_label(self, kind: str) -> "Evaluation":
        """A copy with the defaults of a label kind in place of the keys that the file leaves out."""
        first, second, *_ = TRAINING.of(kind).metrics
        defaults = {"metrics": (first, second), "thresholds": {first: Threshold(no_worse_than_serving_by=0.0)}}
        absent = defaults.keys() - self.model_fields_set
        evaluation = self.model_copy(update={key: defaults[key] for key in absent})
        evaluation.model_fields_set.difference_update(absent)  # with another label, there are other defaults
        return evaluation

    def misfits(self, kind: str, classes: Sequence[str] | None = None) -> dict[tuple[str | int, ...], str]:
        """Errors by key path: metrics that the label kind or its classes don't have, and bounds outside a metric's
        range. `classes` is None if they are not known yet."""
        places: dict[tuple[str | int, ...], Metric] = {("metrics", n): metric for n, metric in enumerate(self.metrics)}
        places |= {("thresholds", metric): metric for metric in self.thresholds}
        fit = TRAINING.of(kind).metrics
        strangers = {
            place: f"{metric} does not fit a label of kind {kind}; these do: {', '.join(fit)}"
            for place, metric in places.items()
            if MetricName.parse(metric).family not in fit
        }
        places = {place: metric for place, metric in places.items() if place not in strangers and classes is not None}
        absent = {place: fault for place, metric in places.items() if (fault := class_fault(metric, classes or ()))}
        return strangers | absent | self._wrong_sides() | self._out_of_range()

    def _wrong_sides(self) -> dict[tuple[str | int, ...], str]:
        """Errors about single bounds that refuse the better models."""
        mistakes: dict[tuple[str | int, ...], str] = {}
        for metric, threshold in self.thresholds.items():
            lower = family_of(metric).lower_is_better
            wrong, right = ("at_least", "at_most") if lower else ("at_most", "at_least")
            if getattr(threshold, wrong) is not None and getattr(threshold, right) is None:
                better = "lower" if lower else "higher"
                mistakes["thresholds", metric, wrong] = (
                    f"a {better} {metric} is better, so that {wrong} refuses the better models; use {right}"
                )
        return mistakes

    def _out_of_range(self) -> dict[tuple[str | int, ...], str]:
        """Errors about bounds that no value of the metric can reach, or that every value meets."""
        mistakes: dict[tuple[str | int, ...], str] = {}
        for metric, threshold in self.thresholds.items():
            low, high = family_of(metric).range
            reach = "at least 0" if high == math.inf else "at most 1" if low == -math.inf else "from 0 to 1"
            for key in ("at_least", "at_most"):
                bound = getattr(threshold, key)
                if bound is not None and not low <= bound <= high:
                    share = f"; {bound:g} % is {bound / 100:g}" if reach == "from 0 to 1" and 2 <= bound <= 100 else ""
                    mistakes["thresholds", metric, key] = f"{metric} is {reach}, and {bound:g} is not{share}"
            allowed = threshold.no_worse_than_serving_by
            if reach == "from 0 to 1" and allowed is not None and allowed > 1:
                mistakes["thresholds", metric, "no_worse_than_serving_by"] = (
                    f"{metric} is {reach}, so that no model is worse by {allowed:g}"
                )
        return mistakes

    @property
    def sliced_by(self) -> list[str]:
        """The distinct columns of `slices`, sorted."""
        return sorted({column for columns in self.slices for column in columns})
