"""Whether a hub module's outputs have a row per item is found out by trial, and predictions keep one structure."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.core.errors import UserError
from hubline.preprocessing.config import Features, ImageFeature
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.config.hubs import Hub
from hubline.trainer.hub_trial import TrialResult, pictures, try_outputs
from hubline.trainer.rows import try_rows
from hubline.trainer.saved_model_loader import open_module
from tests.support import example_data, hub_modules
from tests.support import model as make_model
from tests.support.predict import predict, read, rows

FACES = {"two": [(1, 2), (5, 6)], "none": [], "one": [(3, 3)], "three": [(0, 0), (0, 7), (7, 0)]}
TEXTS = ["a few words here", "", "word", "two words"]


def face(row: int, column: int) -> list[float]:
    return [row, column, row + 1, column + 1, pytest.approx(0.9), 1]


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    for module in (make_model.Faces, make_model.Words, make_model.Padded, make_model.RaggedWords, make_model.Lengths):
        make_model.saved(folder / module.__name__, module())
    return folder


FOUND = np.random.default_rng(0).normal(size=[9, 6]).astype(np.float32)
COUNTS = [2, 0, 1, 3, 1]
"""Number of detections in each probe."""


def flattened(numbers: Sequence[int]) -> np.ndarray:
    return np.concatenate([FOUND[number : number + COUNTS[number]] for number in numbers])


def padded(numbers: Sequence[int]) -> np.ndarray:
    given = np.zeros([len(numbers), max(COUNTS[number] for number in numbers), 6], np.float32)
    for row, number in enumerate(numbers):
        given[row, : COUNTS[number]] = FOUND[number : number + COUNTS[number]]
    return given


def one_alone(numbers: Sequence[int]) -> np.ndarray:
    if len(numbers) > 1:
        raise ValueError("one at a time")
    return FOUND[:1]


DRAWN = np.random.default_rng(1)


@pytest.mark.parametrize(
    ("gives", "kind"),
    [
        (lambda numbers: FOUND[numbers], "row"),
        (lambda numbers: FOUND[numbers] * (1 + 1e-4 * len(numbers)), "row"),
        (lambda numbers: FOUND[numbers].astype(np.float16), "row"),
        (lambda numbers: np.array([b"a", b"b", b"c", b"d", b"e"], object)[numbers], "row"),
        (lambda numbers: DRAWN.normal(size=[len(numbers), 4]), "row"),  # random in each call
        (lambda numbers: FOUND[numbers] * np.nan, "row"),
        (lambda numbers: FOUND[numbers][::-1], "dependent"),
        (lambda numbers: FOUND[numbers] - FOUND[numbers].mean(0), "dependent"),
        (padded, "dependent"),
        (flattened, "loose"),
        (lambda numbers: np.zeros([0, 6]), "loose"),
        (lambda numbers: FOUND, "loose"),
        (lambda numbers: FOUND[0, 0], "loose"),
        (lambda numbers: np.float32(len(numbers)), "loose"),
        (lambda numbers: FOUND[:1], "single"),
        (one_alone, "single"),
    ],
)
def test_outputs_are_told_apart_by_what_they_hold(gives, kind: str) -> None:
    tried = try_outputs(lambda numbers: {"output": gives(list(numbers))}, 5, "batches")
    assert tried.kind("output") == kind
    assert TrialResult.model_validate_json(tried.to_property()) == tried


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=3, max_size=5).filter(lambda counts: set(counts) != {1}))
def test_what_is_flattened_is_loose_whatever_is_found(counts: list[int]) -> None:
    def ask(numbers: Sequence[int]) -> Mapping[str, np.ndarray]:
        return {"found": np.concatenate([np.full([counts[number], 6], number) for number in numbers])}

    assert try_outputs(ask, len(counts), "batches").kind("found") == "loose"


def test_of_one_at_a_time_a_dimension_of_one_is_the_batch_and_another_is_not() -> None:
    def ask(numbers: Sequence[int]) -> Mapping[str, np.ndarray]:
        (number,) = numbers
        return {"mean": FOUND[:1], "found": flattened([number])}

    assert try_outputs(ask, 5, "one").outputs == {"mean": "single", "found": "loose"}
    assert try_outputs(ask, 5, "bare").outputs == {"mean": "loose", "found": "loose"}


def test_a_probe_that_is_not_taken_is_left_out_and_so_is_a_module_that_takes_none() -> None:
    def ask(numbers: Sequence[int]) -> Mapping[str, np.ndarray]:
        if 1 in numbers:
            raise tf.errors.InvalidArgumentError(None, None, "no")
        return {"output": FOUND[list(numbers)]}

    assert try_outputs(ask, 4, "batches").outputs == {"output": "row"}
    assert try_outputs(lambda numbers: ask([1]), 4, "batches") == TrialResult()


def test_an_output_that_is_not_finite_is_named() -> None:
    gives = lambda numbers: {"good": FOUND[list(numbers)], "bad": np.log(-np.abs(FOUND[list(numbers)]))}  # noqa: E731
    with np.errstate(invalid="ignore"):
        (warning,) = try_outputs(gives, 3, "batches").warnings
    assert warning.startswith("tried on ordinary input, the module's output 'bad' is nan in 6 of 6 numbers")


@pytest.mark.parametrize("size", [1, 2, 64])
@pytest.mark.slow
def test_what_is_found_stays_with_its_picture_in_one_structure(modules: Path, tmp_path: Path, size: int) -> None:
    for number, places in enumerate(FACES.values()):
        (tmp_path / f"{number}.png").write_bytes(make_model.with_faces(*places))
    found = rows("--hub", modules / "Faces", tmp_path, "--batch-size", size)
    assert [said["faces"] for said in found] == [[face(*place) for place in places] for places in FACES.values()]
    # One of two images has two faces and the other none: as many faces as images.
    pair = rows("--hub", modules / "Faces", tmp_path / "0.png", tmp_path / "1.png", "--batch-size", size)
    assert [said["faces"] for said in pair] == [[face(1, 2), face(5, 6)], []]
    means = [(40 * (64 - len(places)) + 255 * len(places)) / 64 / 255 for places in FACES.values()]
    np.testing.assert_allclose([said["mean"] for said in found], np.repeat(means, 3).reshape(-1, 3), rtol=1e-5)
    assert [said["sharpness"] for said in found] == [1, pytest.approx(40 / 255), 1, 1]
    kept = rows("--hub", modules / "Faces", tmp_path, "--output-name", "mean")
    np.testing.assert_allclose([said["mean"] for said in kept], [said["mean"] for said in found])


@pytest.mark.slow
@pytest.mark.parametrize("module", ["Words", "RaggedWords"])
def test_words_stay_with_their_text(modules: Path, tmp_path: Path, module: str) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    found = rows("--hub", modules / module, tmp_path / "a.jsonl")
    assert [said["default"] for said in found] == [text.split() for text in TEXTS]
    output = tmp_path / "out"
    predict("--hub", modules / module, tmp_path / "a.jsonl", "--output", output, "--format", "tfrecord")
    records = example_data.read_tfrecord(output / "predictions-00000-of-00001.tfrecord")
    columns = [tf.train.Example.FromString(record).features.feature for record in records]
    words = [[word.decode() for word in column["default"].bytes_list.value] for column in columns]
    assert words == [text.split() for text in TEXTS]


def test_an_answer_does_not_depend_on_the_texts_beside_it(modules: Path, tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"text": text}) + "\n" for text in TEXTS))
    found = rows("--hub", modules / "Padded", tmp_path / "a.jsonl")
    assert [said["default"] for said in found] == [[len(word) for word in text.split()] for text in TEXTS]


def test_a_row_too_many_is_refused_and_not_dealt_out(tmp_path: Path) -> None:
    """A module that seems to return a row per item, until it receives input that no trial covers."""

    def function(texts: tf.Tensor) -> tf.Tensor:
        lengths = tf.strings.length(texts)
        return tf.repeat(lengths, 1 + tf.cast(tf.strings.regex_full_match(texts, "rare"), tf.int32))

    module = hub_modules.module(tmp_path / "m", tf.TensorSpec([None], tf.string), function)
    (tmp_path / "a.jsonl").write_text('{"text": "usual"}\n{"text": "rare"}\n')
    result = predict("--hub", module, tmp_path / "a.jsonl", code=2)
    assert "the module's output 'default' is [3] for 2 items, but had one row per item in its trial" in str(
        result.exception
    )


@pytest.mark.slow
def test_a_module_that_takes_no_small_pictures_is_tried_with_larger_ones(tmp_path: Path) -> None:
    def function(images: tf.Tensor) -> dict[str, tf.Tensor]:
        with tf.control_dependencies([tf.debugging.assert_greater_equal(tf.shape(images)[1], 300)]):
            return {"negative": 1.0 - images, "mean": tf.reduce_mean(images, [1, 2])}

    module = hub_modules.module(tmp_path / "m", tf.TensorSpec([None, None, None, 3], tf.float32), function)
    (tmp_path / "a.png").write_bytes(example_data.image_bytes(np.full([300, 4, 3], 51, np.uint8)))
    predict("--hub", module, tmp_path / "a.png", "--output", tmp_path / "out")
    (said,) = read(tmp_path / "out")
    assert said["mean"] == pytest.approx([0.2] * 3, abs=1e-4) and said["negative"] == "pictures/000000-a.png"


FED: Features = {
    "photo": ImageFeature.model_validate({"kind": "image", "size": [8, 8]}),
    "note": TextFeature.model_validate({"kind": "text"}),
}


def hub(feature: str, **more: Any) -> Hub:
    return Hub.model_validate({"handle": "x", "inputs": {"x": feature}} | more)


def test_a_frozen_module_without_a_row_for_each_example_is_refused(modules: Path, tmp_path: Path) -> None:
    faces = open_module(str(modules / "Faces"))
    with pytest.raises(UserError, match=r"'faces' doesn't have one row per example: the module returned .*\[0, 6\]"):
        try_rows(hub("photo", output="faces"), faces, FED)
    assert try_rows(hub("photo", output="mean"), faces, FED).outputs == {"mean": "row"}
    mixed = hub_modules.module(
        tmp_path / "mixed", hub_modules.IMAGES, lambda images: tf.reduce_mean(images, [0, 1, 2])[tf.newaxis]
    )
    with pytest.raises(UserError, match=r"the module returned \[1, 3\] for one item, \[1, 3\] for 2, .* A head needs"):
        try_rows(hub("photo"), open_module(str(mixed)), FED)


@pytest.mark.slow
def test_a_module_that_mixes_examples_or_is_not_finite_is_warned_of(modules: Path, tmp_path: Path) -> None:
    normal = hub_modules.module(
        tmp_path / "normal",
        hub_modules.IMAGES,
        lambda images: tf.reduce_mean(images, [1, 2]) - tf.reduce_mean(images, [0, 1, 2]),
    )
    tried = try_rows(hub("photo"), open_module(str(normal)), FED)
    assert tried.outputs == {"default": "dependent"} and "depends on the other examples" in tried.warnings[0]
    logs = hub_modules.module(
        tmp_path / "logs", hub_modules.IMAGES, lambda images: tf.math.log(tf.reduce_mean(images, [1, 2]))
    )
    (warning,) = try_rows(hub("photo"), open_module(str(logs)), FED).warnings
    assert "output 'default' is -inf in 3 of 3 numbers" in warning
    assert try_rows(hub("note"), open_module(str(modules / "Lengths")), FED).warnings == ()


def test_pictures_differ_in_what_may_be_found() -> None:
    noise, black, white, one, two = pictures([8, 12, 3])
    assert len(np.unique(noise)) > 100 and black.max() == 0 and white.min() == 255
    assert (one == 255).all(-1).sum() == 6 and (two == 255).all(-1).sum() == 12
    assert [clip.shape for clip in pictures([4, 8, 8, 3])] == [(4, 8, 8, 3)] * 2
