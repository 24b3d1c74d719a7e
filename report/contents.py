"""What the report of a run shows, in plain values. Nothing here imports a library that takes time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from hubline.artifacts.decision import Decision
from hubline.artifacts.findings import ColumnDrift, Finding
from hubline.artifacts.quarantine import SetAside

if TYPE_CHECKING:  # a run's start waits for this module
    import numpy as np

    from hubline.preprocessing.kinds.image import Pictures
    from hubline.preprocessing.labels.pixels import PixelsLabel

PAGE = "index.html"
"""The name of the report's file."""


@dataclass(frozen=True)
class Artifacts:
    """The folders of the artifacts that the report reads; None where the run did not come so far."""

    examples: str | None = None
    rows: str | None = None
    statistics: str | None = None
    anomalies: str | None = None
    transform_graph: str | None = None
    model_run: str | None = None
    evaluation: str | None = None
    modules: Mapping[str, str] = field(default_factory=dict)
    """The artifact of each hub module, by the module's name."""


@dataclass(frozen=True)
class StepTime:
    """How long a step took, or that its earlier result was taken."""

    id: str
    seconds: float
    cached: bool


@dataclass(frozen=True)
class RunReport:
    """A run, as far as it came."""

    name: str
    """The pipeline's."""
    file: str | None
    """The path of the pipeline file."""
    began: datetime
    seconds: float | None
    status: str
    """`succeeded`, `blessed` (before it is pushed), `not_blessed`, `failed` or `interrupted`."""
    steps: Sequence[StepTime] = ()
    failed_step: str | None = None
    error: str | None = None
    decision: Decision | None = None
    pushed_model: str | None = None
    newly_pushed: bool = False
    log: str | None = None
    artifacts: Artifacts = Artifacts()


@dataclass(frozen=True)
class SplitStatistics:
    """What TFDV found in a column of one split."""

    split: str
    count: int
    """Records that have a value in the column."""
    missing: int
    """Records that have none; NaN is none."""
    figures: Mapping[str, float]
    """What is known of the values, by its name; which figures there are depends on the column's type."""
    buckets: Sequence[tuple[float, float, float]] = ()
    """The histogram of a column of numbers: the bounds of each bucket, and how many values are in it."""
    top: Sequence[tuple[str, float]] = ()
    """The most frequent values of a column of strings, and how often each is there."""


@dataclass(frozen=True)
class Column:
    """A column of the data, by split."""

    name: str
    type: str
    splits: Sequence[SplitStatistics]


@dataclass(frozen=True)
class Anomaly:
    """One way in which a split does not fit the schema."""

    split: str
    column: str
    """Empty where it is the split as a whole."""
    description: str


@dataclass(frozen=True)
class Drifted:
    """How far a column of the training split is from the baseline."""

    drift: ColumnDrift
    column: Column
    """Its statistics, as splits: `baseline`, where it has the column, and `train`."""


@dataclass(frozen=True)
class Quarantine:
    """The records that were set aside."""

    total: int = 0
    undecodable: int = 0
    """Those of them that ingestion had put into a split, and that were found bad when they were first decoded."""
    reasons: Sequence[tuple[str, int]] = ()
    """The most frequent reasons, and how many records each set aside."""
    first: Sequence[SetAside] = ()
    """The first of them."""


@dataclass(frozen=True)
class Roc:
    """A receiver operating characteristic of one class against the rest."""

    false_positives: "np.ndarray"
    """Their rates, float32 of shape [thresholds], ascending."""
    true_positives: "np.ndarray"
    """Their rates, likewise."""
    thresholds: "np.ndarray"
    """The scores from which a record counts as of the class, likewise, descending."""
    auc: float


@dataclass(frozen=True)
class Sample:
    """A record of the test split, and what the model says of it."""

    record: int
    """Its number in the test split, from 0."""
    label: str
    """What is true."""
    predicted: str
    score: float
    """Of the predicted class; of a number, how far it is from what is true; of any number of classes, the binary
    cross-entropy of the record; of a class and a box, the IoU of the box; of pixels, the mean IoU of the picture."""
    label_score: float | None = None
    """Of the true class; of a number, of any number of classes, and of a class and a box there is none."""
    origin: str = ""
    """The data file it came from."""
    picture: str | None = None
    """A data URI."""
    boxes: Sequence[Sequence[float]] = ()
    """Of a class and a box, the true box and the predicted one, which are drawn into the picture: top, left, bottom and
    right in shares."""
    mask: bytes | None = None
    """Of pixels, the predicted mask as a PNG, which stands beside the picture and the true one."""


@dataclass(frozen=True)
class Predictions:
    """What the predictions on the test split come to."""

    right: Sequence[Sample]
    """Some that are right: the first of each class. Of numbers and of any number of classes, none."""
    wrong: Sequence[Sample]
    """The worst ones, the worst first: those with the highest scores for a wrong class, or furthest from what is true,
    or of any number of classes those with a wrong one that have the greatest cross-entropy."""


@dataclass(frozen=True)
class PredictionsByClass(Predictions):
    """Those that tell classes."""

    classes: Sequence[str]
    roc: Mapping[int, Roc]
    """By class; there is none for a class that all records have, or none."""
    serving_auc: Mapping[int, float]
    """Of the version that serves, likewise; empty where none does."""
    overall: Roc | None = field(default=None, kw_only=True)
    """One for all: of two classes that of the second, of more that of every class and record together, which is called
    the micro-average."""


@dataclass(frozen=True)
class ClassPredictions(PredictionsByClass):
    """Those of one class for each record."""

    confusion: "np.ndarray | None"
    """Records, int64 of shape [true class, predicted class]; None where there are too many classes to show."""


@dataclass(frozen=True)
class BoxPredictions(ClassPredictions):
    """Those of one class and a box for each record."""

    count: int
    """How many there are."""
    several: int
    """How many of them have several objects that the label could be of."""
    iou: "np.ndarray"
    """How many records have an IoU in each of equally wide bins from 0 to 1, int64 of shape [bins]."""
    mean_iou: Mapping[int, float]
    """By the true class; none of a class that no record has."""


@dataclass(frozen=True)
class PixelPredictions(ClassPredictions):
    """Those of a class for each pixel: what is counted by classes are pixels."""

    iou: "np.ndarray"
    """By class, float64 of shape [classes]; NaN of one that no pixel is of, or is told to be of."""
    label: "PixelsLabel"
    """What is true."""
    feature: "Pictures"
    """How pictures are made to fit."""


@dataclass(frozen=True)
class ClassCounts:
    """Records by class, int64 of shape [classes]."""

    true: "np.ndarray"
    """Those that are of it,"""
    told: "np.ndarray"
    """those that are predicted to be,"""
    hits: "np.ndarray"
    """and those that are both."""


@dataclass(frozen=True)
class MultilabelPredictions(PredictionsByClass):
    """Those of any number of classes for each record."""

    counts: ClassCounts


@dataclass(frozen=True)
class ValuePredictions(Predictions):
    """Those of numbers, in the units of the label."""

    count: int
    """How many there are."""
    true: "np.ndarray"
    """What is true of some of them, spread evenly over the split: float64 of shape [records]."""
    predicted: "np.ndarray"
    """What is predicted of the same, likewise."""


@dataclass(frozen=True)
class Findings:
    """What the artifacts of a run hold."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Records by split, and under `quarantine` those that came into none."""
    quarantine: Quarantine = Quarantine()
    columns: Sequence[Column] = ()
    anomalies: Sequence[Anomaly] | None = None
    """None where they were not looked for."""
    findings: Sequence[Finding] = ()
    """What else was found about the columns."""
    drift: Sequence[Drifted] | None = None
    """None where there is no baseline."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """By metric (validation's begin with `val_`), a value for each epoch."""
    module_warnings: Sequence[str] = ()
    """Problems that appeared when the hub modules were tried out, one line each."""
    training_notes: Sequence[str] = ()
    """What is worth knowing of the training, such as a loss that has not moved, a sentence each."""
    predictions: Predictions | None = None
