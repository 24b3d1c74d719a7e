"""Checks metrics against the thresholds of the pipeline file."""

import math
from collections.abc import Iterator, Mapping, Sequence

from hubline.artifacts.decision import OVERALL, Check, Metrics, SliceMetrics
from hubline.components.config.evaluation import Threshold
from hubline.trainer.metric_names import Metric, lower_is_better

_ROUNDING = 1e-6
"""Relative difference that summation in another order can cause between identical models."""
_DIGITS, _MOST_DIGITS = 4, 12
"""Decimal places in reasons: as many as distinguish two values, within these limits."""
_SHOWN_SLICES = 20


def checks_of(
    thresholds: Mapping[Metric, Threshold], slices: Sequence[SliceMetrics], min_examples: int
) -> Iterator[Check]:
    """The result of every bound, overall (the first of `slices`) and in the slices that it applies to."""
    overall, *parts = slices
    large = [part for part in parts if part.examples >= min_examples]
    for metric, threshold in thresholds.items():
        for of_slice in (overall, *_judged(metric, threshold, large)):
            yield from _checks(metric, threshold, of_slice)


def apart(value: float, other: float) -> int:
    """Number of decimal places that distinguish two values; the default if they are equal."""
    difference = abs(value - other)
    if difference == 0 or not math.isfinite(difference):
        return _DIGITS
    digits = next(
        (digits for digits in range(_DIGITS, _MOST_DIGITS) if f"{value:.{digits}f}" != f"{other:.{digits}f}"),
        _MOST_DIGITS,
    )
    return max(digits, min(_MOST_DIGITS, math.ceil(-math.log10(difference))))


def _judged(metric: Metric, threshold: Threshold, parts: Sequence[SliceMetrics]) -> list[SliceMetrics]:
    """The slices in which a threshold is checked: those for which the metric is defined."""
    return [part for part in parts if part.metrics[metric] is not None] if threshold.every_slice else []


def left_out(
    thresholds: Mapping[Metric, Threshold], slices: Sequence[SliceMetrics], min_examples: int
) -> Iterator[str]:
    """Sentences that name the slices excluded from `every_slice` thresholds, and why."""
    _, *parts = slices
    held = [metric for metric, threshold in thresholds.items() if threshold.every_slice]
    small = [part.slice for part in parts if part.examples < min_examples]
    if held and small:
        yield f"no thresholds applied to slices with fewer than {min_examples} records: {_shown(small)}"
    for metric in held:
        undefined = [part.slice for part in parts if part.examples >= min_examples and part.metrics[metric] is None]
        if undefined:
            yield f"no threshold applied to {metric} in slices where it is undefined: {_shown(undefined)}"


def _shown(slices: Sequence[str]) -> str:
    more = f" and {len(slices) - _SHOWN_SLICES} more" if len(slices) > _SHOWN_SLICES else ""
    return "; ".join(slices[:_SHOWN_SLICES]) + more


def _checks(metric: Metric, threshold: Threshold, of_slice: SliceMetrics) -> Iterator[Check]:
    value = of_slice.metrics[metric]
    serving = of_slice.serving_metrics[metric] if of_slice.serving_metrics else None
    where = "" if of_slice.slice == OVERALL else f" where {of_slice.slice}"

    def check(rule: str, bound: float, passed: bool, reason: str, digits: int = _DIGITS) -> Check:
        shown = f"{metric} is undefined" if value is None else f"{metric} {value:.{digits}f}"
        return Check(
            slice=of_slice.slice,
            metric=metric,
            rule=rule,
            bound=bound,
            value=value,
            serving=serving,
            passed=passed,
            reason=f"{'passed' if passed else 'failed'}: {shown}{where}, {reason}",
        )

    least, most, allowed = threshold.at_least, threshold.at_most, threshold.no_worse_than_serving_by
    if least is not None:
        passed, digits = (value is not None and value >= least), _digits(value, least)
        yield check("at_least", least, passed, f"{'' if value is not None else 'and '}must be at least {least}", digits)
    if most is not None:
        passed, digits = (value is not None and value <= most), _digits(value, most)
        yield check("at_most", most, passed, f"{'' if value is not None else 'and '}must be at most {most}", digits)
    if allowed is not None:
        passed, reason, digits = _no_worse(metric, value, of_slice.serving_metrics, allowed)
        yield check("no_worse_than_serving_by", allowed, passed, reason, digits)


def _digits(value: float | None, bound: float) -> int:
    return _DIGITS if value is None else apart(value, bound)


def _no_worse(
    metric: Metric, value: float | None, serving_metrics: Metrics | None, allowed: float
) -> tuple[bool, str, int]:
    """Whether a value is no worse than the serving version's; the reason; and the decimal places that distinguish the
    two."""
    if serving_metrics is None:
        return True, "not compared: no version serves yet, or none that can be compared", _DIGITS
    serving = serving_metrics[metric]
    if value is None:
        return False, "so it cannot be compared with the serving version", _DIGITS
    if serving is None:
        return True, "not compared: it is undefined for the serving version", _DIGITS
    worse = value - serving if lower_is_better(metric) else serving - value
    rounding = _ROUNDING * max(abs(value), abs(serving))
    digits = apart(value, serving)
    if abs(worse) <= rounding:
        how = "the same" if worse == 0 else "the same up to rounding"
    else:
        how = f"{'worse' if worse > 0 else 'better'} by {abs(worse):.{digits}f}"
    return worse <= allowed + rounding, f"serving {serving:.{digits}f}: {how}, allowed {allowed}", digits
