"""What a run tells of its serving check, compared with the SavedModel in this process."""

import html
from pathlib import Path

import numpy as np
import psutil
import tensorflow as tf

from hubline.pipeline.result import Result
from hubline.serving.check.process import MODULE
from hubline.serving.model_card import HTML, ModelCard
from hubline.trainer.reference import FILE, Reference


def assert_answered_as_trained(result: Result, examples: str | None, bound: float = 1e-4) -> Reference:
    """Asserts that a server was asked in every way, and that its answers are those of the trained model.

    Args:
        result: A run that pushed.
        examples: The signature for Classify or Regress requests, if the model has one.
        bound: Greatest difference of the answers.

    Returns:
        The records and the trained model's answers.
    """
    checked = result.serving_check
    assert checked is not None and checked.passed and not checked.faults
    reference = Reference.read(f"{result.artifacts.model_run}/{FILE}")
    many = len(reference.records)
    asked = {(each.api, each.signature, each.form, each.batch) for each in checked.comparisons}
    assert asked == {
        *(("rest", name, form, many) for name in ("predict", "serving_default") for form in ("rows", "columns")),
        *(("grpc", name, "tensors", many) for name in ("predict", "serving_default")),
        *((api, examples, "examples", many) for api in ("rest", "grpc") if examples),
        *((*how, batch) for how in (("rest", "predict", "rows"), ("grpc", "predict", "tensors")) for batch in (1, 32)),
    }
    assert all(each.fault is None and each.difference < bound for each in checked.comparisons)
    assert {each.records for each in checked.comparisons} == {many} == {checked.records}
    assert {(each.api, each.batch) for each in checked.latencies} == {
        (api, n) for api in ("rest", "grpc") for n in (1, 32)
    }
    assert all(each.requests >= 5 and 0 < each.p50_ms <= each.p99_ms for each in checked.latencies)
    assert 0 < checked.load_seconds < checked.start_seconds and checked.memory_bytes > 200 << 20

    card = ModelCard.read(result.pushed_model)
    assert card is not None and card.serving_check == checked
    assert all(sentence in html.unescape(Path(result.pushed_model, HTML).read_text()) for sentence in checked.summary)
    assert '<section id="serving-check">' in Path(result.report, "index.html").read_text()
    assert not [each for each in psutil.Process().children(recursive=True) if MODULE in each.cmdline()]
    return reference


def assert_saved_model_agrees(result: Result, reference: Reference, bound: float = 1e-4) -> None:
    """Asserts that the pushed SavedModel gives the floats of a reference, by TensorFlow in this process."""
    serving = tf.saved_model.load(result.pushed_model).signatures["serving_default"]
    found = serving(examples=tf.constant(list(reference.records)))
    assert found.keys() == reference.answers.keys()
    for name, array in reference.answers.items():
        assert found[name].dtype == tf.as_dtype(array.dtype) and found[name].shape == array.shape
        if array.dtype.kind == "f":
            np.testing.assert_allclose(found[name], array, atol=bound, rtol=bound)
