"""Weights of classes and of records: their formulas, what a pipeline file may say, and which records are accepted."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from pydantic import TypeAdapter

from hubline.components.config.data import Data
from hubline.components.config.evaluation import Evaluation
from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.components.example_validator.requirements import checks_of
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from hubline.preprocessing.config import Label
from hubline.trainer.class_weights import ManyClasses, OneClass, balanced
from hubline.trainer.losses import of_each_output
from tests.support import example_data


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    """The example of scikit-learn's `compute_class_weight`: y = [1, 1, 1, 1, 0, 0] gives 1.5 and 0.75."""
    np.testing.assert_allclose(balanced(np.array([2, 4])), [1.5, 0.75])
    np.testing.assert_allclose(balanced(np.array([[8, 2], [10, 0]])), [[0.625, 2.5], [1.0, 1.0]])


@settings(deadline=None, max_examples=50, derandomize=True)
@given(arrays.arrays(np.int64, st.integers(2, 5), elements=st.integers(0, 1000)))
def test_balanced_classes_weigh_the_same_and_1_on_average(counts: np.ndarray) -> None:
    weights = balanced(counts)
    assert (weights > 0).all()
    if total := counts.sum():
        of_class = weights[counts > 0] * counts[counts > 0]
        np.testing.assert_allclose(of_class, total / (counts > 0).sum(), rtol=1e-5)


def test_tables_of_one_class_and_of_many() -> None:
    one, many = OneClass(["a", "b", "c"]), ManyClasses(["a", "b"])
    target = tf.constant([2, 0, 2], tf.int64)
    assert one.counts(target).numpy().tolist() == [1, 0, 2]
    assert one.weights(target, tf.constant(one.table({"c": 5.0}))).numpy().tolist() == [5, 1, 5]
    tags = tf.constant([[1.0, 0.0], [0.0, 0.0], [1.0, 1.0]])
    assert many.counts(tags).numpy().tolist() == [[1, 2], [2, 1]]
    assert many.weights(tags, tf.constant([[1.0, 2.0], [3.0, 4.0]])).numpy().tolist() == [[2, 3], [1, 3], [2, 4]]


def test_the_loss_of_each_output_is_the_loss_without_weights() -> None:
    rng = np.random.default_rng(0)
    tags, logits = np.float32(rng.integers(0, 2, [5, 3])), np.float32(rng.normal(size=[5, 3]))
    plain = tf.keras.losses.BinaryCrossentropy(from_logits=True, label_smoothing=0.1)
    assert float(of_each_output(plain)(tags, logits)) == pytest.approx(float(plain(tags, logits)), rel=1e-6)


GOOD = """\
name: tiny
data: {examples: data}
features: {x: {kind: numeric}}
label: LABEL
training: {epochs: 1, TRAINING}
serving: {destination: serving}
"""
BINARY = "{kind: binary, from: y, classes: [no, yes]}"


def write(folder: Path, label: str, training: str) -> Path:
    path = folder / "pipeline.yaml"
    path.write_text(GOOD.replace("LABEL", label).replace("TRAINING", training))
    return path


@pytest.mark.parametrize(
    ("label", "training", "key", "says"),
    [
        (BINARY, "class_weights: {yse: 2}", "class_weights.yse", "'yse' is no class of the label; its classes are: no"),
        (BINARY, "class_weights: {yes: 0}", "class_weights.yes", "greater than 0"),
        (BINARY, "class_weights: {}", "class_weights", "got {}; set `balanced`, or a weight for each"),
        (BINARY, "class_weights: equal", "class_weights", "got 'equal'; set `balanced`"),
        ("{kind: regression, from: y}", "class_weights: balanced", "class_weights", "they are for class or binary or"),
        ("{kind: multilabel, columns: [a, b]}", "class_weights: {c: 2}", "class_weights.c", "its classes are: a, b"),
        (BINARY, "sample_weight: y", "sample_weight", "'y' is what the label is made from"),
        (BINARY, "sample_weight: w, augment: [{mixup: 0.2}]", "sample_weight", "mixup blends examples"),
    ],
)
def test_a_mistake_in_weights_has_its_line(tmp_path: Path, label: str, training: str, key: str, says: str) -> None:
    with pytest.raises(PipelineFileError) as caught:
        load(write(tmp_path, label, training))
    found = {each.key: each for each in caught.value.diagnostics}
    assert says in found[f"training.{key}"].message and found[f"training.{key}"].line == 5


def test_classes_named_by_numbers_are_named_as_they_are_written(tmp_path: Path) -> None:
    file, _ = load(write(tmp_path, "{kind: class, from: y}", "class_weights: {0: 1, 1: 2.5}"))
    assert file.training.class_weights == {"0": 1.0, "1": 2.5}


def test_a_sample_weight_that_the_first_record_lacks_is_found_before_a_run(tmp_path: Path) -> None:
    example_data.write_tfrecord(tmp_path / "data" / "a", [example_data.record(x=1.0, y=1, wieght=2.0)])
    with pytest.raises(PipelineFileError) as caught:
        check(write(tmp_path, BINARY, "sample_weight: weight"))
    (found,) = caught.value.diagnostics
    assert found.key == "training.sample_weight" and found.line == 5
    assert "no sample weight 'weight'; did you mean 'wieght'?" in found.message


@pytest.mark.parametrize(
    ("weight", "says"),
    [
        (1.5, None),
        (0.0, None),
        (-0.5, "its sample weight 'w' is -0.5; it must be 0 or more"),
        (float("nan"), "its sample weight 'w' is nan"),
        (float("inf"), "its sample weight 'w' is inf"),
        (example_data.feature(1.0, 2.0), "its sample weight 'w' has 2 values; it must have one"),
        (None, "it has no sample weight 'w'; its columns are: y"),
        ("heavy", "its sample weight 'w' is b'heavy'; it must be a number"),
        (3, "its sample weight 'w' is 3, of another type than those before it"),
    ],
)
def test_every_record_needs_a_weight(weight: object, says: str | None) -> None:
    label: Label = TypeAdapter(Label).validate_python({"kind": "regression", "from": "y"})
    contract = contract_of({}, label, "w")
    assert contract == Contract(images=(), numbers=("y",), weight="w")
    kind = kind_of(example_data.record(y=1.0, w=1.0), contract)
    record = example_data.record(y=1.0, **({} if weight is None else {"w": weight}))
    fault = find_fault(record, contract, kind)
    assert fault is None if says is None else says in str(fault)
    try:
        sound = bool(are_sound(tf.constant([record]), contract, kind)[0])
    except tf.errors.InvalidArgumentError:  # of another type
        sound = False
    assert sound == (fault is None)


def test_the_data_checks_know_the_column() -> None:
    label: Label = TypeAdapter(Label).validate_python({"kind": "regression", "from": "y"})
    checks = checks_of({}, label, Evaluation(), Data.model_validate({"examples": "data"}), "w")
    (use,) = checks.uses_of("w")
    assert use.key == "training.sample_weight" and use.types == ("int", "float")
