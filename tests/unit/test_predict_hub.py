"""`hubline predict --hub`: classifiers, detectors, generators and others, compared with the module's own output."""

import base64
import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hubline.components.predictor.classes import probabilities
from hubline.components.predictor.detections import detections
from hubline.components.predictor.hub_model import HubModelSpec, Options
from hubline.components.predictor.inputs import Item
from hubline.components.predictor.plain_values import plain
from hubline.preprocessing.kinds.image import InferenceImageFeature
from hubline.trainer.config.hubs import Hub
from tests.support import example_data, hub_modules, tf1_hub_modules
from tests.support import model as make_model
from tests.support.predict import predict, read, rows

NAMES = ["red", "green", "blue"]


@pytest.fixture(scope="module")
def modules(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("modules")
    make_model.saved(folder / "classifier", make_model.Classifier())
    make_model.saved(folder / "detector", make_model.Detector())
    make_model.saved(folder / "detector-in-pixels", make_model.Detector(in_pixels=True))
    make_model.saved(folder / "generator", make_model.Generator())
    make_model.saved(folder / "negative", make_model.Negative(), serving_default="negative", other="negative")
    make_model.saved(folder / "lengths", make_model.Lengths())
    tf1_hub_modules.images(folder / "tf1")
    hub_modules.two_inputs(folder / "two")
    return folder


@pytest.fixture(scope="module")
def photos(tmp_path_factory) -> Path:
    """Five images of different sizes, two of them in a TFRecord file."""
    folder = tmp_path_factory.mktemp("photos")
    for number in range(3):
        (folder / f"{number}.png").write_bytes(example_data.random_image(number, 8 + number, 12))
    records = [example_data.record(image=example_data.random_image(number, 9, 9), id=number) for number in (3, 4)]
    example_data.write_tfrecord(folder / "more.tfrecord", records)
    return folder


def encoded(photos: Path) -> list[bytes]:
    records = example_data.read_tfrecord(photos / "more.tfrecord")
    columns = [tf.train.Example.FromString(record).features.feature for record in records]
    of_records = [column["image"].bytes_list.value[0] for column in columns]
    return [(photos / f"{number}.png").read_bytes() for number in range(3)] + of_records


def resized(image: bytes, height: int, width: int) -> np.ndarray:
    """Resizing as in this project: bilinear, rounded, in [0, 1]."""
    pixels = tf.io.decode_image(image, channels=3, expand_animations=False)
    return np.round(tf.image.resize(pixels, [height, width]).numpy()) / 255


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


@pytest.mark.slow
def test_a_classifier_names_its_best_classes(modules: Path, photos: Path, tmp_path: Path) -> None:
    (tmp_path / "labels.txt").write_text("\n".join(NAMES) + "\n")
    options = ["--hub", modules / "classifier", photos, "--labels", tmp_path / "labels.txt", "--top", 2]
    images = np.stack([resized(image, 8, 8) for image in encoded(photos)])
    expected = softmax(10 * images.mean((1, 2)))
    found = rows(*options)
    assert [(Path(said["input"]).name, said["record"]) for said in found] == [
        ("0.png", None), ("1.png", None), ("2.png", None), ("more.tfrecord", 0), ("more.tfrecord", 1),
    ]  # fmt: skip
    for said, shares in zip(found, expected, strict=True):
        best = np.argsort(-shares)[:2]
        assert [one["label"] for one in said["top"]] == [NAMES[index] for index in best]
        assert [one["index"] for one in said["top"]] == best.tolist()
        assert [one["score"] for one in said["top"]] == pytest.approx(shares[best].tolist(), abs=1e-5)
        assert (said["label"], said["score"]) == (said["top"][0]["label"], said["top"][0]["score"])
        assert "default" not in said
    predict(*options, "--output", tmp_path / "out", "--format", "tfrecord", "--shards", 2)
    records = [r for path in sorted((tmp_path / "out").iterdir()) for r in example_data.read_tfrecord(path)]
    columns = [tf.train.Example.FromString(record).features.feature for record in records]
    for said, column in zip(found, columns, strict=True):
        assert [name.decode() for name in column["top_labels"].bytes_list.value] == [o["label"] for o in said["top"]]
        assert column["top_scores"].float_list.value == pytest.approx([one["score"] for one in said["top"]])
        assert ("record" in column) == (said["record"] is not None)


@pytest.mark.slow
def test_without_labels_the_outputs_are_written_as_they_are(modules: Path, photos: Path) -> None:
    images = np.stack([resized(image, 8, 8) for image in encoded(photos)])
    found = rows("--hub", modules / "classifier", photos)
    np.testing.assert_allclose([said["default"] for said in found], 10 * images.mean((1, 2)), rtol=1e-5)
    numbered = rows("--hub", modules / "classifier", photos, "--top", 1)
    assert [said["label"] for said in numbered] == [str(n) for n in images.mean((1, 2)).argmax(1)]
    tf1 = rows("--hub", modules / "tf1", photos)
    np.testing.assert_allclose([said["default"] for said in tf1], images.mean((1, 2)) @ np.ones([3, 5]), rtol=1e-5)


@pytest.mark.parametrize("scores", [[0.0, 0.0, 0.0], [5.0, -2.0, 1e3], [0.7, 0.2, 0.2], [-0.5, 1.0, 0.5]])
def test_what_does_not_sum_to_1_becomes_its_softmax(scores: list[float]) -> None:
    np.testing.assert_allclose(probabilities(np.array(scores, np.float32)), softmax(np.array(scores)), rtol=1e-5)
    shares = softmax(np.array(scores)).astype(np.float16)
    np.testing.assert_array_equal(probabilities(shares), shares)


@pytest.mark.slow
@pytest.mark.parametrize("names", [NAMES[:2], [*NAMES, "background"]])
def test_labels_are_as_many_as_there_are_numbers(modules: Path, photos: Path, tmp_path: Path, names) -> None:
    (tmp_path / "labels.txt").write_text("\n".join(names))
    result = predict("--hub", modules / "classifier", photos, "--labels", tmp_path / "labels.txt", code=2)
    assert f"there are {len(names)} labels, but the module's output 'default' has 3 numbers" in str(result.exception)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["detector", "detector-in-pixels"])
def test_a_detector_gives_a_list_and_draws_it(modules: Path, tmp_path: Path, name: str) -> None:
    images = {
        "wide": make_model.white_box(20, 40, top=5, left=10, bottom=15, right=30),
        "high": make_model.white_box(64, 16, top=16, left=4, bottom=48, right=8),
    }
    for number, (stem, content) in enumerate(images.items()):
        (tmp_path / f"{number}-{stem}.png").write_bytes(content)
    (tmp_path / "labels.txt").write_text("one\ntwo\nthree\n")
    paths = sorted(tmp_path.glob("*.png"))
    found = rows("--hub", modules / name, *paths, "--draw", tmp_path / "drawn", "--labels", tmp_path / "labels.txt")
    boxes = [[0.25, 0.25, 0.75, 0.75], [0.25, 0.25, 0.75, 0.5]]
    for said, box in zip(found, boxes, strict=True):
        (one,) = said["detections"]
        assert one == {"box": pytest.approx(box), "score": 0.75, "class": 2, "name": "two"}
    low = rows("--hub", modules / name, *paths, "--min-score", 0.2)
    assert [[one["class"] for one in said["detections"]] for said in low] == [[2, 1], [2, 1]]
    assert low[0]["detections"][1]["box"] == pytest.approx([0, 0, 0.5, 0.5])
    drawn = sorted((tmp_path / "drawn").iterdir())
    assert [path.name for path in drawn] == ["000000-0-wide.png", "000001-1-high.png"]
    for path, (content, box) in zip(drawn, zip(images.values(), boxes, strict=True), strict=True):
        before, after = (np.asarray(Image.open(source).convert("RGB")) for source in (io.BytesIO(content), path))
        assert before.shape == after.shape
        height, width = before.shape[:2]
        bottom, right = round(box[2] * (height - 1)), round(box[3] * (width - 1))
        assert (after[bottom, right] != before[bottom, right]).any()  # the corner of the box
        np.testing.assert_array_equal(after[-1], before[-1])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["detector", "detector-in-pixels"])
@pytest.mark.parametrize(
    "part",
    [
        {"size": [80, 80], "fit": "pad"},
        {"central_crop": 0.8},
        {"size": [28, 64], "crop_box": {"top": 0.2, "left": 0.1, "bottom": 0.9, "right": 0.9}},
    ],
    ids=str,
)
def test_detections_refer_to_the_whole_image_whatever_part_the_module_sees(
    modules: Path, name: str, part: dict
) -> None:
    picture = make_model.white_box(20, 40, top=5, left=10, bottom=15, right=30)
    features: Any = {"photo": InferenceImageFeature.model_validate({"kind": "image"} | part)}
    hub = Hub(handle="-", inputs={"input_tensor": "photo"})
    model = HubModelSpec.of(str(modules / name), hub, features, Options()).open()
    (answer,) = model.ask("image", [Item("a.png", None, 0, picture)])
    (one,) = answer.json_values["detections"]
    assert one["box"] == pytest.approx([0.25, 0.25, 0.75, 0.75], abs=1e-5)


def test_detections_by_name_in_shares_or_pixels_and_without_a_batch() -> None:
    outputs: dict[str, Any] = {
        "detection_boxes": np.array([[0, 0, 1, 1], [10, 20, 50, 100]], np.float32),
        "detection_scores": np.array([0.3, 0.9], np.float32),
        "detection_class_entities": np.array(["Café".encode(), b"Tree"], object),
        "detection_class_labels": np.array([7, 9]),
    }
    best, other = detections(outputs, (100, 200), (), 0.3)
    assert best == {"box": pytest.approx([0.1, 0.1, 0.5, 0.5]), "score": pytest.approx(0.9), "class": 9, "name": "Tree"}
    assert (other["name"], other["class"]) == ("Café", 7)
    assert [one["name"] for one in detections(outputs, (100, 200), (), 0.31)] == ["Tree"]
    nothing = {"detection_boxes": np.zeros([1, 0, 4]), "detection_scores": np.zeros([1, 0])}
    assert detections(nothing, (1, 1), (), 0.0) == []


@pytest.mark.slow
def test_a_detector_whose_outputs_are_named_gives_them_as_they_are(modules: Path, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(make_model.white_box(20, 40, 5, 10, 15, 30))
    options = ["--output-name", "detection_scores", "--output-name", "num_detections"]
    (said,) = rows("--hub", modules / "detector", tmp_path / "a.png", *options)
    assert said["detection_scores"] == pytest.approx([0.25, 0.75, 0.99]) and said["num_detections"] == 2
    assert "detections" not in said and "detection_boxes" not in said


@pytest.mark.slow
def test_a_generator_draws_pictures_that_the_seed_tells(modules: Path, tmp_path: Path) -> None:
    def pictures(name: str, *options: object) -> np.ndarray:
        output = tmp_path / name
        predict("--hub", modules / "generator", "--latent", 7, "--output", output, *options)
        said = read(output)
        assert [(one["input"], one["record"]) for one in said] == [("latent", number) for number in range(7)]
        assert sorted(path.name for path in (output / "pictures").iterdir()) == [
            Path(one["default"]).name for one in said
        ]
        return np.stack([np.asarray(Image.open(output / one["default"])) for one in said])

    one = pictures("one", "--shards", 1, "--sheet", tmp_path / "sheet.png")
    assert one.shape == (7, 6, 5, 3)
    vectors = np.stack([tf.random.stateless_normal([4], [0, number]) for number in range(7)])
    expected = tf.sigmoid(vectors[:, :3]).numpy() * 255
    assert np.abs(one - expected[:, np.newaxis, np.newaxis]).max() <= 0.51
    np.testing.assert_array_equal(one, pictures("many", "--shards", 4, "--batch-size", 2))
    assert (one != pictures("other", "--seed", 5)).any()
    sheet = np.asarray(Image.open(tmp_path / "sheet.png"))
    assert sheet.shape[:2] == (3 * 164 + 4, 3 * 164 + 4)
    np.testing.assert_allclose(sheet[4 + 80, 4 + 80], one[0, 0, 0], atol=1)


@pytest.mark.slow
def test_an_image_becomes_another_by_a_signature_alone(modules: Path, photos: Path, tmp_path: Path) -> None:
    images = [tf.io.decode_image(image, channels=3).numpy() for image in encoded(photos)]
    for options in ([], ["--signature", "other"]):
        output = tmp_path / f"out{len(options)}"
        predict("--hub", modules / "negative", photos, "--output", output, *options)
        for said, image in zip(read(output), images, strict=True):
            np.testing.assert_array_equal(np.asarray(Image.open(output / said["negative"])), 255 - image)
            assert said["mean"] == pytest.approx((image / 255).mean((0, 1)).tolist(), abs=1e-5)
    predict("--hub", modules / "negative", photos, "--output", tmp_path / "sized", "--image-size", "6,4")
    sizes = {Image.open(path).size for path in (tmp_path / "sized" / "pictures").iterdir()}
    assert sizes == {(4, 6)}
    means = rows("--hub", modules / "negative", photos, "--output-name", "mean")
    assert all("negative" not in said for said in means)


def test_texts_come_from_a_column(modules: Path, tmp_path: Path) -> None:
    texts = ["a", "four", ""]
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"title": text, "n": 1}) + "\n" for text in texts))
    example_data.write_tfrecord(tmp_path / "b.tfrecord", [example_data.record(title=text) for text in texts])
    found = rows("--hub", modules / "lengths", tmp_path / "a.jsonl", tmp_path / "b.tfrecord", "--column", "title")
    assert [said["default"] for said in found] == [[len(text), len(text) ** 2] for text in texts] * 2


@pytest.mark.slow
def test_images_in_json_are_in_base_64(modules: Path, photos: Path, tmp_path: Path) -> None:
    lines = [json.dumps({"image": {"b64": base64.b64encode(image).decode()}}) for image in encoded(photos)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    same = rows("--hub", modules / "classifier", photos)
    found = rows("--hub", modules / "classifier", tmp_path / "a.jsonl")
    assert [said["default"] for said in found] == [said["default"] for said in same]


@pytest.mark.slow
def test_an_image_that_does_not_decode_is_bad_and_the_others_are_answered(modules: Path, tmp_path: Path) -> None:
    for number in range(6):
        content = example_data.random_image(number)
        (tmp_path / f"{number}.png").write_bytes({2: content[:60], 4: b""}.get(number, content))
    options = ["--hub", modules / "classifier", *sorted(tmp_path.glob("*.png"))]
    predict(*options, "--output", tmp_path / "out", "--bad", "skip")
    assert [Path(said["input"]).stem for said in read(tmp_path / "out")] == ["0", "1", "3", "5"]
    listed = [json.loads(line) for line in (tmp_path / "out" / "bad.jsonl").read_text().splitlines()]
    assert [(Path(one["input"]).stem, one["record"]) for one in listed] == [("2", None), ("4", None)]
    result = predict(*options, code=2)
    assert str(result.exception) == f"{tmp_path}/2.png: it cannot be predicted on: {listed[0]['reason'][27:]}"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("module", "arguments", "says"),
    [
        (
            "classifier",
            ["--image-size", "9,9"],
            "takes images float32[?, 8, 8, 3], but the size is 9, 9",
        ),
        ("classifier", ["--image-size", "9"], "--image-size 9: must be two numbers, such as 224,224"),
        ("classifier", ["--value-range", "1,0"], "the first number must be the smaller one"),
        ("classifier", ["--signature", "no"], "the module has no signature 'no'"),
        ("classifier", ["--output-name", "no"], "the module has no output 'no'; its outputs are: default"),
        ("classifier", ["--labels", "absent"], "absent: there is no such labels file"),
        ("classifier", ["--draw", "d"], "--draw: there is nothing to draw"),
        ("classifier", ["--sheet", "s.png"], "--sheet: there are no images"),
        ("classifier", ["--latent", "3"], "--latent uses random vectors and takes no input files"),
        ("generator", [], "a vector; pass --latent N and no files"),
        ("two", [], "without a pipeline file, a module must have one input"),
        ("lengths", [], "the module takes texts string[?]; pass TFRecords or JSON with the columns text"),
        ("negative", [], "the module's outputs are images (negative); pass --output FOLDER or --sheet FILE.png"),
        (
            "negative",
            ["--top", "3", "--output-name", "negative"],
            "number per class, but there are none among negative",
        ),
        ("absent", [], "there is no hub module here"),
    ],
)
def test_mistakes_say_what_would_be_right(modules: Path, photos: Path, monkeypatch, tmp_path, module, arguments, says):
    monkeypatch.chdir(tmp_path)
    result = predict("--hub", modules / module, photos / "0.png", *arguments, code=2)
    assert says in str(result.exception)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_latent_vectors_are_for_generators(modules: Path) -> None:
    result = predict("--hub", modules / "classifier", "--latent", 3, code=2)
    assert "--latent requires a module that takes a vector of numbers; this module takes images float" in str(
        result.exception
    )


@pytest.mark.slow
def test_a_module_of_clips_takes_records_with_lists_of_frames(tmp_path: Path) -> None:
    takes = tf.TensorSpec([None, 3, 8, 8, 3], tf.float32)
    module = hub_modules.module(tmp_path / "m", takes, lambda clips: tf.reduce_mean(clips, [2, 3, 4]))
    clips = [
        [example_data.random_image(10 * number + frame, 9, 7) for frame in range(3 + number)] for number in range(2)
    ]
    example_data.write_tfrecord(
        tmp_path / "a.tfrecord", [example_data.record(frames=example_data.feature(*clip)) for clip in clips]
    )
    lines = [{"frames": [{"b64": base64.b64encode(frame).decode()} for frame in clip]} for clip in clips]
    (tmp_path / "b.jsonl").write_text("\n".join(map(json.dumps, lines)))
    found = rows("--hub", module, tmp_path / "a.tfrecord", tmp_path / "b.jsonl")
    # The middle one in each of three equal parts, of four frames.
    expected = [
        [resized(clip[place], 8, 8).mean() for place in places]
        for clip, places in zip(clips, ([0, 1, 2], [0, 2, 3]), strict=True)
    ]
    np.testing.assert_allclose([said["default"] for said in found], expected * 2, rtol=1e-5)
    (tmp_path / "c.png").write_bytes(clips[0][0])
    refused = predict("--hub", module, tmp_path / "c.png", code=2)
    assert "pass TFRecords or JSON with the columns frames" in str(refused.exception)


@pytest.mark.slow
def test_vectors_of_numbers_and_ids_come_from_a_column(tmp_path: Path) -> None:
    weights = np.array([[1.0, -2.0], [0.5, 3.0], [2.0, 0.0]], np.float32)
    vectors = hub_modules.module(tmp_path / "vectors", tf.TensorSpec([None, 3]), lambda x: x @ weights)
    ids = tf.TensorSpec([None, 3], tf.int32)
    tokens = hub_modules.module(tmp_path / "tokens", ids, lambda x: tf.reduce_sum(tf.gather(weights, x), axis=1))
    numbers, wholes = [[0.5, 1.0, -1.0], [2.0, 0.0, 4.0]], [[0, 2, 1], [1, 1, 0]]
    records = [
        example_data.record(x=example_data.feature(*some), ids=example_data.feature(*wholes[n]))
        for n, some in enumerate(numbers)
    ]
    short = example_data.record(x=example_data.feature(1.0, 2.0), ids=example_data.feature(0, 0, 7))
    path = example_data.write_tfrecord(tmp_path / "a", [records[0], short, records[1]])
    predict("--hub", vectors, "--column", "x", "--bad", "skip", "--output", tmp_path / "out", path)
    np.testing.assert_allclose([one["default"] for one in read(tmp_path / "out")], numbers @ weights)
    (bad,) = (tmp_path / "out" / "bad.jsonl").read_text().splitlines()
    assert json.loads(bad)["record"] == 1 and "must have 3 finite numbers; it has" in bad
    whole = example_data.write_tfrecord(tmp_path / "b", records)
    expected = weights[wholes].sum(axis=1)
    np.testing.assert_allclose([one["default"] for one in rows("--hub", tokens, "--column", "ids", whole)], expected)
    (tmp_path / "a.jsonl").write_text("".join(json.dumps({"ids": one}) + "\n" for one in wholes))
    said = rows("--hub", tokens, "--column", "ids", tmp_path / "a.jsonl")
    np.testing.assert_allclose([one["default"] for one in said], expected)
    result = predict("--hub", tokens, "--column", "x", whole, code=2)
    assert "record 0 (counted from 0): it cannot be predicted on: " in str(result.exception)
    assert "the module takes int32; these numbers are not whole" in str(result.exception)
    (tmp_path / "big.jsonl").write_text(json.dumps({"ids": [0, 1, 2**24 + 1]}))  # float32 makes 2^24 of it
    result = predict("--hub", tokens, "--column", "ids", tmp_path / "big.jsonl", code=2)
    assert "not whole, or not in -16777215 to 16777215" in str(result.exception)


def test_numbers_of_different_counts_are_nested_lists() -> None:
    ragged = np.empty(2, object)
    ragged[:] = [[1.5], [2.0, 3.0]]
    assert plain(ragged) == [[1.5], [2.0, 3.0]]
