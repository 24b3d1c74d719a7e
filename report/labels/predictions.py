"""Summaries of predictions as plain values, and how the report shows them. Nothing here imports a slow library."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar, Literal

if TYPE_CHECKING:  # a run starts only after this import
    import numpy as np

    from hubline.preprocessing.kinds.image import ImageKind
    from hubline.preprocessing.labels.pixels import PixelsLabel


@dataclass(frozen=True)
class Roc:
    """A one-vs-rest ROC curve of a class."""

    false_positives: "np.ndarray"
    """False positive rates, float32 of shape [thresholds], ascending."""
    true_positives: "np.ndarray"
    """True positive rates, of the same shape."""
    thresholds: "np.ndarray"
    """Score thresholds, of the same shape, descending."""
    auc: float


@dataclass(frozen=True)
class Sample:
    """A test example with its prediction."""

    record: int
    """Index of the record in the test split, from 0."""
    label: str
    """The true label."""
    predicted: str
    score: float
    """Score of the predicted class. For a regression the absolute error; for `multilabel` the binary cross-entropy of
    the record; for `class_and_box` the IoU of the box; for `pixels` the mean IoU of the image."""
    label_score: float | None = None
    """Score of the true class; None for a regression, `multilabel` and `class_and_box`."""
    origin: str = ""
    """The data file it came from."""
    picture: str | None = None
    """A data URI."""
    values: Mapping[str, str] = field(default_factory=dict)
    """The record's other columns, as short texts."""
    boxes: Sequence[Sequence[float]] = ()
    """For `class_and_box`: the true and the predicted box, drawn into the image; top, left, bottom and right as
    fractions.
    """
    mask: bytes | None = None
    """For `pixels`: the predicted mask as a PNG, shown next to the image and the true mask."""


@dataclass(frozen=True)
class ClassCounts:
    """Counts of records by class, int64 of shape [classes]."""

    true: "np.ndarray"
    """Positives."""
    predicted: "np.ndarray"
    """Predicted positives."""
    true_positives: "np.ndarray"
    """True positives."""


@dataclass(frozen=True)
class Predictions:
    """Summary of the predictions on the test split, and how the report shows them."""

    unit: ClassVar[Literal["records", "pixels"]] = "records"
    """What is counted by class."""
    section: ClassVar[tuple[str, str] | None] = None
    """Anchor and title of a section of its own."""
    iou_title: ClassVar[str] = ""
    """Title of the column with the IoU of each class; empty if there is none."""
    worst_title: ClassVar[str] = "Worst: wrong classes with the highest scores"
    none_wrong: ClassVar[str] = "Every record of the test split is predicted correctly."
    """Shown in place of the worst samples if there are none."""
    score_name: ClassVar[str] = ""
    """What the score of a sample is, if it is not that of the predicted class."""
    legend: ClassVar[Literal["", "boxes", "masks"]] = ""
    """What the images of samples show besides the image."""

    right: Sequence[Sample]
    """Some correct predictions: the first of each class. Empty for a regression and `multilabel`."""
    wrong: Sequence[Sample]
    """The worst predictions, worst first: the highest scores for a wrong class, the largest errors, or, for
    `multilabel`, the largest cross-entropies among records with a wrong class."""

    @property
    def charts(self) -> tuple[str, ...]:
        """Names of the charts of the predictions in `charts.OF_PREDICTIONS`."""
        return ()

    @property
    def by_class(self) -> ClassCounts | None:
        """Counts by class; None if the predictions have no classes, or too many to show."""
        return None

    def iou_of(self, index: int) -> float | None:
        """IoU of a class, if the report shows one and it is defined."""
        return None

    @property
    def masks_of(self) -> "tuple[PixelsLabel, ImageKind] | None":
        """For samples with masks: the label, and how its image is fitted."""
        return None


@dataclass(frozen=True)
class PredictionsByClass(Predictions):
    """Predictions of classes."""

    classes: Sequence[str]
    roc: Mapping[int, Roc]
    """By class; classes that all records have, or none, are left out."""
    serving_auc: Mapping[int, float]
    """The same for the version in serving; empty if there is none."""
    overall: Roc | None = field(default=None, kw_only=True)
    """One curve for all: of two classes, that of the second; of more, the micro-average over all classes and
    records."""

    @property
    def charts(self) -> tuple[str, ...]:
        return ("roc",) if self.roc else ()


@dataclass(frozen=True)
class ClassPredictions(PredictionsByClass):
    """Predictions of one class per record."""

    confusion: "np.ndarray | None"
    """Number of records, int64 of shape [true class, predicted class]; None if there are too many classes to show."""

    @property
    def charts(self) -> tuple[str, ...]:
        return (*(("confusion",) if self.confusion is not None else ()), *super().charts)

    @property
    def by_class(self) -> ClassCounts | None:
        matrix = self.confusion
        if matrix is None:
            return None
        return ClassCounts(true=matrix.sum(axis=1), predicted=matrix.sum(axis=0), true_positives=matrix.diagonal())


@dataclass(frozen=True)
class BoxPredictions(ClassPredictions):
    """Predictions of one class and one box per record."""

    section = "boxes", "Boxes"
    iou_title = "Mean IoU"
    worst_title = "Worst: wrong class or IoU below 0.5, lowest IoU first"
    none_wrong = "For every record of the test split the class is correct and the IoU is at least 0.5."
    score_name = "IoU"
    legend = "boxes"

    count: int
    """Number of predictions."""
    several: int
    """Number of records with several ground-truth objects."""
    iou: "np.ndarray"
    """Number of records per IoU bin, int64 of shape [bins]; bins are equally wide from 0 to 1."""
    mean_iou: Mapping[int, float]
    """By true class; classes without records are left out."""

    @property
    def charts(self) -> tuple[str, ...]:
        return (*super().charts, "overlap")

    def iou_of(self, index: int) -> float | None:
        return self.mean_iou.get(index)


@dataclass(frozen=True)
class PixelPredictions(ClassPredictions):
    """Predictions of one class per pixel; counts by class are counts of pixels."""

    unit = "pixels"
    iou_title = "IoU"
    worst_title = "Worst: lowest mean IoU of the image"
    none_wrong = "No record of the test split has labelled pixels."
    score_name = "mean IoU"
    legend = "masks"

    iou: "np.ndarray"
    """By class, float64 of shape [classes]; NaN for a class that is neither true nor predicted anywhere."""
    label: "PixelsLabel"
    """The label."""
    feature: "ImageKind"
    """How images are fitted."""

    def iou_of(self, index: int) -> float | None:
        iou = float(self.iou[index])
        return None if math.isnan(iou) else iou

    @property
    def masks_of(self) -> "tuple[PixelsLabel, ImageKind] | None":
        return self.label, self.feature


@dataclass(frozen=True)
class MultilabelPredictions(PredictionsByClass):
    """Predictions of any number of classes per record."""

    worst_title = "Worst: wrong classes with the highest cross-entropy"
    score_name = "cross-entropy"

    counts: ClassCounts

    @property
    def by_class(self) -> ClassCounts | None:
        return self.counts


@dataclass(frozen=True)
class ValuePredictions(Predictions):
    """Predictions of numbers, in the units of the label."""

    section = "values", "Values"
    worst_title = "Worst: largest errors"
    none_wrong = "The test split has no records."
    score_name = "error"

    count: int
    """Number of predictions."""
    true: "np.ndarray"
    """True values of some records, spread evenly over the split: float64 of shape [records]."""
    predicted: "np.ndarray"
    """Predicted values of the same records."""

    @property
    def charts(self) -> tuple[str, ...]:
        return "values", "residuals"
