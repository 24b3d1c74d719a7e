"""The decision threshold of binary labels: choosing one, deciding by it, and the metrics of decisions."""

import dataclasses
import re

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter
from sklearn.metrics import accuracy_score, balanced_accuracy_score, f1_score

from hubline.components.predictor.evaluation import GroundTruth
from hubline.components.predictor.inputs import Item
from hubline.components.predictor.model import Answer
from hubline.components.predictor.predict import Prediction
from hubline.preprocessing.config import Label
from hubline.preprocessing.labels.binary import BinaryLabel
from hubline.trainer.labels.binary import TwoClasses
from hubline.trainer.labels.threshold import best_threshold
from tests.support import example_data

REFERENCES = {
    "f1": lambda true, predicted: f1_score(true, predicted, zero_division=0.0),
    "macro_f1": lambda true, predicted: f1_score(true, predicted, average="macro", zero_division=0.0),
    "accuracy": accuracy_score,
    "macro_recall": balanced_accuracy_score,
}
NAMES = ["no", "yes"]


@given(
    st.lists(st.tuples(st.booleans(), st.floats(0.0009765625, 0.9990234375, width=32)), min_size=2, max_size=30),
    st.sampled_from(sorted(REFERENCES)),
)
@settings(deadline=None, max_examples=150)
def test_no_threshold_is_better(records: list[tuple[bool, float]], metric: str) -> None:
    true, scores = (np.array(column) for column in zip(*records, strict=True))
    scores = scores.astype(np.float32)
    threshold, said = best_threshold(true, scores, metric, "yes")
    if true.all() or not true.any():
        assert threshold is None and "one class" in said
        return
    assert threshold is not None and 0 < threshold <= 1 and threshold == np.float32(threshold)
    value = REFERENCES[metric]
    every = [value(true, scores >= cut) for cut in (*scores, 0.5, 2.0)]
    assert value(true, scores >= np.float32(threshold)) == pytest.approx(max(every))
    found, at_half = map(float, re.findall(r"(?:split: |with 0.5, )([\d.]+\d)", said))
    assert found == pytest.approx(max(every), abs=1e-4) and at_half == pytest.approx(every[-2], abs=1e-4)


def test_of_equal_thresholds_the_one_closest_to_a_half_is_chosen() -> None:
    true, scores = np.array([False, True]), np.array([0.1, 0.9], np.float32)
    assert best_threshold(true, scores, "f1", "yes")[0] == 0.5
    assert best_threshold(true, np.array([0.1, 0.4], np.float32), "f1", "yes")[0] == pytest.approx(0.25)


def logits(yes: np.ndarray) -> np.ndarray:
    """Outputs of a network with these scores of the second class."""
    return np.log(np.stack([1 - yes, yes], axis=1)).astype(np.float32)


YES = np.array([0.1, 0.29, 0.31, 0.5001, 0.9], np.float32)


@pytest.mark.parametrize(
    ("threshold", "expected"), [(None, [0, 0, 0, 1, 1]), (0.3, [0, 0, 1, 1, 1]), (0.7, [0, 0, 0, 0, 1])]
)
def test_answers_follow_the_threshold(threshold: float | None, expected: list[int]) -> None:
    task = TwoClasses(NAMES, threshold)
    answer = {name: values.numpy() for name, values in task.answer(tf.constant(logits(YES))).items()}
    assert [name.decode() for name in answer["label"]] == [NAMES[index] for index in expected]
    scores = np.stack([1 - YES, YES], axis=1)
    np.testing.assert_allclose(answer["scores"], scores, atol=1e-6)
    np.testing.assert_allclose(answer["score"], scores[np.arange(5), expected], atol=1e-6)
    on_device = task.on_device(tf.constant(logits(YES)))
    assert set(on_device) == ({"scores", "score"} if threshold is None else {"scores"})


def test_the_accuracy_of_predictions_is_that_of_the_decisions() -> None:
    """Of one record each, whose label isn't the class with the highest score, or is."""
    truth = GroundTruth("clicked", ("no", "yes"), top=1)
    scores = {"no": 0.6, "yes": 0.4}
    record = example_data.record(clicked=1)
    for label, rank in (("yes", 0), ("no", None)):
        answer = Answer({"label": label, "score": scores[label], "scores": scores}, {})
        prediction = Prediction(Item("a", 0, 0, record), {}, answer)
        assert truth.rank(prediction) == rank
        assert dataclasses.replace(truth, top=2).rank(prediction) == (0 if rank == 0 else 1)


def test_a_task_decides_by_what_the_trained_model_says() -> None:
    rng = np.random.default_rng(0)
    true = rng.random(300) < 0.1
    yes = np.clip(0.2 * true + rng.normal(0.15, 0.08, 300), 0.01, 0.99)
    target, outputs = true.astype(np.int64), logits(yes)
    batches = [(tf.constant(target[rows]), tf.constant(outputs[rows])) for rows in (slice(200), slice(200, 300))]
    before = TwoClasses(NAMES, maximize="f1")
    task, said = before.decided(iter(batches))
    assert isinstance(task, TwoClasses) and task.threshold is not None and before.threshold is None
    decided = np.array([label == b"yes" for label in task.answer(tf.constant(logits(yes)))["label"].numpy()])
    assert f1_score(true, decided) == max(f1_score(true, yes >= cut) for cut in yes) > f1_score(true, yes >= 0.5)
    assert said is not None and f"{f1_score(true, decided):.4f}" in said

    def never() -> None:
        raise AssertionError
        yield

    assert TwoClasses(NAMES, 0.3).decided(never())[1] is None


def label(**section: object) -> BinaryLabel:
    return TypeAdapter(Label).validate_python({"kind": "binary", "from": "y", **section})


def test_a_threshold_is_a_score_or_a_metric() -> None:
    assert label(threshold=0.3).threshold == 0.3
    found = label(threshold={"maximize": "f1"}).threshold
    assert found is not None and not isinstance(found, float) and found.maximize == "f1"
    assert label(threshold=0.3).may_be_names, "texts have a decision threshold too"
    for wrong in (0, 1, 3, -0.5, {"maximize": "auc"}, {"f1": 0.5}, "half"):
        with pytest.raises(ValueError, match="threshold"):
            label(threshold=wrong)
    with pytest.raises(ValueError, match="the number above which a column means the second class is `above`"):
        label(threshold=3)
