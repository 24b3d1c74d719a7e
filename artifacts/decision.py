"""Whether a model is blessed, and why."""

from dataclasses import dataclass, field

from hubline.core.config_base import Section

DECISION = "decision.json"
"""File of the `Decision` in a blessing artifact."""

OVERALL = "overall"
"""Name of the slice that contains all examples."""

Metrics = dict[str, float | None]
"""Values by metric. None if a metric is undefined, such as the AUC of examples that are all of one class."""


class SliceMetrics(Section):
    """Metrics over some examples of the test split."""

    slice: str
    """`OVERALL`, or columns with their values, such as `hour=3`."""
    examples: int
    metrics: Metrics
    serving_metrics: Metrics | None
    """Metrics of the version in serving, on the same examples."""


class Check(Section):
    """One bound on one metric of one slice, with its result. `rule` is a key of the threshold, or
    `better_than_baseline`."""

    slice: str
    metric: str
    rule: str
    bound: float | None
    """The threshold, or the metric of the constant prediction."""
    value: float | None
    serving: float | None
    passed: bool
    reason: str


Intervals = dict[str, tuple[float, float] | None]
"""95 % bootstrap interval of each metric, from resampling the test examples. None if the metric is undefined or too
costly to resample."""


class Advantage(Section):
    """How much better a model is than a constant prediction. Positive is better, whichever direction of the metric
    is."""

    difference: float
    low: float
    high: float
    """Bounds of the 95 % interval; both predictions are resampled on the same examples."""


class Baseline(Section):
    """Test metrics of the best constant predictions, which are fitted on the training split."""

    answers: dict[str, str]
    """The constant prediction by metric."""
    metrics: Metrics
    intervals: Intervals
    better_by: dict[str, Advantage | None]
    """How much better the model is, by metric; None if the metric is undefined."""


class Decision(Section):
    """The blessing, with everything it is based on."""

    blessed: bool
    compared_with: str | None
    """The version in serving. None on a first run, or if that version cannot be compared with; then only fixed bounds
    apply."""
    metrics: Metrics
    serving_metrics: Metrics | None
    slices: tuple[SliceMetrics, ...]
    """Metrics of every slice, including those without thresholds. The slice of all examples comes first."""
    checks: tuple[Check, ...]
    intervals: Intervals = {}
    """Intervals of `metrics`."""
    serving_intervals: Intervals | None = None
    """Intervals of `serving_metrics`."""
    baseline: Baseline | None = None
    """The constant predictions that the model has to beat."""
    notes: tuple[str, ...] = ()
    """Notes for reading the metrics, one sentence each: comparisons that were not possible, and slices without
    thresholds."""

    @property
    def defined_metrics(self) -> dict[str, float]:
        """The metrics that have a value."""
        return {name: value for name, value in self.metrics.items() if value is not None}

    @property
    def failures(self) -> list[str]:
        """The reasons of the checks that failed."""
        return [check.reason for check in self.checks if not check.passed]


@dataclass(frozen=True)
class Estimates:
    """Uncertainty of the test metrics, and the constant predictions."""

    values: Metrics = field(default_factory=dict)
    """The model's value of every metric that is compared with constant predictions."""
    intervals: Intervals = field(default_factory=dict)
    serving_intervals: Intervals | None = None
    baseline: Baseline | None = None
