"""Contents of the report as plain values. Nothing here imports a slow library."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

from hubline.artifacts.decision import Decision
from hubline.artifacts.examples import LeftOut
from hubline.artifacts.findings import ColumnDrift, Finding
from hubline.artifacts.quarantine import QuarantinedRecord
from hubline.artifacts.serving_check import ServingCheckResult
from hubline.core.usage import Usage
from hubline.report.labels.predictions import Predictions
from hubline.trainer.tuning.results import Trials

PAGE = "index.html"
"""Name of the report's file."""


@dataclass(frozen=True)
class Artifacts:
    """Folders of the artifacts of a run; None if the run did not get that far. The report reads all but `model`."""

    examples: str | None = None
    rows: str | None = None
    statistics: str | None = None
    anomalies: str | None = None
    transform_graph: str | None = None
    model: str | None = None
    tuner_results: str | None = None
    model_run: str | None = None
    evaluation: str | None = None
    serving_check: str | None = None
    modules: Mapping[str, str] = field(default_factory=dict)
    """Artifact of each hub module, by module name."""


@dataclass(frozen=True)
class StepTime:
    """Duration of a step, or that its cached result was reused."""

    id: str
    seconds: float
    cached: bool
    usage: Usage | None = None
    """What the step used; None if it was cached."""


@dataclass(frozen=True)
class Recipe:
    """What a run was run with."""

    command: str
    file: str
    """The pipeline file as YAML, with the values that `--set` changed."""
    versions: Mapping[str, str]
    """Versions of Python and the packages."""
    digests: Mapping[str, str]
    """SHA-256 of the code, the list of data files and each module, by what is meant."""


TimeUnit = Literal["seconds", "milliseconds", "microseconds"]


@dataclass(frozen=True)
class RunReport:
    """A run, finished or not."""

    name: str
    """Name of the pipeline."""
    file: str | None
    """Path of the pipeline file."""
    began: datetime
    seconds: float | None
    status: str
    """`succeeded`, `blessed` (before the push), `not_blessed`, `failed` or `interrupted`."""
    steps: Sequence[StepTime] = ()
    failed_step: str | None = None
    error: str | None = None
    decision: Decision | None = None
    pushed_model: str | None = None
    newly_pushed: bool = False
    approve_command: str | None = None
    """The command that approves the model, if it waits for approval."""
    partial: str | None = None
    """What `--from` and `--until` changed, if they were given."""
    log: str | None = None
    artifacts: Artifacts = Artifacts()
    unfinished_curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Learning curves of a training that was cut short, as `Findings.curves`."""
    time_units: Mapping[str, TimeUnit] = field(default_factory=dict)
    """Units of the integer columns that are points in time since 1970."""
    recipe: Recipe | None = None
    """None where a run can't be told from its file, as on Kubeflow."""


@dataclass(frozen=True)
class SplitStatistics:
    """TFDV's statistics of a column in one split."""

    split: str
    count: int
    """Records with a value in the column."""
    missing: int
    """Records without a value; NaN counts as missing."""
    figures: Mapping[str, float]
    """Statistics by name; which ones exist depends on the column's type."""
    buckets: Sequence[tuple[float, float, float]] = ()
    """Histogram of a numeric column: lower bound, upper bound and number of values of each bucket."""
    top: Sequence[tuple[str, float]] = ()
    """Most frequent values of a string column, with their counts."""


@dataclass(frozen=True)
class Column:
    """A column of the data, by split."""

    name: str
    type: str
    splits: Sequence[SplitStatistics]


@dataclass(frozen=True)
class Anomaly:
    """A violation of the schema in a split."""

    split: str
    column: str
    """Empty if the split as a whole is meant."""
    description: str


@dataclass(frozen=True)
class DriftedColumn:
    """Drift of a column of the training split from the baseline."""

    drift: ColumnDrift
    column: Column
    """Statistics of the column, as splits: `baseline`, if the baseline has the column, and `train`."""


@dataclass(frozen=True)
class Quarantine:
    """Quarantined records."""

    total: int = 0
    undecodable: int = 0
    """Number of those that ingestion had accepted and that were found bad when first decoded."""
    reasons: Sequence[tuple[str, int]] = ()
    """Most frequent reasons, with the number of records."""
    first: Sequence[QuarantinedRecord] = ()
    """The first records."""


@dataclass(frozen=True)
class Findings:
    """Everything that the report reads from a run's artifacts."""

    counts: Mapping[str, int] = field(default_factory=dict)
    """Records by split, with quarantined records under `quarantine`."""
    left_out: Mapping[str, LeftOut] = field(default_factory=dict)
    """Records that `data.where` and `data.take` left out, by split; splits that lost none are missing."""
    quarantine: Quarantine = Quarantine()
    columns: Sequence[Column] = ()
    anomalies: Sequence[Anomaly] | None = None
    """None if anomalies were not checked."""
    findings: Sequence[Finding] = ()
    """Further findings about columns."""
    drift: Sequence[DriftedColumn] | None = None
    """None without a baseline."""
    trials: Trials | None = None
    """The trials of the search, if there was one."""
    curves: Mapping[str, Sequence[float]] = field(default_factory=dict)
    """Value of each epoch by metric; those of validation start with `val_`."""
    module_warnings: Sequence[str] = ()
    """Problems found when hub modules were tried out, one line each."""
    training_notes: Sequence[str] = ()
    """Notes about the training, such as a loss that has not moved; one sentence each."""
    parameters: Sequence[tuple[str, int, int]] = ()
    """Parts of the model with their numbers of trainable and of other parameters."""
    predictions: Predictions | None = None
    serving_check: ServingCheckResult | None = None
    """None if the run didn't get that far, or the file leaves the check out."""
