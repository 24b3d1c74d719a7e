"""The decision to bless."""

from collections.abc import Mapping, Sequence

import pytest

from hubline.artifacts.decision import OVERALL, Decision, SliceMetrics
from hubline.components.config.evaluation import Evaluation, Threshold
from hubline.components.evaluator.decide import decide as decide_all
from hubline.trainer.metric_names import Metric


def decide(
    thresholds: Mapping[Metric, Threshold], slices: Sequence[SliceMetrics], serving: str | None, min_examples: int = 1
) -> Decision:
    return decide_all(Evaluation(thresholds=thresholds, slice_min_examples=min_examples), slices, serving)


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
        # For a loss, lower is better.
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
    assert decision.slices == tuple(SLICES)  # all are shown, whether or not thresholds apply


def test_a_reason_names_its_slice() -> None:
    decision = decide({"accuracy": Threshold(at_least=0.5, every_slice=True)}, SLICES, None)
    assert decision.checks[1].reason == "failed: accuracy 0.4000 where hour=1, must be at least 0.5"


@pytest.mark.parametrize(
    ("value", "serving", "said"),
    [
        (0.95, 0.93, "accuracy 0.9500, serving 0.9300: better by 0.0200, allowed 0.0"),
        (0.93, 0.93, "accuracy 0.9300, serving 0.9300: the same, allowed 0.0"),
        (0.93, 0.95, "accuracy 0.9300, serving 0.9500: worse by 0.0200, allowed 0.0"),
        (0.90002, 0.90004, "accuracy 0.90002, serving 0.90004: worse by 0.00002, allowed 0.0"),
        (0.900004, 0.900002, "accuracy 0.900004, serving 0.900002: better by 0.000002, allowed 0.0"),
    ],
)
def test_a_reason_says_better_or_worse_with_digits_that_tell_the_two_apart(value, serving, said) -> None:
    passed, reason = verdict("accuracy", value, serving, no_worse_than_serving_by=0.0)
    assert reason == f"{'passed' if passed else 'failed'}: {said}"


def test_a_bound_that_is_missed_by_little_is_told_apart() -> None:
    assert verdict("accuracy", 0.949996, None, at_least=0.95) == (
        False, "failed: accuracy 0.949996, must be at least 0.95"
    )  # fmt: skip


def test_rounding_is_a_share_of_the_values() -> None:
    assert verdict("rmse", 60_000.01, 60_000.0, no_worse_than_serving_by=0.0)[0]
    assert not verdict("rmse", 5e-7, 1e-7, no_worse_than_serving_by=0.0)[0]


def test_slices_in_which_a_metric_is_not_defined_are_held_to_no_threshold_and_named() -> None:
    slices = [
        of_slice({"auc": 0.9}, {"auc": 0.8}),
        of_slice({"auc": None}, {"auc": None}, "hour=1", examples=4),
        of_slice({"auc": 0.95}, {"auc": None}, "hour=2", examples=90),
        of_slice({"auc": 0.1}, {"auc": 0.2}, "hour=3", examples=2),
    ]
    threshold = Threshold(at_least=0.7, no_worse_than_serving_by=0.0, every_slice=True)
    decision = decide({"auc": threshold}, slices, "serving/3", 3)
    assert decision.blessed
    assert [check.slice for check in decision.checks] == [OVERALL] * 2 + ["hour=2"] * 2
    assert "it is undefined for the serving version" in decision.checks[-1].reason
    assert decision.notes == (
        "no thresholds applied to slices with fewer than 3 records: hour=3",
        "no threshold applied to auc in slices where it is undefined: hour=1",
    )


def test_a_threshold_on_a_metric_that_is_not_defined_is_not_met() -> None:
    decision = decide({"auc": Threshold(at_least=0.7)}, [of_slice({"auc": None})], None)
    assert not decision.blessed
    assert decision.checks[0].reason == "failed: auc is undefined, and must be at least 0.7"
    assert '"auc":null' in decision.model_dump_json()
