"""Images stored as raw bytes or numbers, compared with NumPy; and the contract of their records."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from hubline.components.example_gen.contract import Contract
from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.locate_bad_records import undecodable
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.preprocessing.config import Features, ImageFeature, InferenceImageFeature
from hubline.preprocessing.encoded_images import decode
from hubline.trainer.inputs import encoded_images, pixels_of_batch
from tests.support import example_data

AXES = ("height", "width", "channels")
LIMITS = {"uint8": None, "uint16": None, "int16": (-1000, 1000), "float32": (-0.5, 0.5), "float64": (1.0, 0.0)}


def photo(**decode: object) -> Features:
    return {"photo": ImageFeature.model_validate({"kind": "image", "from": "x", "size": [4, 6], "decode": decode})}


def stored(features: Features):
    return features["photo"].decode


@pytest.mark.slow
@given(
    st.sampled_from(list(LIMITS)), st.permutations(AXES), st.sampled_from([1, 3]), st.sampled_from(["little", "big"])
)
@settings(deadline=None, max_examples=40)
def test_raw_bytes_are_the_pixels_that_numpy_reads(dtype: str, order: list, channels: int, byte_order: str) -> None:
    black, white = LIMITS[dtype] or (0, np.iinfo(dtype).max)
    grey = np.random.default_rng(0).integers(0, 256, [5, 4, 6, channels])
    values = (black + grey / 255 * (white - black)).astype(dtype)
    if not np.issubdtype(dtype, np.floating):
        values = (black + np.round(grey / 255 * (white - black))).astype(dtype)
    lying = values.transpose(0, *(1 + AXES.index(axis) for axis in order))
    data = [one.astype(np.dtype(dtype).newbyteorder(">" if byte_order == "big" else "<")).tobytes() for one in lying]
    given_range = {"range": LIMITS[dtype]} if LIMITS[dtype] else {}
    features = photo(kind="raw", dtype=dtype, shape=[4, 6, channels], order=order, byte_order=byte_order, **given_range)
    encoded = encoded_images(features, {"x": tf.constant(data)})
    got = pixels_of_batch(features, encoded)["photo"]
    np.testing.assert_array_equal(got, np.broadcast_to(grey, [5, 4, 6, 3]))


@pytest.mark.slow
@given(st.sampled_from(["int", "float"]), st.permutations(AXES), st.booleans())
@settings(deadline=None, max_examples=20)
def test_lists_of_numbers_are_the_pixels_that_numpy_reads(form: str, order: list, is_sparse: bool) -> None:
    grey = np.random.default_rng(1).integers(0, 256, [5, 4, 6, 3])
    grey[0] = 0  # zeros are values, too
    values = grey if form == "int" else (grey / 255 - 0.5).astype(np.float32)
    flat = tf.constant(values.transpose(0, *(1 + AXES.index(axis) for axis in order)).reshape(5, -1))
    flat = tf.cast(flat, tf.int64) if form == "int" else flat
    column = tf.RaggedTensor.from_tensor(flat).to_sparse() if is_sparse else flat
    features = photo(kind="numbers", shape=[4, 6, 3], order=order, range=[0, 255] if form == "int" else [-0.5, 0.5])
    got = pixels_of_batch(features, encoded_images(features, {"x": column}))["photo"]
    np.testing.assert_array_equal(got, grey)


def test_values_in_between_are_rounded_to_8_bits() -> None:
    features = photo(kind="numbers", shape=[1, 5, 1], range=[0.0, 1.0])
    values = tf.constant([[0.0, 0.4 / 255, 0.6 / 255, 100.49 / 255, 1.0]])
    png = stored(features).encoded(values)[0]
    assert decode(png).numpy()[0, :, 0].tolist() == [0, 0, 1, 100, 255]


RAW = {"kind": "raw", "shape": [4, 6, 3], "dtype": "float32", "range": [0, 1]}
NUMBERS = {"kind": "numbers", "shape": [4, 6, 1], "range": [0, 1]}
HALF = np.full([72], 0.5, np.float32)
TEXT = example_data.feature
NAN = float("nan")
CASES = [
    (RAW, TEXT(HALF.tobytes()), None),
    (RAW, TEXT(HALF.tobytes()[:-1]), "its image 'x' has 287 bytes; float32 [4, 6, 3] needs 288"),
    (RAW, TEXT(np.full([72], 1.5, np.float32).tobytes()), "has the value 1.5, outside its range, 0 to 1"),
    (RAW, TEXT(np.full([72], NAN, np.float32).tobytes()), "has the value nan, outside its range, 0 to 1"),
    (RAW, TEXT(HALF.tobytes(), HALF.tobytes()), "has 2 values; it must have one"),
    (NUMBERS, TEXT(*[0.5] * 24), None),
    (NUMBERS, TEXT(*[1.0] * 23, 1.001), None),  # rounds to white
    (NUMBERS, TEXT(*[0.5] * 23), "its image 'x' has 23 numbers; [4, 6, 1] pixels need 24"),
    (NUMBERS, TEXT(*[0.5] * 25), "its image 'x' has 25 numbers; [4, 6, 1] pixels need 24"),
    (NUMBERS, TEXT(*[0.5] * 23, NAN), "has the value nan, outside its range, 0 to 1"),
    (NUMBERS, TEXT(*[0.5] * 23, -0.1), "has the value -0.1, outside its range, 0 to 1"),
]


@pytest.mark.parametrize(("how", "value", "says"), CASES)
def test_a_record_with_other_pixels_is_bad_and_said_to_be(how: dict, value: tf.train.Feature, says: str | None) -> None:
    contract = contract_of(photo(**how), None)
    assert Contract.model_validate_json(contract.to_property()) == contract
    good = example_data.record(x=next(feature for each, feature, fault in CASES if each is how and fault is None))
    record, kind = example_data.record(x=value), kind_of(good, contract)
    assert are_sound(tf.constant([good, record, good]), contract, kind).numpy().tolist() == [True, says is None, True]
    found = find_fault(record, contract, kind)
    assert found is None if says is None else says in found


@pytest.mark.parametrize(
    ("how", "value", "says"),
    [
        (RAW, TEXT(1, 2), "has 2 values; it must have one"),
        (RAW, TEXT(1), "is a number; it must be raw bytes, float32 [4, 6, 3]"),
        (NUMBERS, TEXT("text"), "is bytes; it must be 24 numbers"),
        (NUMBERS, TEXT(*[1] * 24), "has int64 values, and those before it have float32"),
    ],
)
def test_a_column_of_another_type_is_said(how: dict, value: tf.train.Feature, says: str) -> None:
    contract = contract_of(photo(**how), None)
    good = example_data.record(x=next(feature for each, feature, fault in CASES if each is how and fault is None))
    assert says in find_fault(example_data.record(x=value), contract, kind_of(good, contract))


def test_a_served_request_of_another_size_is_an_error() -> None:
    with pytest.raises(tf.errors.InvalidArgumentError, match=r"float32 \[4, 6, 3\], must have 288 bytes"):
        stored(photo(**RAW)).encoded(tf.constant([HALF.tobytes(), b"123"]))
    for column in (tf.zeros([2, 23]), tf.sparse.from_dense([[1.0] * 24, [1.0] * 23 + [0.0]])):
        with pytest.raises(tf.errors.InvalidArgumentError, match="must have 24 numbers"):
            stored(photo(**NUMBERS)).encoded(column)
    with pytest.raises(tf.errors.InvalidArgumentError, match="outside its range, 0 to 1"):
        stored(photo(**NUMBERS)).encoded(tf.fill([1, 24], 2.0))


@pytest.mark.slow
def test_a_record_whose_image_is_too_small_for_its_crop_is_found_with_its_reason(tmp_path) -> None:
    crop = {"top": 0, "left": 0, "bottom": 5, "right": 5, "units": "pixels"}
    features = {"photo": photo(**RAW)["photo"].model_copy(update={"crop_box": None})}
    cropped = ImageFeature.model_validate(
        {"kind": "image", "from": "x", "size": [4, 6], "decode": RAW, "crop_box": crop}
    )
    path = example_data.write_tfrecord(tmp_path / "a.tfrecord", [example_data.record(x=HALF.tobytes())])
    assert not list(undecodable(str(path), features))
    (found,) = undecodable(str(path), {"photo": cropped})
    assert found.record == 0 and "the image is smaller than its crop_box, which ends at 5 x 5" in found.reason


@pytest.mark.parametrize(
    ("how", "message"),
    [
        (
            {"kind": "raw", "shape": [4, 6, 3], "dtype": "float32"},
            "set `range` to the values of black and white: float32",
        ),
        ({"kind": "numbers", "shape": [4, 6, 3]}, "set `range` to the values of black and white, such as"),
        ({"kind": "raw", "shape": [4, 6, 3], "order": ["height", "width", "width"]}, "once each"),
        ({"kind": "raw", "shape": [4, 6, 3], "range": [1, 1]}, "black and white must differ"),
        ({"kind": "raw", "shape": [4, 6, 4]}, "1 or 3"),
    ],
)
def test_what_describes_no_pixels_is_an_error(how: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        photo(**how)


def test_a_column_is_decoded_in_one_way() -> None:
    digit = {"kind": "image", "from": "x", "size": [4, 6], "decode": NUMBERS}
    same = {"one": digit, "two": digit | {"channels": 1}}
    assert list(TypeAdapter(Features).validate_python(same)) == ["one", "two"]
    for other in (None, NUMBERS | {"order": ["width", "height", "channels"]}):
        with pytest.raises(ValueError, match="the images of the column 'x' are decoded in different ways"):
            TypeAdapter(Features).validate_python({"one": digit, "two": digit | {"decode": other}})


def test_inference_takes_image_files() -> None:
    with pytest.raises(ValueError, match="takes encoded image files; leave decode out"):
        InferenceImageFeature.model_validate({"kind": "image", "decode": RAW})


def test_a_column_accepts_the_types_that_it_is_decoded_from() -> None:
    accepted = [photo(**how)["photo"].accepts("photo") for how in (RAW, NUMBERS)]
    assert accepted == [{"x": ("bytes",)}, {"x": ("int", "float")}]
    assert not photo(**RAW)["photo"].takes_lists and photo(**NUMBERS)["photo"].takes_lists
