"""Whether a model is blessed, and why."""

from dataclasses import dataclass, field

from hubline.core.config_base import Section

DECISION = "decision.json"
"""The file in a blessing artifact that holds the whole `Decision`."""

OVERALL = "overall"
"""The name of the slice that is all records."""

Metrics = dict[str, float | None]
"""Values by metric; None where a metric is not defined, as an AUC of records that are all of one class."""


class SliceMetrics(Section):
    """Metrics over some of the records of the test split."""

    slice: str
    """`OVERALL`, or columns and their values, such as `hour=3`."""
    examples: int
    metrics: Metrics
    serving_metrics: Metrics | None
    """Those of the version that serves, on the same records."""


class Check(Section):
    """One bound on one metric of one slice, and how it came out. `rule` is a key of the threshold, or
    `better_than_baseline`."""

    slice: str
    metric: str
    rule: str
    bound: float | None
    """The threshold, or what the constant comes to."""
    value: float | None
    serving: float | None
    passed: bool
    reason: str


Intervals = dict[str, tuple[float, float] | None]
"""By metric the bounds of the 95 % interval of its value, by drawing the test split's examples again; None where the
metric is not defined, or too costly to draw again."""


class Advantage(Section):
    """By how much a model is better than a constant: above 0 is better, whichever way the metric counts."""

    difference: float
    low: float
    high: float
    """The bounds of the 95 % interval, over the same examples for both."""


class Baseline(Section):
    """What the best constant answers come to, which were fitted on the training split, on the test split."""

    answers: dict[str, str]
    """By metric, what is answered always."""
    metrics: Metrics
    intervals: Intervals
    better_by: dict[str, Advantage | None]
    """By metric, by how much the model is better; None where it is not defined."""


class Decision(Section):
    """The blessing, with all that it rests on."""

    blessed: bool
    compared_with: str | None
    """The version that serves; None on a first run, and where it cannot be compared with, when only fixed bounds
    apply."""
    metrics: Metrics
    serving_metrics: Metrics | None
    slices: tuple[SliceMetrics, ...]
    """The values of every slice, also of those that no threshold is held to; all records come first."""
    checks: tuple[Check, ...]
    intervals: Intervals = {}
    """Of `metrics`."""
    serving_intervals: Intervals | None = None
    """Of `serving_metrics`."""
    baseline: Baseline | None = None
    """What the model must be better than."""
    notes: tuple[str, ...] = ()
    """What must be known to read the values, a sentence each: what could not be compared, and which slices were held to
    no threshold."""


@dataclass(frozen=True)
class Estimates:
    """How sure the metrics of a test split are, and what constants come to."""

    values: Metrics = field(default_factory=dict)
    """The model's, of all metrics that it is compared with constants by."""
    intervals: Intervals = field(default_factory=dict)
    serving_intervals: Intervals | None = None
    baseline: Baseline | None = None
