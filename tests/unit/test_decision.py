"""The blessing's decision."""

import pytest

from components.config import Threshold
from components.evaluator.decision import OVERALL, SliceMetrics, decide


def of_slice(metrics: dict, serving: dict | None = None, name: str = OVERALL, examples: int = 100) -> SliceMetrics:
    return SliceMetrics(slice=name, examples=examples, metrics=metrics, serving_metrics=serving)


def verdict(metric: str, value: float, serving: float | None, **threshold: float) -> tuple[bool, str]:
    overall = of_slice({metric: value}, None if serving is None else {metric: serving})
    decision = decide({metric: Threshold(**threshold)}, [overall], "serving/3")
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
    decision = decide(thresholds, [of_slice({"accuracy": 0.6})], None)
    assert decision.blessed and decision.compared_with is None
    assert [check.rule for check in decision.checks] == ["at_least", "no_worse_than_serving_by"]
    assert "no version serves yet" in decision.checks[1].reason


def test_one_failed_check_is_enough_and_every_reason_is_kept() -> None:
    thresholds = {"accuracy": Threshold(at_least=0.5), "cross_entropy": Threshold(at_most=0.1)}
    decision = decide(thresholds, [of_slice({"accuracy": 0.6, "cross_entropy": 0.2})], None)
    assert not decision.blessed
    assert [check.reason for check in decision.checks] == [
        "passed: accuracy 0.6000, must be at least 0.5",
        "failed: cross_entropy 0.2000, must be at most 0.1",
    ]


SLICES = [
    of_slice({"accuracy": 0.9}, {"accuracy": 0.8}),
    of_slice({"accuracy": 0.4}, {"accuracy": 0.3}, "hour=1", examples=10),
    of_slice({"accuracy": 0.95}, {"accuracy": 0.99}, "hour=2", examples=90),
]


@pytest.mark.parametrize(
    ("threshold", "min_examples", "failed"),
    [
        (Threshold(at_least=0.5), 1, []),
        (Threshold(at_least=0.5, every_slice=True), 1, ["hour=1"]),
        (Threshold(at_least=0.5, every_slice=True), 11, []),
        (Threshold(no_worse_than_serving_by=0.0), 1, []),
        (Threshold(no_worse_than_serving_by=0.0, every_slice=True), 1, ["hour=2"]),
        (Threshold(at_least=0.92, no_worse_than_serving_by=0.0, every_slice=True), 1, [OVERALL, "hour=1", "hour=2"]),
    ],
)
def test_slices_are_held_to_what_says_so_and_large_enough(threshold, min_examples: int, failed: list[str]) -> None:
    decision = decide({"accuracy": threshold}, SLICES, "serving/3", min_examples)
    assert [check.slice for check in decision.checks if not check.passed] == failed
    assert decision.blessed == (not failed)
    assert decision.slices == tuple(SLICES)  # all are shown, whatever they are held to


def test_a_reason_names_its_slice() -> None:
    decision = decide({"accuracy": Threshold(at_least=0.5, every_slice=True)}, SLICES, None)
    assert decision.checks[1].reason == "failed: accuracy 0.4000 where hour=1, must be at least 0.5"
