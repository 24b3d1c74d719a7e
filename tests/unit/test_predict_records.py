"""`hubline predict --hub --record-input examples`: models that take records as they are, compared with NumPy."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hubline.components.predictor.records_model import RecordsModelSpec
from hubline.core.errors import UserError
from tests.support import example_data, record_models
from tests.support import model as make_model
from tests.support.predict import predict, read, rows

pytestmark = pytest.mark.slow

NUMBERS = np.array([0.5, -1.25, 3.0, 0.0, -2.5, 1.5], np.float32)
EXAMPLES = ("--record-input", "examples")


@pytest.fixture(scope="module")
def models(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    record_models.line(folder / "line" / "3", serving_default="line", logits="logits")
    record_models.line(folder / "odd", centred="centred", total="total", found="found", numbers="numbers")
    record_models.estimator(folder / "estimator")
    make_model.served(folder / "serving")
    return folder


@pytest.fixture(scope="module")
def records(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("records") / "a.tfrecord"
    given = [example_data.record(x=float(x), word=f"w{number}") for number, x in enumerate(NUMBERS)]
    return example_data.write_tfrecord(path, given)


def asked(model: Path, records: Path, *options: object) -> list[dict[str, Any]]:
    said = rows("--hub", model, *EXAMPLES, *options, records)
    assert [one["record"] for one in said] == list(range(len(said)))
    return said


def test_all_outputs_are_returned_in_their_shapes(models: Path, records: Path) -> None:
    said = asked(models / "line", records, "--batch-size", 4)  # the newest version of a serving folder
    np.testing.assert_allclose([one["outputs"] for one in said], 3 * NUMBERS[:, np.newaxis] + 1)
    assert [one["words"] for one in said] == [f"w{number}" for number in range(6)]
    powers = NUMBERS[:, np.newaxis] ** [[1, 2, 3, 4]]
    np.testing.assert_allclose([one["planes"] for one in said], powers.reshape(6, 2, 2), rtol=1e-6)
    (said,) = {tuple(sorted(one)) for one in asked(models / "line" / "3", records, "--output-name", "words")}
    assert said == ("input", "record", "words")


def test_class_scores_get_names_and_keys(models: Path, records: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("up\ndown\nflat\n")
    options = ("--signature", "logits", "--labels", tmp_path / "labels.txt", "--top", 2, "--key", "word")
    predict("--hub", models / "line", *EXAMPLES, *options, "--output", tmp_path / "out", "--shards", 2, records)
    said = read(tmp_path / "out")
    logits = np.stack([NUMBERS, -NUMBERS, 0 * NUMBERS], axis=1)
    shares = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    order = np.argsort(-shares, axis=1, kind="stable")[:, :2]
    assert [[top["label"] for top in one["top"]] for one in said] == [
        [["up", "down", "flat"][number] for number in row] for row in order
    ]
    np.testing.assert_allclose([one["score"] for one in said], shares.max(axis=1), rtol=1e-6)
    assert [one["key"] for one in said] == [f"w{number}" for number in range(6)]


def test_an_estimators_classes_and_its_other_signature(models: Path, records: Path) -> None:
    high = 1 / (1 + np.exp(0.5 - 2 * NUMBERS.astype(np.float64)))
    said = asked(models / "estimator", records)
    for one, share in zip(said, high, strict=True):
        assert one["scores"] == {"0": pytest.approx(1 - share, abs=1e-6), "1": pytest.approx(share, abs=1e-6)}
        assert (one["label"], one["score"]) == (str(int(share > 0.5)), max(one["scores"].values()))
    said = asked(models / "estimator", records, "--signature", "predict")
    np.testing.assert_allclose([one["probabilities"][1] for one in said], high, atol=1e-6)
    np.testing.assert_array_equal([one["x"] for one in said], NUMBERS)


def test_the_best_classes_of_an_estimator_and_no_other_names(models: Path, records: Path, tmp_path: Path) -> None:
    for one in asked(models / "estimator", records, "--top", 1):
        (best,) = one["top"]
        assert (best["label"], best["score"]) == (one["label"], one["score"]) and len(one["scores"]) == 2
    (tmp_path / "labels.txt").write_text("no\nyes\n")
    result = predict("--hub", models / "estimator", *EXAMPLES, "--labels", tmp_path / "labels.txt", records, code=2)
    assert "the signature 'serving_default' names its classes itself; leave the labels out" in str(result.exception)


def test_classes_and_scores_of_objects_are_no_classification_whatever_their_names(models: Path, records: Path) -> None:
    for batch_size in (1, 2, 6):
        said = asked(models / "odd", records, "--signature", "found", "--batch-size", batch_size)
        assert [one["classes"] for one in said] == [
            [f"w{number}", f"w{number}" if x == 0 else "other"] for number, x in enumerate(NUMBERS)
        ]
        np.testing.assert_allclose([one["scores"] for one in said], np.stack([NUMBERS, 1 - NUMBERS], axis=1))


def test_a_model_in_hublines_format_answers_as_a_pushed_one(models: Path, records: Path) -> None:
    assert asked(models / "serving", records) == rows(models / "serving", records)


def test_a_record_that_the_model_rejects_is_bad_and_the_others_are_answered(models: Path, tmp_path: Path) -> None:
    given = [example_data.record(x=float(x)) for x in NUMBERS]
    path = example_data.write_tfrecord(tmp_path / "a", [*given[:2], example_data.record(word="w"), b"\xff", *given[2:]])
    result = predict("--hub", models / "line", *EXAMPLES, path, code=2)
    assert f"{path}: record 2 (counted from 0): it cannot be predicted on: " in str(result.exception)
    predict("--hub", models / "line", *EXAMPLES, "--bad", "skip", "--output", tmp_path / "out", path)
    said = read(tmp_path / "out")
    assert [one["record"] for one in said] == [0, 1, 4, 5, 6, 7]
    np.testing.assert_allclose([one["outputs"] for one in said], 3 * NUMBERS[:, np.newaxis] + 1)
    assert len((tmp_path / "out" / "bad.jsonl").read_text().splitlines()) == 2


def test_rows_that_depend_on_the_batch_are_refused_and_can_be_asked_alone(models: Path, records: Path) -> None:
    result = predict("--hub", models / "odd", *EXAMPLES, "--signature", "centred", records, code=2)
    assert "in the output 'outputs', the row of a record depends on the other records" in str(result.exception)
    assert "set the batch size to 1" in str(result.exception)
    alone = asked(models / "odd", records, "--signature", "centred", "--batch-size", 1)
    assert [one["outputs"] for one in alone] == [0.0] * 6


@pytest.mark.parametrize(
    ("model", "options", "says"),
    [
        ("odd", [], "several signatures take serialized tf.Examples (one input, string[?]); choose one"),
        ("odd", ["--signature", "numbers"], "the signature 'numbers' takes no serialized tf.Examples (one input, stri"),
        ("odd", ["--signature", "no"], "the signature 'no' doesn't exist (one input, string[?]); signatures: centred"),
        ("odd", ["--signature", "total"], "the output 'outputs' is [1] for 6 records: it doesn't have one row per rec"),
        ("line", ["--output-name", "no"], "has no output 'no'; its outputs are: outputs, planes, words"),
        ("line", ["--column", "x"], "--record-input examples passes records as they are; leave --column out"),
        ("line", ["--draw", "d"], "--draw: there is nothing to draw"),
        ("", [], "no saved_model.pb"),
    ],
)
def test_mistakes_say_what_would_be_right(models: Path, records: Path, model: str, options: list, says: str) -> None:
    result = predict("--hub", models / model if model else records.parent, *EXAMPLES, *options, records, code=2)
    assert says in str(result.exception)


def test_records_in_json_are_refused(models: Path) -> None:
    result = predict("--hub", models / "line", *EXAMPLES, "-", code=2, text='{"x": 1}')
    assert "a model with record_input: examples takes records as they are: TFRecords, not JSON" in str(result.exception)
    result = predict(models / "line", *EXAMPLES, "-", code=2, text='{"x": 1}')
    assert "--record-input: requires --hub HANDLE" in str(result.exception)


def test_operations_that_reach_files_are_refused_unless_allowed(tmp_path: Path) -> None:
    path = str(record_models.reading(tmp_path / "reading"))
    with pytest.raises(UserError, match="operations that reach beyond the module: ReadFile"):
        RecordsModelSpec(path).open()
    RecordsModelSpec(path, allow_operations=("ReadFile",)).open()
