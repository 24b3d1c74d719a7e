"""Whether a model is better than the best constant answers beyond chance."""

import math
from collections.abc import Iterator, Sequence

from hubline.artifacts.decision import OVERALL, Advantage, Baseline, Check, Metrics
from hubline.components.evaluator.labels.parts import EVALUATION
from hubline.components.evaluator.thresholds import apart
from hubline.trainer.metric_names import Metric

RULE = "better_than_baseline"

_FEWEST = 6
"""Of fewer examples no result is beyond chance: that all of five go one way has a chance of 1 in 32, which is above
2.5 %."""


def parts_of(kind: str, classes: int) -> Sequence[tuple[Metric, ...]]:
    """The parts that a model of a kind of label is held to; of boxes that are all of one class, the box alone."""
    metrics = EVALUATION.of(kind).baseline_metrics
    return metrics[:1] if classes == 1 else metrics


def held_to(
    baseline: Baseline, metrics: Metrics, parts: Sequence[tuple[Metric, ...]], examples: int
) -> Iterator[Check]:
    """A check for each part of the answer.

    Args:
        baseline: What constants come to.
        metrics: The model's, with those that `parts` names.
        parts: What `parts_of` gave.
        examples: How many the test split has.
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
        f"failed: the model is not better beyond chance than answering the same always: {compared}. "
        f"{_what_would_tell(part, baseline, examples)}evaluation.baseline: ignore blesses it all the same"
    )


def _compared(metric: Metric, baseline: Baseline, metrics: Metrics) -> str:
    value, constant, advantage = metrics[metric], baseline.metrics[metric], baseline.better_by[metric]
    if value is None or constant is None or advantage is None:
        return f"{metric} is not defined"
    digits = apart(value, constant)
    better = advantage.difference
    how = f"{'better' if better > 0 else 'worse'} by {abs(better):.{digits}f}" if better else "the same"
    return (
        f"{metric} {value:.{digits}f}, {constant:.{digits}f} by {baseline.answers[metric]}: {how} "
        f"(95 % interval of the difference {advantage.low:+.{digits}f} to {advantage.high:+.{digits}f})"
    )


def _what_would_tell(part: tuple[Metric, ...], baseline: Baseline, examples: int) -> str:
    """Where it may be the test split that is too small, that it is, and how many records would tell."""
    undecided = [
        advantage
        for advantage in (baseline.better_by[metric] for metric in part)
        if advantage and advantage.difference > 0 and (advantage.low <= 0 or examples < _FEWEST)
    ]
    if not undecided:
        return f"The test split has {examples} records, too few to tell anything. " if examples < _FEWEST else ""
    # The interval is as wide as the root of the number of records is small.
    needed = min(
        math.ceil(examples * ((advantage.difference - advantage.low) / advantage.difference) ** 2)
        for advantage in undecided
    )
    return (
        f"The test split is too small to tell: it has {examples:,} records, and with what they show so far it takes "
        f"about {max(needed, examples + 1, _FEWEST):,}. "
    )
