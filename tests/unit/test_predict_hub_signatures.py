"""Hub modules of every type with `hubline predict --hub` and `task: infer`, compared with NumPy."""

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from hubline.components.predictor.hub_model import HubModelSpec, Options
from hubline.components.predictor.inputs import pieces_of
from hubline.components.predictor.label_file import read_labels
from hubline.components.predictor.predict import predictions
from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.load import load
from hubline.pipeline.preflight import check
from hubline.trainer import operations
from tests.support import example_data, hub_modules, tf1_hub_modules
from tests.support import model as make_model
from tests.support.predict import predict
from tests.support.project import PIPELINE, make_project

SIZES = [(8, 8), (9, 12), (20, 6)]
PIXELS = [np.random.default_rng(n).integers(0, 256, [*size, 3], np.uint8) for n, size in enumerate(SIZES)]
ANY = [None, None, None, 3]
NOTHING = Options()


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    """Records with an image each, of different sizes, and a text."""
    path = tmp_path_factory.mktemp("asked")
    records = [
        example_data.record(photo=example_data.image_bytes(pixels), note="a" * n) for n, pixels in enumerate(PIXELS)
    ]
    example_data.write_tfrecord(path / "data" / "all", records)
    return path


def asked_alone(folder: Path, module: Path, *options: object) -> list[dict[str, Any]]:
    arguments = ["--hub", module, folder / "data", "--column", "photo", *options, "--json"]
    return json.loads(predict(*arguments).stdout.splitlines()[-1])["predictions"]


def infer(folder: Path, module: Path, image: str = "", hub: str = "", features: str = "", options=NOTHING) -> list:
    """Predictions of the step Predictor for a pipeline file with a module, without the other steps."""
    path = folder / "infer.yaml"
    path.write_text(
        "task: infer\nname: ask\ndata: {examples: data}\n"
        f"features: {{picture: {{kind: image, from: photo{image}}}{features}}}\n"
        f"hubs: {{asked: {{handle: {module}, {hub or 'inputs: {x: picture}'}}}}}\n"
        "predictions: {destination: out}\n"
    )
    file, _, _ = check(path)
    model_spec = HubModelSpec.of(str(module), file.hubs["asked"], file.features, options)
    model = model_spec.open()
    pieces = pieces_of([str(folder / "data")])
    return [one.answer for one in predictions(model, pieces, 64, None, "fail", lambda bad: None)]


def resized(pixels: np.ndarray, height: int = 8, width: int = 8) -> np.ndarray:
    return np.round(tf.image.resize(pixels, [height, width]).numpy()) / 255


def means(images: list[np.ndarray]) -> np.ndarray:
    return np.stack([image.mean((0, 1)) for image in images])


def spec(*shape: int | None, dtype: tf.DType = tf.float32) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype, name="images")


def mean(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(tf.cast(images, tf.float32), [-3, -2])


OWN, FIXED = means([pixels / 255 for pixels in PIXELS]), means(list(map(resized, PIXELS)))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("takes", "function", "expected"),
    [
        (spec(*ANY), mean, OWN),
        (spec(1, None, None, 3), mean, OWN),
        (spec(None, None, 3), mean, OWN),  # one image without a batch dimension
        (spec(None, 8, 8, 3), mean, FIXED),  # the module fixes the size
        (spec(8, 8, 3), mean, FIXED),
        (spec(*ANY, dtype=tf.uint8), lambda images: tf.cast(mean(images) / 255, tf.float16), OWN),
        (spec(*ANY, dtype=tf.bfloat16), lambda images: tf.cast(mean(images), tf.bfloat16), OWN),
        (spec(*ANY, dtype=tf.float16), lambda images: tf.cast(mean(images), tf.float64), OWN),
        (None, mean, OWN),
    ],
    ids=["any size", "a batch of one", "no batch", "a size", "no batch and a size", "float16", "bfloat16",
         "from float16", "no shape"],
)  # fmt: skip
def test_images_of_any_size(folder: Path, tmp_path: Path, takes, function: Callable, expected: np.ndarray) -> None:
    takes = takes or tf.TensorSpec(None, tf.float32, name="images")
    tolerance = {"float32": 1e-5, "uint8": 1e-3, "float16": 2e-3, "bfloat16": 2e-2}[takes.dtype.name]
    module = hub_modules.module(tmp_path / "module", takes, function)
    found = [one["default"] for one in asked_alone(folder, module)]
    np.testing.assert_allclose(np.reshape(found, [3, 3]), expected, atol=tolerance)
    of_file = [answer.json_values["default"] for answer in infer(folder, module)]
    assert of_file == found
    json.dumps(of_file)


@pytest.mark.slow
def test_a_size_in_the_file_is_used_and_grey_where_it_says_so(folder: Path, tmp_path: Path) -> None:
    module = hub_modules.module(tmp_path / "module", spec(*ANY), mean)
    sized = [answer.json_values["default"] for answer in infer(folder, module, ", size: [4, 6]")]
    np.testing.assert_allclose(sized, means([resized(pixels, 4, 6) for pixels in PIXELS]), atol=1e-5)
    wide = [answer.json_values["default"] for answer in infer(folder, module, ", value_range: [-1, 1]")]
    np.testing.assert_allclose(wide, 2 * OWN - 1, atol=1e-5)
    grey = hub_modules.module(tmp_path / "grey", spec(None, None, None, 1), mean)
    expected = [tf.image.rgb_to_grayscale(pixels).numpy().mean() / 255 for pixels in PIXELS]
    found = [answer.json_values["default"] for answer in infer(folder, grey, ", channels: 1")]
    np.testing.assert_allclose(np.reshape(found, [3]), expected, atol=1e-5)
    np.testing.assert_allclose([one["default"] for one in asked_alone(folder, grey)], found)


@pytest.mark.slow
@pytest.mark.parametrize("size", ["", ", size: [8, 8]"])
def test_a_tf1_classifier_names_classes(folder: Path, tmp_path: Path, size: str) -> None:
    module = tf1_hub_modules.images(tmp_path / "module")
    (tmp_path / "labels.txt").write_text("a\nb\nc\nd\ne\n")
    found = asked_alone(folder, module, "--labels", tmp_path / "labels.txt", "--top", 2)
    # All five numbers are equal, so the first classes are the best.
    assert [[one["label"] for one in said["top"]] for said in found] == [["a", "b"]] * 3
    assert found[0]["score"] == pytest.approx(0.2)
    options = Options(labels=read_labels(str(tmp_path / "labels.txt")), top=2)
    for answer, said in zip(infer(folder, module, size, options=options), found, strict=True):
        assert answer.json_values == {key: said[key] for key in ("label", "score", "top")}


@pytest.mark.slow
def test_a_tf1_detector_finds(folder: Path, tmp_path: Path) -> None:
    module = tf1_hub_modules.detector(tmp_path / "module")
    found = asked_alone(folder, module, "--min-score", 0)
    for said, red in zip(found, OWN[:, 0], strict=True):
        (one,) = said["detections"]
        assert one == {"box": [0, 0, 1, 1], "score": pytest.approx(red, abs=1e-5), "class": 7, "name": "All"}
    of_file = infer(folder, module, options=Options(min_score=0))
    assert [answer.json_values["detections"] for answer in of_file] == [said["detections"] for said in found]


@pytest.mark.slow
def test_a_detector_of_image_files_in_pixels(folder: Path, tmp_path: Path) -> None:
    def find(files: tf.Tensor) -> dict[str, tf.Tensor]:
        size = tf.cast(tf.shape(tf.io.decode_image(files[0], expand_animations=False))[:2], tf.float32)
        box = tf.concat([[0.0, 0.0], size / 2], 0)
        return {"detection_boxes": box[tf.newaxis, tf.newaxis], "detection_scores": tf.constant([[0.9]])}

    module = hub_modules.module(tmp_path / "module", tf.TensorSpec([1], tf.string), find)
    of_file = infer(folder, module)
    (one,) = of_file[1].json_values["detections"]
    assert one["box"] == pytest.approx([0, 0, 0.5, 0.5])
    found = asked_alone(folder, module)  # without knowing that these are not texts
    assert [said["detections"] for said in found] == [answer.json_values["detections"] for answer in of_file]


@pytest.mark.slow
def test_an_image_to_image_module_with_only_a_signature(folder: Path, tmp_path: Path) -> None:
    module = make_model.saved(tmp_path / "module", make_model.Negative(), serving_default="negative")
    output = tmp_path / "out"
    predict("--hub", module, folder / "data", "--column", "photo", "--output", output)
    (path,) = output.glob("*.jsonl")
    said = [json.loads(line) for line in path.read_text().splitlines()]
    for answer, one, pixels in zip(infer(folder, module), said, PIXELS, strict=True):
        np.testing.assert_array_equal(answer.pictures["negative"], 255 - pixels)
        with Image.open(io.BytesIO((output / one["negative"]).read_bytes())) as written:
            np.testing.assert_array_equal(np.asarray(written), 255 - pixels)


@pytest.mark.slow
def test_outputs_in_a_dictionary_and_one_of_them(folder: Path, tmp_path: Path) -> None:
    module = hub_modules.module(
        tmp_path / "module",
        spec(*ANY),
        lambda x: {"mean": mean(x), "inner": {"most": tf.reduce_max(x, [1, 2])}, "name": tf.constant(["one"])},
    )
    for said in (asked_alone(folder, module), [answer.json_values for answer in infer(folder, module)]):
        np.testing.assert_allclose([one["mean"] for one in said], OWN, atol=1e-5)
        np.testing.assert_allclose([one["inner/most"] for one in said], [p.max((0, 1)) / 255 for p in PIXELS])
        assert {one["name"] for one in said} == {"one"}
    (one, *_) = asked_alone(folder, module, "--output-name", "mean")
    assert one.keys() == {"input", "record", "mean"}


@pytest.mark.slow
def test_several_inputs_of_images_and_texts(folder: Path, tmp_path: Path) -> None:
    module = hub_modules.signature(
        tmp_path / "module",
        {"left": spec(*ANY), "right": spec(None, 4, 4, 1), "text": tf.TensorSpec([None], tf.string)},
        lambda left, right, text: {
            "sum": mean(left) + mean(right),
            "length": tf.strings.length(text),
        },
    )
    features = ", grey: {kind: image, from: photo, channels: 1}, note: {kind: text}"
    found = infer(folder, module, "", "inputs: {left: picture, right: grey, text: note}", features)
    grey = [np.round(tf.image.resize(tf.image.rgb_to_grayscale(p), [4, 4])) / 255 for p in PIXELS]
    np.testing.assert_allclose([answer.json_values["sum"] for answer in found], OWN + means(grey), atol=1e-5)
    assert [answer.json_values["length"] for answer in found] == [0, 1, 2]
    result = predict("--hub", module, folder / "data", code=2)
    assert "without a pipeline file, a module must have one input; several need a pipeline file" in str(
        result.exception
    )


def test_an_operation_that_is_not_installed_is_named(folder: Path, tmp_path: Path, monkeypatch) -> None:
    module = hub_modules.module(tmp_path / "module", spec(*ANY), mean)
    hub_modules.with_operation(module, Mean="SentencepieceOp")
    monkeypatch.setattr(operations, "is_installed", lambda package: False)
    result = predict("--hub", module, folder / "data", "--column", "photo", code=2)
    assert f"{module}: it uses operations that this TensorFlow doesn't have: Sent" in str(result.exception)
    with pytest.raises(PipelineFileError) as caught:
        infer(folder, module)
    assert [(diagnostic.key, "SentencepieceOp" in diagnostic.message) for diagnostic in caught.value.diagnostics] == [
        ("hubs.asked.handle", True)
    ]


def test_a_generator_is_not_asked_by_a_file(folder: Path, tmp_path: Path) -> None:
    module = make_model.saved(tmp_path / "module", make_model.Generator())
    says = rf"hubline predict --hub {module} --latent N"
    wrong = r"the module's input 'latent' takes float32\[\?, 4\], but the feature 'picture' gives float32"
    with pytest.raises(PipelineFileError, match=wrong):
        infer(folder, module)
    with pytest.raises(PipelineFileError, match=rf"^[^\n]* hubs.asked: has no inputs; [^\n]* {says}$"):
        infer(folder, module, hub="inputs: {}")


@pytest.mark.slow
def test_a_module_that_says_one_of_height_and_width(folder: Path, tmp_path: Path) -> None:
    module = hub_modules.module(tmp_path / "module", spec(None, 8, None, 3), mean)
    with pytest.raises(
        UserError, match=r"float32\[\?, 8, \?, 3\], which fixes only the height or the width; give the feature a size"
    ):
        infer(folder, module)
    result = predict("--hub", module, folder / "data", code=2)
    assert "give a size, by --image-size H,W" in str(result.exception)
    assert len(infer(folder, module, ", size: [8, 20]")) == 3
    assert len(asked_alone(folder, module, "--image-size", "8,20")) == 3


def test_images_are_sized_in_training(tmp_path: Path) -> None:
    path = make_project(tmp_path, PIPELINE.replace(", size: [8, 8]", ""))
    with pytest.raises(PipelineFileError) as caught:
        load(path)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.key, "missing (height and width" in diagnostic.message) == ("features.image.size", True)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("count", "says"),
    [
        (4, r"there are 4 labels, .* has 5 numbers; the first label is 'name-0': where the module counts a background"),
        (
            6,
            r"there are 6 labels, .* has 5 numbers; the first label is 'name-0' and the last 'name-5': where one",
        ),
        (9, r"there are 9 labels, .* has 5 numbers; give a label for each"),
    ],
)
def test_labels_that_are_one_off(folder: Path, tmp_path: Path, count: int, says: str) -> None:
    module = tf1_hub_modules.images(tmp_path / "module")
    (tmp_path / "labels.txt").write_text("".join(f"name-{number}\n" for number in range(count)))
    options = Options(labels=read_labels(str(tmp_path / "labels.txt")))
    with pytest.raises(UserError, match=says) as caught:
        infer(folder, module, options=options)
    labels = ["--column", "photo", "--labels", tmp_path / "labels.txt"]
    assert str(predict("--hub", module, folder / "data", *labels, code=2).exception) == str(caught.value)


@pytest.mark.parametrize("text", ["0\ta\n1\tb\n", "1,a\n2,b\n3,c", "index,name\n0,a\n1,b\n", "0; a\r\n1; b\r\n"])
def test_labels_with_numbers_are_not_guessed_at(tmp_path: Path, text: str) -> None:
    path = tmp_path / "labels.txt"
    path.write_bytes(text.encode())
    with pytest.raises(UserError, match=r"its lines are numbered, such as .*; a labels file has one name per line"):
        read_labels(str(path))


@pytest.mark.parametrize("names", [["7", "3"], ["tench, Tinca tinca", "eft"], ["0,5", "1,5", "1,7"], ["1, 2 or 3"]])
def test_names_may_have_numbers_and_commas(tmp_path: Path, names: list[str]) -> None:
    (tmp_path / "labels.txt").write_text("\n".join(names))
    assert read_labels(str(tmp_path / "labels.txt")) == tuple(names)
