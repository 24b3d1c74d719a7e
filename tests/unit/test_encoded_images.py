"""All entry points decode images by the same rule, compared with Pillow."""

import base64
import io
import json
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image, ImageOps
from pydantic import TypeAdapter

from hubline.components.example_gen.contract import ColumnTypes, Contract
from hubline.components.example_gen.record_checks import are_sound, find_fault
from hubline.components.predictor.exported_model import ExportedModelSpec
from hubline.components.predictor.hub_model import HubModelSpec, Options
from hubline.components.predictor.input_binding import InputBinding
from hubline.components.predictor.inputs import pieces_of
from hubline.components.predictor.pictures import drawn
from hubline.pipeline.predict.predict import Request, predict_one_by_one
from hubline.preprocessing import encoded_images
from hubline.preprocessing.config import Features
from hubline.preprocessing.feature_columns import input_names
from hubline.preprocessing.image_files import as_record
from hubline.preprocessing.kinds.image import ImageFeature, InferenceImageFeature
from hubline.trainer.export import ServingModel
from hubline.trainer.export_format import PREDICT, names_of
from hubline.trainer.inputs import pixels_of_batch
from hubline.trainer.model import Parts
from hubline.trainer.module import Tensor
from hubline.trainer.task import VALUE, Task
from tests.support import example_data, hub_modules

ENDS = {"II": "<", "MM": ">"}


def saved(image: Image.Image, form: str, **options: object) -> bytes:
    out = io.BytesIO()
    image.save(out, form, **options)
    return out.getvalue()


def noise(height: int = 24, width: int = 40) -> Image.Image:
    """Squares of 8 pixels in different colours, which every JPEG decoder reads alike."""
    colours = np.random.default_rng(3).integers(0, 256, [height // 8, width // 8, 3], np.uint8)
    return Image.fromarray(colours.repeat(8, axis=0).repeat(8, axis=1))


def tiff(order: str, orientation: int, kind: int = 3, count: int = 1) -> bytes:
    """EXIF with a field before and one after the orientation."""
    end = ENDS[order]
    value = struct.pack(f"{end}HH", orientation, 0) if kind == 3 else struct.pack(f"{end}I", orientation)
    fields = struct.pack(f"{end}HHI4s", 0x0100, 3, 1, b"\0\6\0\6")
    fields += struct.pack(f"{end}HHI4s", 0x0112, kind, count, value)
    fields += struct.pack(f"{end}HHI4s", 0x0128, 3, 1, b"\0\3\0\3")
    return order.encode() + struct.pack(f"{end}HI", 42, 8) + struct.pack(f"{end}H", 3) + fields + b"\0\0\0\0"


def segment(mark: int, data: bytes) -> bytes:
    return bytes([0xFF, mark]) + struct.pack(">H", len(data) + 2) + data


def with_segments(*segments: bytes, behind: str = "start") -> bytes:
    """A JPEG with extra segments after its start or its first one (JFIF), or before its pixels."""
    plain = saved(noise(), "JPEG", quality=95, subsampling=0)
    place = {"start": 2, "jfif": 20, "tables": plain.index(b"\xff\xda")}[behind]
    return plain[:place] + b"".join(segments) + plain[place:]


def exif(order: str = "II", orientation: int = 6, **field: int) -> bytes:
    return segment(0xE1, b"Exif\0\0" + tiff(order, orientation, **field))


def by_pillow(data: bytes) -> np.ndarray:
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


@pytest.mark.parametrize("orientation", range(10))
@pytest.mark.parametrize("order", ["II", "MM"])
@pytest.mark.parametrize("behind", ["start", "jfif", "tables"])
def test_a_jpeg_is_turned_as_its_exif_says(orientation: int, order: str, behind: str) -> None:
    data = with_segments(exif(order, orientation), behind=behind)
    expected = by_pillow(data)
    assert int(encoded_images.orientation(data)) == (orientation if 1 <= orientation <= 8 else 1)
    np.testing.assert_array_equal(encoded_images.decode(tf.constant(data)), expected)
    assert encoded_images.shape_of(tf.constant(data)).numpy().tolist() == list(expected.shape)


FAR = segment(0xFE, b"a comment with Exif\0\0 in it") + segment(0xED, b"x" * 60_000) + b"\xff\xff"


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (with_segments(FAR + exif()), 6),
        (with_segments(exif("MM", 8, kind=4)), 8),
        (with_segments(segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0<x/>"), exif()), 6),
        (with_segments(exif("II", 3), exif("II", 6)), 3),
        (with_segments(segment(0xE2, b"Exif\0\0" + tiff("II", 6))), 1),  # another segment
        (with_segments(exif(count=2)), 1),
        (with_segments(exif()[:30] + bytes(100)), 1),
        (with_segments(segment(0xE1, b"Exif\0\0")), 1),
        (with_segments(segment(0xE1, b"Exif\0\0II*\0\xff\xff\xff\xff")), 1),
        (with_segments(segment(0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff")), 1),
        (with_segments(segment(0xE1, b"Exif\0\0XX" + tiff("II", 6)[2:])), 1),
        (with_segments(exif()[:14]), 1),
        (b"\xff\xd8\xff\xe1\xff\xffExif\0\0II*\0", 1),
        (b"\xff\xd8\xff\xe1\0\0Exif\0\0", 1),
        (b"\xff\xd8\xff", 1),
        (b"\x89PNG\r\n\x1a\n\xff\xff\xff\xffeXIf", 1),
        (b"\x89PNG\r\n\x1a\n\0", 1),
        (b"", 1),
    ],
)
def test_exif_that_is_elsewhere_or_damaged(data: bytes, expected: int) -> None:
    turn = tf.function(encoded_images.orientation, input_signature=[tf.TensorSpec([], tf.string)])
    assert int(turn(data)) == expected


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_png_is_turned_by_exif_before_its_pixels(orientation: int) -> None:
    told = Image.Exif()
    told[0x0112] = orientation
    data = saved(noise(), "PNG", exif=told)
    assert data.index(b"eXIf") < data.index(b"IDAT")
    np.testing.assert_array_equal(encoded_images.decode(tf.constant(data)), by_pillow(data))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fit", ["stretch", "crop", "pad", "crop_or_pad"])
@pytest.mark.slow
def test_every_fit_sees_the_upright_picture(orientation: int, fit: str) -> None:
    feature = ImageFeature(kind="image", size=(13, 8), fit=fit)
    data = with_segments(exif("MM", orientation))
    upright = saved(Image.fromarray(by_pillow(data)), "PNG")
    for one in (feature.decoded, tf.function(feature.decoded)):
        np.testing.assert_array_equal(one(tf.constant(data)), one(tf.constant(upright)))


def deep() -> bytes:
    return saved(Image.fromarray(np.arange(570, dtype=np.uint16).reshape(19, 30) * 115), "PNG")


def upper_bits(data: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(data))).astype(int)[..., None].repeat(3, 2) >> 8


IMAGES: dict[str, tuple[bytes, Callable[[bytes], np.ndarray]]] = {
    "cmyk.jpg": (saved(noise().convert("CMYK"), "JPEG", quality=95), by_pillow),
    "grey.jpg": (saved(noise().convert("L"), "JPEG"), by_pillow),
    "deep.png": (deep(), upper_bits),
    "alpha.png": (saved(noise().convert("LA"), "PNG"), by_pillow),
    "palette.png": (saved(noise().quantize(9), "PNG"), by_pillow),
    "animated.gif": (
        saved(noise().quantize(9), "GIF", save_all=True, append_images=[noise().rotate(180).quantize(9)]),
        by_pillow,
    ),
    "colours.bmp": (saved(noise(), "BMP"), by_pillow),
    "palette.bmp": (saved(noise().quantize(9), "BMP"), by_pillow),
    "grey.bmp": (saved(noise().convert("L"), "BMP"), by_pillow),
    "turned.dat": (with_segments(exif()), by_pillow),
    "bits.bmp": (saved(noise().convert("1"), "BMP"), by_pillow),
    "lossless.webp": (saved(noise(), "WEBP", lossless=True), by_pillow),
    "cmyk.tif": (saved(noise().convert("CMYK"), "TIFF"), by_pillow),
    "tiff.jpg": (saved(noise(), "TIFF"), by_pillow),
}
FOR_FILES_ALONE = {"bits.bmp", "lossless.webp", "cmyk.tif", "tiff.jpg"}
RECORD = Contract(images=("image",))


def sums(images: tf.Tensor) -> dict[str, tf.Tensor]:
    """Distinguishes any two of the images: sums of rows and of columns, for each colour."""
    pixels = tf.cast(images, tf.float32)
    return {"rows": tf.reduce_sum(pixels, 2), "columns": tf.reduce_sum(pixels, 1)}


@pytest.fixture(scope="module")
def module(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = tmp_path_factory.mktemp("module") / "sums"
    hub_modules.module(path, tf.TensorSpec([None, None, None, 3], tf.uint8), sums)
    return str(path)


def model_spec(module: str, path: Path) -> list[dict]:
    hub = HubModelSpec.alone(module, None, None, None, Options())
    return list(predict_one_by_one(hub, Request([str(path)], bad="fail"), lambda bad: None))


@pytest.mark.slow
@pytest.mark.parametrize("name", IMAGES)
def test_every_door_decodes_alike(tmp_path: Path, module: str, name: str) -> None:
    data, reference = IMAGES[name]
    expected = reference(data)
    stored = as_record(data)  # as convert writes it
    assert (stored == data) == (name not in FOR_FILES_ALONE)
    np.testing.assert_array_equal(encoded_images.decode(tf.constant(stored)), expected)
    # In batches, as exported models and infer decode them.
    infer = InputBinding(
        Tensor(dtype="uint8", shape=(None, None, None, 3)), "image", InferenceImageFeature(kind="image")
    )
    np.testing.assert_array_equal(infer.fed(tf.constant([stored]))[0], expected)
    feature = ImageFeature(kind="image", size=expected.shape[:2])
    np.testing.assert_array_equal(pixels_of_batch({"p": feature}, {"p": tf.constant([stored] * 2)})["p"][1], expected)
    # Images with boxes drawn.
    np.testing.assert_array_equal(np.asarray(Image.open(io.BytesIO(drawn(stored, [])))), expected)
    # Files with any name, JSON and records.
    (tmp_path / "a-file").write_bytes(data)
    (tmp_path / name).write_bytes(data)
    (tmp_path / "a.json").write_text(json.dumps({"image": {"b64": base64.b64encode(stored).decode()}}))
    example_data.write_tfrecord(tmp_path / "records", [example_data.record(image=stored)])
    for path in ("a-file", name, "a.json", "records"):
        (answer,) = model_spec(module, tmp_path / path)
        np.testing.assert_array_equal(answer["rows"], expected.astype(int).sum(1))
        np.testing.assert_array_equal(answer["columns"], expected.astype(int).sum(0))


@pytest.mark.parametrize("name", IMAGES)
def test_a_record_holds_what_models_decode(name: str) -> None:
    data, _ = IMAGES[name]
    record = example_data.record(image=data)
    is_sound = bool(are_sound(tf.constant([record]), RECORD, ColumnTypes())[0])
    assert is_sound == (name not in FOR_FILES_ALONE)
    fault = find_fault(record, RECORD)
    if is_sound:
        assert fault is None
        return
    assert fault is not None and fault.startswith(f"its image 'image' is not {encoded_images.FORMATS}: it ")
    with pytest.raises(tf.errors.InvalidArgumentError, match=f"the image is not {encoded_images.FORMATS}"):
        tf.function(encoded_images.decode)(tf.constant(data))


def test_a_file_is_what_its_bytes_say(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(
        example_data.write_tfrecord(tmp_path / "r", [example_data.record(x=1)]).read_bytes()
    )
    (tmp_path / "b.tfrecord").write_bytes(IMAGES["lossless.webp"][0])
    (tmp_path / "empty.jpg").write_bytes(b"")
    (tmp_path / "empty.tfrecord").write_bytes(b"")
    found = {Path(piece.input).name: piece.input_type for piece in pieces_of([str(tmp_path)])}
    assert found == {
        "a.png": "example",
        "b.tfrecord": "image",
        "empty.jpg": "image",
        "empty.tfrecord": "example",
        "r": "example",
    }


def test_a_byte_order_mark_is_no_part_of_json(tmp_path: Path, module: str) -> None:
    record = json.dumps({"image": {"b64": base64.b64encode(IMAGES["grey.jpg"][0]).decode()}})
    (tmp_path / "a.jsonl").write_bytes(b"\xef\xbb\xbf" + f"{record}\n{record}\n".encode())
    assert len(model_spec(module, tmp_path / "a.jsonl")) == 2


def test_columns_get_names_of_their_own() -> None:
    columns = ["a.b", "a-b", "a_b", "a b", "a_b_2", "c d", "1"]
    expected = {
        "a_b": "a_b", "a_b_2": "a_b_2", "c d": "c_d", "1": "column_1", "a b": "a_b_3", "a-b": "a_b_4", "a.b": "a_b_5"
    }  # fmt: skip
    assert input_names(columns) == input_names(reversed(columns)) == expected


class Weighed(Task):
    """A task whose output identifies the position of each pixel of two images."""

    WEIGHTS = np.random.default_rng(0).integers(1, 9, [2, 24, 24, 3]).astype(np.float32) / 1000

    def loss(self) -> tf.keras.losses.Loss:
        raise NotImplementedError

    def comparable(self, target: tf.Tensor, outputs: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        raise NotImplementedError

    def answer(self, outputs: tf.Tensor) -> dict[str, tf.Tensor]:
        return {VALUE: outputs}

    @classmethod
    def export(cls, path: str) -> None:
        """A model on columns `a.b` and `a-b`, which map to the same name."""
        features = TypeAdapter(Features).validate_python(
            {
                "one": {"kind": "image", "from": "a.b", "size": [24, 24]},
                "two": {"kind": "image", "from": "a-b", "size": [24, 24]},
            }
        )
        inputs = {name: tf.keras.Input([24, 24, 3], dtype=tf.uint8, name=name) for name in features}
        weighed = tf.keras.layers.Lambda(
            lambda given: tf.add_n(
                [
                    tf.reduce_sum(tf.cast(given[name], tf.float32) * weights, [1, 2, 3])
                    for name, weights in zip(features, cls.WEIGHTS, strict=True)
                ]
            )
        )
        model = tf.keras.Model(inputs, weighed(inputs))
        spec = {column: tf.io.FixedLenFeature([], tf.string) for column in ("a.b", "a-b")}
        ServingModel(Parts({}, model, model), tf.keras.layers.Layer(), spec, [], features, cls()).save(path)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> str:
    path = str(tmp_path_factory.mktemp("serving") / "1")
    Weighed.export(path)
    return path


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.slow
def test_an_exported_model_answers_alike_by_every_door(tmp_path: Path, exported: str, orientation: int) -> None:
    plain = saved(noise(24, 24), "JPEG", quality=95, subsampling=0)
    one = plain[:2] + exif("MM", orientation) + plain[2:]
    two = saved(noise(24, 24).rotate(90), "PNG")
    expected = (by_pillow(one) * Weighed.WEIGHTS[0]).sum() + (by_pillow(two) * Weighed.WEIGHTS[1]).sum()
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "one.jpg").write_bytes(one)
    assert as_record(one) == one  # as convert stores it
    example_data.write_tfrecord(tmp_path / "records", [example_data.record(**{"a.b": one, "a-b": two})])
    text = {name: {"b64": base64.b64encode(data).decode()} for name, data in (("one", one), ("two", two))}
    by_column = {"a.b": text["one"], "a-b": text["two"]}
    by_signature = {"a_b_2": text["one"], "a_b": text["two"]}
    (tmp_path / "r.jsonl").write_text(f"{json.dumps(by_column)}\n{json.dumps(by_signature)}\n")
    inputs = [str(tmp_path / "records"), str(tmp_path / "r.jsonl")]
    values = [
        row["value"] for row in predict_one_by_one(ExportedModelSpec.of(exported), Request(inputs), lambda bad: None)
    ]
    raw = tf.saved_model.load(exported).signatures[PREDICT]
    values.append(float(raw(a_b_2=tf.constant([one]), a_b=tf.constant([two]))[VALUE][0]))
    np.testing.assert_allclose(values, [expected] * 4, rtol=1e-5)
    assert names_of(exported) == {"a.b": "a_b_2", "a-b": "a_b"}
