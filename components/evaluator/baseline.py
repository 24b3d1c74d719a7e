"""Checks whether a model is significantly better than the best constant predictions."""

import math
from collections.abc import Iterator, Sequence

from hubline.artifacts.decision import OVERALL, Advantage, Baseline, Check, Metrics
from hubline.components.evaluator.labels.parts import EVALUATION
from hubline.components.evaluator.thresholds import apart
from hubline.trainer.metric_names import Metric

RULE = "better_than_baseline"

_FEWEST = 6
"""Fewer examples are never significant: five out of five by chance has probability 1/32, which exceeds 2.5 %."""


def parts_of(kind: str, classes: int) -> Sequence[tuple[Metric, ...]]:
    """The parts of the prediction that must each beat the constants. If all boxes have one class, the box alone."""
    metrics = EVALUATION.of(kind).baseline_metrics
    return metrics[:1] if classes == 1 else metrics


def baseline_checks(
    baseline: Baseline, metrics: Metrics, parts: Sequence[tuple[Metric, ...]], examples: int
) -> Iterator[Check]:
    """One check for each part of the prediction.

    Args:
        baseline: Metrics of the constants.
        metrics: The model's metrics, including those in `parts`.
        parts: As `parts_of` returns.
        examples: Size of the test split.
    """
    for part in parts:
        best = next((metric for metric in part if _is_better(baseline.better_by[metric], examples)), None)
        metric = best or part[0]
        yield Check(
            slice=OVERALL,
            metric=metric,
            rule=RULE,
            bound=baseline.metrics[metric],
            value=metrics[metric],
            serving=None,
            passed=best is not None,
            reason=_passed(metric, baseline, metrics) if best else _failed(part, baseline, metrics, examples),
        )


def _is_better(advantage: Advantage | None, examples: int) -> bool:
    return advantage is not None and advantage.low > 0 and examples >= _FEWEST


def _passed(metric: Metric, baseline: Baseline, metrics: Metrics) -> str:
    return f"passed: {_compared(metric, baseline, metrics)}"


def _failed(part: tuple[Metric, ...], baseline: Baseline, metrics: Metrics, examples: int) -> str:
    compared = "; ".join(_compared(metric, baseline, metrics) for metric in part)
    return (
        f"failed: the model is not significantly better than the best constant prediction: {compared}. "
        f"{_what_would_tell(part, baseline, examples)}evaluation.baseline: ignore turns this check off"
    )


def _compared(metric: Metric, baseline: Baseline, metrics: Metrics) -> str:
    value, constant, advantage = metrics[metric], baseline.metrics[metric], baseline.better_by[metric]
    if value is None or constant is None or advantage is None:
        return f"{metric} is undefined"
    digits = apart(value, constant)
    better = advantage.difference
    how = f"{'better' if better > 0 else 'worse'} by {abs(better):.{digits}f}" if better else "the same"
    return (
        f"{metric} {value:.{digits}f}, best constant {constant:.{digits}f} ({baseline.answers[metric]}): {how} "
        f"(95 % interval of the difference {advantage.low:+.{digits}f} to {advantage.high:+.{digits}f})"
    )


def _what_would_tell(part: tuple[Metric, ...], baseline: Baseline, examples: int) -> str:
    """If the test split may be too small: a sentence that says so, with the number of records that would suffice."""
    undecided = [
        advantage
        for advantage in (baseline.better_by[metric] for metric in part)
        if advantage and advantage.difference > 0 and (advantage.low <= 0 or examples < _FEWEST)
    ]
    if not undecided:
        return (
            f"The test split has {examples} records, too few for a significant difference. "
            if examples < _FEWEST
            else ""
        )
    # The width of the interval is proportional to 1 / sqrt(records).
    needed = min(
        math.ceil(examples * ((advantage.difference - advantage.low) / advantage.difference) ** 2)
        for advantage in undecided
    )
    return (
        f"The test split is too small to decide: it has {examples:,} records; about "
        f"{max(needed, examples + 1, _FEWEST):,} would be needed. "
    )
