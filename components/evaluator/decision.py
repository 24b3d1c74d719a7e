"""Whether a model is blessed, and why."""

from collections.abc import Iterator, Mapping, Sequence

from components.config import LOWER_IS_BETTER, Metric, Threshold
from preprocessing.section import Section

_ROUNDING = 1e-6
"""Two models that answer the same may differ by this much in a sum taken in another order."""

DECISION = "decision.json"
"""The file in a blessing artifact that holds the whole `Decision`."""

OVERALL = "overall"
"""The name of the slice that is all records."""


class SliceMetrics(Section):
    """Metrics over some of the records of the test split."""

    slice: str
    """`OVERALL`, or columns and their values, such as `hour=3`."""
    examples: int
    metrics: dict[str, float]
    serving_metrics: dict[str, float] | None
    """Those of the version that serves, on the same records."""


class Check(Section):
    """One bound on one metric of one slice, and how it came out."""

    slice: str
    metric: str
    rule: str
    bound: float
    value: float
    serving: float | None
    passed: bool
    reason: str


class Decision(Section):
    """The blessing, with all that it rests on."""

    blessed: bool
    compared_with: str | None
    """The version that serves; None on a first run, when only fixed bounds apply."""
    metrics: dict[str, float]
    serving_metrics: dict[str, float] | None
    slices: tuple[SliceMetrics, ...]
    """The values of every slice, also of those that no threshold is held to; all records come first."""
    checks: tuple[Check, ...]


def decide(
    thresholds: Mapping[Metric, Threshold], slices: Sequence[SliceMetrics], serving: str | None, min_examples: int = 1
) -> Decision:
    """Holds a model's metrics to the thresholds.

    Args:
        thresholds: The bounds, by metric.
        slices: The model's values on the test split, all records first. Where nothing serves, bounds against what
            serves are not applied.
        serving: The path of the version that serves.
        min_examples: What a slice must have to be held to thresholds.
    """
    overall, *parts = slices
    judged = [part for part in parts if part.examples >= min_examples]
    checks = [
        check
        for metric, threshold in thresholds.items()
        for of_slice in (overall, *(judged if threshold.every_slice else ()))
        for check in _checks(metric, threshold, of_slice)
    ]
    return Decision(
        blessed=all(check.passed for check in checks),
        compared_with=serving,
        metrics=overall.metrics,
        serving_metrics=overall.serving_metrics,
        slices=tuple(slices),
        checks=tuple(checks),
    )


def _checks(metric: Metric, threshold: Threshold, of_slice: SliceMetrics) -> Iterator[Check]:
    value = of_slice.metrics[metric]
    serving = of_slice.serving_metrics[metric] if of_slice.serving_metrics else None
    where = "" if of_slice.slice == OVERALL else f" where {of_slice.slice}"

    def check(rule: str, bound: float, passed: bool, reason: str) -> Check:
        return Check(
            slice=of_slice.slice,
            metric=metric,
            rule=rule,
            bound=bound,
            value=value,
            serving=serving,
            passed=passed,
            reason=f"{'passed' if passed else 'failed'}: {metric} {value:.4f}{where}, {reason}",
        )

    least, most, allowed = threshold.at_least, threshold.at_most, threshold.no_worse_than_serving_by
    if least is not None:
        yield check("at_least", least, value >= least, f"must be at least {least}")
    if most is not None:
        yield check("at_most", most, value <= most, f"must be at most {most}")
    if allowed is not None and serving is None:
        yield check("no_worse_than_serving_by", allowed, True, "compared with nothing: no version serves yet")
    elif allowed is not None and serving is not None:
        worse = value - serving if metric in LOWER_IS_BETTER else serving - value
        reason = f"{serving:.4f} now serving: worse by {max(worse, 0.0):.4f}, and {allowed} is allowed"
        yield check("no_worse_than_serving_by", allowed, worse <= allowed + _ROUNDING, reason)
