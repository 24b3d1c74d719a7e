"""TensorFlow Serving's Classify and Regress requests to exported models."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import classification_pb2, regression_pb2

from hubline.trainer.adapters.tensorflow import set_method_names
from hubline.trainer.labels.classes import Classes
from hubline.trainer.labels.multilabel import Multilabel
from hubline.trainer.labels.pixels import Pixels
from hubline.trainer.labels.regression import Regression
from hubline.trainer.task import Task
from tests.support import model_server
from tests.support.linear_models import LOGITS, NAMES, RECORDS, export, softmax


def asked(request: Any, signature: str) -> Any:
    request.model_spec.signature_name = signature
    for record in RECORDS:
        request.input.example_list.examples.add().MergeFromString(record)
    return request


@pytest.mark.slow
@pytest.mark.parametrize(
    ("task", "scores"),
    [(Classes(NAMES), softmax(LOGITS)), (Multilabel(NAMES, 0.5), 1 / (1 + np.exp(-LOGITS)))],
    ids=["class", "multilabel"],
)
def test_a_classify_request_gets_every_class_with_its_score(tmp_path: Path, task: Task, scores: np.ndarray) -> None:
    path = export(tmp_path / "1", task)
    response = model_server.classify(path, asked(classification_pb2.ClassificationRequest(), "classify"))
    found = response.result.classifications
    assert [[each.label for each in one.classes] for one in found] == [list(NAMES)] * len(RECORDS)
    np.testing.assert_allclose([[each.score for each in one.classes] for one in found], scores, rtol=1e-5)


@pytest.mark.slow
def test_a_regress_request_gets_the_number_in_the_unit_of_the_label(tmp_path: Path) -> None:
    path = export(tmp_path / "1", Regression(lambda raw, dtype: tf.cast(raw, dtype) * 10 + 1000))
    response = model_server.regress(path, asked(regression_pb2.RegressionRequest(), "regress"))
    expected = LOGITS[:, 0].astype(np.float64) * 10 + 1000
    np.testing.assert_allclose([one.value for one in response.result.regressions], expected, rtol=1e-6)


class WholePixels(Pixels):
    """Pixels of images that are neither cropped nor padded."""

    def placed(self, answer: Any, features: Any, encoded: Any) -> Any:
        return answer


@pytest.mark.slow
def test_a_model_has_only_the_signatures_that_its_label_allows(tmp_path: Path) -> None:
    tasks = {
        "class": Classes(NAMES),
        "number": Regression(tf.cast),
        "pixels": WholePixels(NAMES, "image"),
    }
    found = {name: tf.saved_model.load(export(tmp_path / name, task)).signatures for name, task in tasks.items()}
    own = {name: set(signatures) - {"serving_default", "predict"} for name, signatures in found.items()}
    assert own == {"class": {"classify"}, "number": {"regress"}, "pixels": set()}


@pytest.mark.slow
def test_the_fingerprint_follows_the_method_names(tmp_path: Path) -> None:
    path = export(tmp_path / "1", Classes(NAMES))

    def hash_of_signatures() -> str:
        return str(tf.saved_model.experimental.read_fingerprint(path).signature_def_hash)

    before = hash_of_signatures()
    set_method_names(path, {"classify": tf.saved_model.PREDICT_METHOD_NAME})
    assert hash_of_signatures() != before
    set_method_names(path, {"classify": tf.saved_model.CLASSIFY_METHOD_NAME})
    assert hash_of_signatures() == before
