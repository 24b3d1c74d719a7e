"""Whether a model is blessed, and why."""

from collections.abc import Mapping

from components.config import LOWER_IS_BETTER, Metric, Threshold
from preprocessing.section import Section

_ROUNDING = 1e-6
"""Two models that answer the same may differ by this much in a sum taken in another order."""

DECISION = "decision.json"
"""The file in a blessing artifact that holds the whole `Decision`."""


class Check(Section):
    """One bound on one metric, and how it came out."""

    metric: str
    rule: str
    bound: float
    value: float
    serving: float | None
    passed: bool
    reason: str
    slice: str = ""
    """The slice it is held on; empty or `Overall` for all records."""


class SliceMetrics(Section):
    """The metrics on one slice of the test split."""

    slice: str
    examples: int
    metrics: dict[str, float]
    serving_metrics: dict[str, float] | None = None


class Decision(Section):
    """The blessing, with all that it rests on."""

    blessed: bool
    compared_with: str | None
    """The version that serves; None on a first run, when only fixed bounds apply."""
    metrics: dict[str, float]
    serving_metrics: dict[str, float] | None
    checks: tuple[Check, ...]
    slices: tuple[SliceMetrics, ...] = ()


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

    def add(rule: str, bound: float | None, passed: bool, reason: str) -> None:
        if bound is not None:
            verdict = "passed" if passed else "failed"
            found.append(
                Check(
                    metric=metric,
                    rule=rule,
                    bound=bound,
                    value=value,
                    serving=serving,
                    passed=passed,
                    reason=f"{verdict}: {metric} {value:.4f}, {reason}",
                )
            )

    least, most, allowed = threshold.at_least, threshold.at_most, threshold.no_worse_than_serving_by
    add("at_least", least, least is None or value >= least, f"must be at least {least}")
    add("at_most", most, most is None or value <= most, f"must be at most {most}")
    if serving is None:
        add("no_worse_than_serving_by", allowed, True, "compared with nothing: no version serves yet")
    else:
        worse = value - serving if metric in LOWER_IS_BETTER else serving - value
        add(
            "no_worse_than_serving_by",
            allowed,
            allowed is None or worse <= allowed + _ROUNDING,
            f"{serving:.4f} now serving: worse by {max(worse, 0.0):.4f}, and {allowed} is allowed",
        )
    return found
