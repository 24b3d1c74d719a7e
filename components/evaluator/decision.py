"""Whether a model is blessed, and why."""

from collections.abc import Mapping

from components.config import Metric, Threshold
from components.evaluator.metrics import lower_is_better
from preprocessing.section import Section

_ROUNDING = 1e-6
"""Two models that answer the same may differ by this much in a sum taken in another order."""


class Check(Section):
    """One bound on one metric, and how it came out."""

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
    checks: tuple[Check, ...]


def decide(
    thresholds: Mapping[Metric, Threshold],
    metrics: Mapping[str, float],
    serving_metrics: Mapping[str, float] | None,
    serving: str | None,
) -> Decision:
    """Holds a model's metrics to the thresholds.

    Args:
        thresholds: The bounds, by metric.
        metrics: The model's values on the test split.
        serving_metrics: The values of the version that serves, on the same records; None where nothing serves, and
            bounds against it are then not applied.
        serving: That version's path.
    """
    checks = [
        check
        for metric, threshold in thresholds.items()
        for check in _checks(metric, threshold, metrics[metric], serving_metrics[metric] if serving_metrics else None)
    ]
    return Decision(
        blessed=all(check.passed for check in checks),
        compared_with=serving,
        metrics=dict(metrics),
        serving_metrics=dict(serving_metrics) if serving_metrics else None,
        checks=tuple(checks),
    )


def _checks(metric: Metric, threshold: Threshold, value: float, serving: float | None) -> list[Check]:
    found = []

    def add(rule: str, bound: float, passed: bool, reason: str) -> None:
        verdict = "passed" if passed else "failed"
        found.append(
            Check(
                metric=metric, rule=rule, bound=bound, value=value, serving=serving,
                passed=passed, reason=f"{verdict}: {reason}",
            )
        )  # fmt: skip

    if threshold.at_least is not None:
        add("at_least", threshold.at_least, value >= threshold.at_least, f"{metric} {value:.4f} against at least {threshold.at_least:g}")
    if threshold.at_most is not None:
        add("at_most", threshold.at_most, value <= threshold.at_most, f"{metric} {value:.4f} against at most {threshold.at_most:g}")
    allowed = threshold.no_worse_than_serving_by
    if allowed is not None and serving is None:
        add("no_worse_than_serving_by", allowed, True, "nothing serves yet")
    elif allowed is not None:
        worse = value - serving if lower_is_better(metric) else serving - value
        add(
            "no_worse_than_serving_by", allowed, worse <= allowed + _ROUNDING,
            f"{metric} {value:.4f} against {serving:.4f} now serving, worse by {max(worse, 0.0):.4f}; {allowed:g} is allowed",
        )  # fmt: skip
    return found
