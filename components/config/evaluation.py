"""The types of `evaluation` in the pipeline file."""

import math
from typing import Annotated, Literal

from pydantic import Field, model_validator

from hubline.core.config_base import Section
from hubline.trainer.metric_names import _RANGES, METRICS, Metric


class Threshold(Section):
    """What a metric on the test split must reach for the model to be blessed."""

    at_least: float | None = None
    """The smallest value that passes."""
    at_most: float | None = None
    """The greatest value that passes."""
    no_worse_than_serving_by: float | None = Field(default=None, ge=0.0)
    """How much worse than the version that now serves it may be. Not applied while nothing serves."""
    every_slice: bool = False
    """Whether each slice of `evaluation.slices` is held to it too."""

    @model_validator(mode="after")
    def _says_something(self) -> "Threshold":
        if self.at_least is None and self.at_most is None and self.no_worse_than_serving_by is None:
            raise ValueError("say at_least, at_most or no_worse_than_serving_by")
        if self.at_least is not None and self.at_most is not None and self.at_least > self.at_most:
            raise ValueError(f"at_least ({self.at_least:g}) is above at_most ({self.at_most:g}): nothing can pass")
        return self


class Evaluation(Section):
    """How a trained model is judged, on the test split alone."""

    metrics: tuple[Metric, ...] = Field(default=(), examples=[["accuracy", "cross_entropy"]])
    """What is computed and shown; what `thresholds` names is computed besides. A class can have accuracy,
    cross_entropy, auc and top_3_accuracy; a binary label the first three, and precision, recall and f1 of its second
    class; a multilabel f1, precision and recall over all classes together, macro_f1 and auc by class in the mean,
    cross_entropy, and exact_match, the share of records of which every class is right; a regression rmse, mae and r2. A
    class and a box can have what a class has, and mean_iou, the area that true and predicted box have in common by that
    which they cover together, in the mean over records; and iou_50, the share of records of which it is a half or more.
    Pixels can have mean_iou, the pixels that are of a class and told to be by those that are one of the two, over all
    records, in the mean of the classes; and pixel_accuracy. Where this is absent, it is accuracy and cross_entropy, of
    a multilabel f1 and macro_f1, of a regression rmse and mae, of a class and a box mean_iou and accuracy, of pixels
    both of theirs."""
    thresholds: dict[Metric, Threshold] = Field(default={}, examples=[{"accuracy": {"at_least": 0.9}}])
    """By metric. Where this is absent, the first metric of the label may not be worse than that of the version that
    serves; where it is empty, every model is blessed."""
    slices: tuple[Annotated[tuple[str, ...], Field(min_length=1)], ...] = Field(default=(), examples=[[["hour"]]])
    """Columns of the records, alone or several together, by whose values the metrics are taken apart."""
    slice_min_examples: int = Field(default=1, ge=1)
    """Slices with fewer records are shown, and held to no threshold."""
    baseline: Literal["beat", "ignore"] = "beat"
    """Whether a model must be better, beyond chance, than the best answer that is always the same: the shares of the
    training split's classes or the most frequent one, the mean or median, the median box, the most frequent class of a
    pixel. What that comes to is shown in any case."""

    def of_label(self, kind: str) -> "Evaluation":
        """The same with what is absent as it is for a kind of label."""
        first, second, *_ = METRICS[kind]
        absent = {"metrics": (first, second), "thresholds": {first: Threshold(no_worse_than_serving_by=0.0)}}
        return self.model_copy(update={key: absent[key] for key in absent.keys() - self.model_fields_set})

    def misfits(self, kind: str) -> dict[tuple[str | int, ...], str]:
        """The metrics that do not fit a kind of label, and bounds outside a metric's range: where each stands, and what
        would be right."""
        places: dict[tuple[str | int, ...], Metric] = {("metrics", n): metric for n, metric in enumerate(self.metrics)}
        places |= {("thresholds", metric): metric for metric in self.thresholds}
        fit = METRICS[kind]
        strangers = {
            place: f"{metric} does not fit a label of kind {kind}; these do: {', '.join(fit)}"
            for place, metric in places.items()
            if metric not in fit
        }
        return strangers | self._out_of_range()

    def _out_of_range(self) -> dict[tuple[str | int, ...], str]:
        """Bounds that no value of their metric reaches, or none can miss."""
        mistakes: dict[tuple[str | int, ...], str] = {}
        for metric, threshold in self.thresholds.items():
            low, high = _RANGES.get(metric, (0.0, 1.0))
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
        """The columns that `slices` names, each once."""
        return sorted({column for columns in self.slices for column in columns})
