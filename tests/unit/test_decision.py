"""The blessing's decision."""

import pytest

from components.config import Threshold
from components.evaluator.decision import decide


def verdict(metric: str, value: float, serving: float | None, **threshold: float) -> tuple[bool, str]:
    decision = decide(
        {metric: Threshold(**threshold)}, {metric: value}, None if serving is None else {metric: serving}, "serving/3"
    )
    (check,) = decision.checks
    assert decision.blessed == check.passed
    return check.passed, check.reason


@pytest.mark.parametrize(
    ("metric", "value", "serving", "threshold", "passed"),
    [
        ("accuracy", 0.95, None, {"at_least": 0.95}, True),
        ("accuracy", 0.94, None, {"at_least": 0.95}, False),
        ("cross_entropy", 0.3, None, {"at_most": 0.3}, True),
        ("cross_entropy", 0.31, None, {"at_most": 0.3}, False),
        ("accuracy", 0.90, 0.91, {"no_worse_than_serving_by": 0.02}, True),
        ("accuracy", 0.90, 0.93, {"no_worse_than_serving_by": 0.02}, False),
        ("accuracy", 0.99, 0.93, {"no_worse_than_serving_by": 0.0}, True),
        ("accuracy", 0.93, 0.93, {"no_worse_than_serving_by": 0.0}, True),
        # Of a loss, less is better.
        ("cross_entropy", 0.31, 0.30, {"no_worse_than_serving_by": 0.02}, True),
        ("cross_entropy", 0.35, 0.30, {"no_worse_than_serving_by": 0.02}, False),
        ("cross_entropy", 0.10, 0.30, {"no_worse_than_serving_by": 0.0}, True),
    ],
)
def test_bounds(metric: str, value: float, serving: float | None, threshold: dict, passed: bool) -> None:
    assert verdict(metric, value, serving, **threshold)[0] == passed


def test_on_a_first_run_only_fixed_bounds_apply_and_the_decision_says_so() -> None:
    thresholds = {"accuracy": Threshold(at_least=0.5, no_worse_than_serving_by=0.0)}
    decision = decide(thresholds, {"accuracy": 0.6}, None, None)
    assert decision.blessed and decision.compared_with is None
    assert [check.rule for check in decision.checks] == ["at_least", "no_worse_than_serving_by"]
    assert "no version serves yet" in decision.checks[1].reason


def test_one_failed_check_is_enough_and_every_reason_is_kept() -> None:
    thresholds = {"accuracy": Threshold(at_least=0.5), "cross_entropy": Threshold(at_most=0.1)}
    decision = decide(thresholds, {"accuracy": 0.6, "cross_entropy": 0.2}, None, None)
    assert not decision.blessed
    assert [check.reason for check in decision.checks] == [
        "passed: accuracy 0.6000, must be at least 0.5",
        "failed: cross_entropy 0.2000, must be at most 0.1",
    ]
