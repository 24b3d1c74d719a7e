"""The serving check: which answers agree, and which measurements are within their bounds."""

from typing import Any

import numpy as np
import pytest

from hubline.artifacts.serving_check import Comparison, Latency, ServingCheckResult
from hubline.serving.check.agreement import compare
from hubline.serving.check.config import ServingCheck
from hubline.serving.check.verdict import Measured

SCORES = np.array([[0.7, 0.3], [0.5001, 0.4999]], np.float32)
CLASSES = np.array([[b"cat", b"dog"], [b"cat", b"dog"]], object)
LABELS = np.array([b"cat", b"cat"], object)
ANSWER = {"scores": SCORES, "classes": CLASSES, "label": LABELS}


def fault(**changed: Any) -> str | None:
    return compare(ANSWER, ANSWER | changed, 1e-3).fault


def test_equal_answers_agree() -> None:
    found = compare(ANSWER, dict(ANSWER), 0.0)
    assert (found.difference, found.fault) == (0.0, None)


def test_floats_may_differ_by_the_tolerance() -> None:
    within, beyond = (compare(ANSWER, ANSWER | {"scores": SCORES + np.float32(by)}, 1e-3) for by in (9e-4, 1.1e-3))
    assert within.fault is None and within.difference == pytest.approx(9e-4, rel=1e-3)
    assert beyond.fault == "output 'scores' differs by 0.0011 (at most 0.001)" and beyond.difference > 1e-3


def test_other_names_dtypes_shapes_and_numbers_that_are_not_finite_never_agree() -> None:
    assert (
        compare(ANSWER, {"scores": SCORES}, 1.0).fault == "the outputs are 'scores', not 'classes', 'label', 'scores'"
    )
    assert fault(scores=SCORES.astype(np.float64)) == "output 'scores' has the dtype float64, not float32"
    assert fault(scores=SCORES[:, :1]) == "output 'scores' has the shape [2, 1], not [2, 2]"
    for wrong in (np.nan, np.inf):
        assert fault(scores=np.full_like(SCORES, wrong)) == "output 'scores' has values that are not finite"


def test_a_label_may_differ_between_classes_whose_scores_are_as_close_as_the_tolerance() -> None:
    classes = np.array([[b"cat", b"dog", b"cow"]] * 2, object)
    scores = np.array([[0.6, 0.3, 0.1], [0.4001, 0.3999, 0.2]], np.float32)
    answer = {"scores": scores, "classes": classes, "label": LABELS, "score": scores.max(axis=1)}
    wrong = "output 'label' differs in 1 of 2 values"
    for labels, expected in (([b"cat", b"dog"], None), ([b"dog", b"cat"], wrong), ([b"cat", b"pig"], wrong)):
        others = np.array(labels, object)
        at = [list(row).index(label) if label in row else 0 for row, label in zip(classes, others, strict=True)]
        found = answer | {"label": others, "score": scores[[0, 1], at]}
        assert compare(answer, found, 1e-3).fault == expected
    assert fault(classes=CLASSES[:, ::-1]) == "output 'classes' differs in 4 of 4 values"


def test_a_second_class_may_be_another_decision_only_if_one_threshold_explains_both_answers() -> None:
    second = np.array([0.2, 0.2999, 0.35, 0.9], np.float32)

    def answer(scores: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
        both = np.stack([1 - scores, scores], axis=1).astype(np.float32)
        decided = (scores >= threshold).astype(int)
        names = np.array([b"no", b"yes"], object)
        return {
            "scores": both,
            "classes": np.tile(names, [4, 1]),
            "label": names[decided],
            "score": both[range(4), decided],
        }

    before = answer(second, 0.3)
    raised = answer(second + np.float32(2e-4), 0.3)
    assert (before["label"] != raised["label"]).sum() == 1
    assert compare(before, raised, 1e-3).fault is None
    lost = compare(before, answer(second, 0.5), 1e-3)
    assert lost.fault == "output 'label' differs in 1 of 4 values"


def test_a_class_may_be_chosen_or_not_only_if_one_threshold_explains_both_answers() -> None:
    scores = np.array([[0.9, 0.5005, 0.4995, 0.1]], np.float32)
    before = {"scores": scores, "chosen": scores >= 0.5}
    lower = scores - np.float32(1e-3)
    assert compare(before, {"scores": lower, "chosen": lower >= 0.5}, 2e-3).fault is None
    for threshold in (0.3, 0.5003, 0.95):
        other = {"scores": scores, "chosen": scores >= threshold}
        differs = (other["chosen"] != before["chosen"]).sum()
        expected = f"output 'chosen' differs in {differs} of 4 values" if differs else None
        assert compare(before, other, 2e-3).fault == expected
    flipped = before["chosen"].copy()
    flipped[0, 0] = False
    assert compare(before, {"scores": scores, "chosen": flipped}, 2e-3).fault is not None


def test_masks_may_differ_in_a_share_of_pixels_as_large_as_the_tolerance() -> None:
    mask = np.zeros((1, 100, 100), np.uint8)
    for wrong, agrees in ((10, True), (11, False)):
        other = mask.copy()
        other[0, 0, :wrong] = 1
        assert (compare({"mask": mask}, {"mask": other}, 1e-3).fault is None) == agrees


def test_numbers_may_differ_by_the_tolerance_in_standard_deviations() -> None:
    values = np.array([100.0, 300.0])  # their standard deviation is 100
    assert compare({"value": values}, {"value": values + 0.09}, 1e-3).fault is None
    assert compare({"value": values}, {"value": values + 0.11}, 1e-3).fault is not None


def result(config: dict[str, Any], **measured: Any) -> ServingCheckResult:
    found = Measured(ServingCheck.model_validate(config), 3)
    for name, value in measured.items():
        setattr(found, name, value)
    return found.result()


def test_bounds_are_judged_one_by_one() -> None:
    fast = Latency(api="grpc", batch=1, requests=100, p50_ms=1, p99_ms=2)
    slow = Latency(api="rest", batch=32, requests=60, p50_ms=30, p99_ms=45.678)
    measured = {"load_seconds": 3.0, "memory_bytes": 3 << 30, "latencies": [fast, slow]}
    assert result({}, **measured).passed
    bounds: dict[str, Any] = {
        "max_load_seconds": 2.5,
        "max_memory": "2Gi",
        "max_latency_ms": {"batch_1": {"p50": 1}, "batch_32": {"p50": 30, "p99": 45}},
    }
    found = result(bounds, **measured)
    assert not found.passed and list(found.faults) == [
        "the server loaded the model in 3 s (max_load_seconds: 2.5)",
        "the server has 3,072 MiB of resident memory (max_memory: 2Gi)",
        "p99 of 60 requests of 32 records over HTTP is 45.7 ms (max_latency_ms.batch_32.p99: 45)",
    ]
    assert found.bounds["max_memory"] == 2 << 30
    assert result({**bounds, "max_load_seconds": 3, "max_memory": "3Gi"}, **measured).faults == found.faults[2:]


def test_a_fault_is_told_once_with_the_first_request_that_shows_it() -> None:
    first, second, third = (
        Comparison(
            api=api, method="predict", signature="predict", form=form, batch=1, records=1, difference=None, fault=fault
        )
        for api, form, fault in (("rest", "rows", "no"), ("grpc", "tensors", "no"), ("grpc", "tensors", None))
    )
    found = result({}, comparisons=[third, first, second], faults=["the server ended"])
    assert found.faults == (
        "the server ended",
        "the server doesn't answer as the trained model does (HTTP, signature 'predict', rows of 1 record): no",
    )
    assert found.difference is None and not found.passed
