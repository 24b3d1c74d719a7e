"""Kind `image`, compared with Pillow and NumPy: eagerly, in tf.data, and in a SavedModel."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hubline.preprocessing.config import ImageFeature
from hubline.preprocessing.kinds.image import decode, pixels
from hubline.preprocessing.kinds.image_geometry import boxes, clipped, extent, mask
from hubline.trainer.boxes import covered
from tests.support import example_data


def feature(**options) -> ImageFeature:
    return ImageFeature(kind="image", **({"size": (8, 8)} | options))


def every_way(image: ImageFeature, encoded: bytes, folder: Path) -> list[np.ndarray]:
    class Decoder(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([], tf.string)])
        def __call__(self, value: tf.Tensor) -> tf.Tensor:
            return decode(image, value)

    tf.saved_model.save(Decoder(), str(folder))
    dataset = tf.data.Dataset.from_tensors(encoded).map(lambda value: decode(image, value))
    return [
        decode(image, tf.constant(encoded)).numpy(),
        next(iter(dataset)).numpy(),
        tf.saved_model.load(str(folder))(tf.constant(encoded)).numpy(),
    ]


@pytest.mark.parametrize("form", ["PNG", "BMP", "GIF", "JPEG"])
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.slow
def test_every_format_in_grey_and_colour_is_what_pillow_decodes(
    tmp_path: Path, form: str, mode: str, channels: int
) -> None:
    smooth = np.add.outer(np.arange(8), np.arange(8)).astype(np.uint8) * 15
    pixels = np.stack([smooth, smooth[::-1], smooth.T[:, ::-1]], axis=-1)
    picture = Image.fromarray(pixels).convert(mode)
    encoded = example_data.image_bytes(np.array(picture), form)
    path = tmp_path / "image"
    path.write_bytes(encoded)
    reference = Image.open(path).convert("RGB")
    if channels == 1:
        reference = reference.convert("L")
    expected = np.asarray(reference, np.float32).reshape(8, 8, channels) / 255
    # JPEG decoders and grey conversion may differ by a step or two of 255; lossless RGB formats may not.
    tolerance = 0.5 / 255 if form != "JPEG" and channels == 3 else 4 / 255
    for got in every_way(feature(channels=channels), encoded, tmp_path / "model"):
        np.testing.assert_allclose(got, expected, atol=tolerance)


@pytest.mark.slow
@given(st.integers(0, 255), st.tuples(st.integers(1, 12), st.integers(1, 12)), st.integers(-3, 3), st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_a_flat_image_becomes_its_value_in_the_range_at_any_size(
    grey: int, size: tuple[int, int], low: int, span: int
) -> None:
    encoded = example_data.image_bytes(np.full([5, 7, 3], grey, np.uint8))
    for resize in ("bilinear", "nearest", "bicubic", "area"):
        got = decode(feature(size=size, resize=resize, value_range=(low, low + span)), tf.constant(encoded)).numpy()
        assert got.shape == (*size, 3) and got.dtype == np.float32
        np.testing.assert_allclose(got, low + span * grey / 255, atol=1e-4 * span)  # whole steps, so nothing is rounded


@pytest.mark.slow
def test_nearest_and_area_are_what_numpy_says(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, [8, 12, 3], np.uint8)
    encoded = example_data.image_bytes(pixels)
    area = pixels.reshape(4, 2, 4, 3, 3).mean(axis=(1, 3)) / 255
    for got in every_way(feature(size=(4, 4), resize="area"), encoded, tmp_path / "area"):
        np.testing.assert_allclose(got, area, atol=0.51 / 255)
    twice = pixels.repeat(2, axis=0).repeat(2, axis=1) / 255
    for got in every_way(feature(size=(16, 24), resize="nearest"), encoded, tmp_path / "nearest"):
        np.testing.assert_allclose(got, twice, atol=1e-6)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize(("shape", "box"), [((8, 14), (3, 0, 11, 8)), ((15, 8), (0, 3, 8, 11)), ((9, 9), (0, 0, 9, 9))])
@pytest.mark.slow
def test_a_crop_is_the_middle_with_nothing_stretched(tmp_path: Path, form: str, shape, box) -> None:
    smooth = np.add.outer(np.arange(shape[0]) * 9, np.arange(shape[1]) * 5).astype(np.uint8)
    encoded = example_data.image_bytes(np.stack([smooth] * 3, axis=-1), form)
    path = tmp_path / "image"
    path.write_bytes(encoded)
    expected = np.asarray(Image.open(path).convert("RGB").crop(box), np.float32) / 255
    size = expected.shape[:2]
    for got in every_way(feature(size=size, fit="crop"), encoded, tmp_path / "model"):
        np.testing.assert_allclose(got, expected, atol=4 / 255)


SHAPES = st.tuples(st.integers(1, 40), st.integers(1, 40))


@pytest.mark.slow
@given(SHAPES, st.tuples(st.integers(1, 24), st.integers(1, 24)), st.sampled_from(["bilinear", "nearest", "area"]))
@settings(deadline=None, max_examples=60)
def test_pad_is_tensorflow_s_resize_with_pad(shape: tuple, size: tuple, resize: str) -> None:
    picture = np.random.default_rng(0).integers(1, 256, [*shape, 3], np.uint8)
    got = pixels(feature(size=size, fit="pad", resize=resize), tf.constant(example_data.image_bytes(picture))).numpy()
    ratio = max(Fraction(shape[0], size[0]), Fraction(shape[1], size[1]))
    exact = [side / ratio for side in shape]
    # TensorFlow computes in floats, so an exact fit can be a pixel short, and sizes are at least one pixel.
    in_floats = np.array(shape, np.float32) / np.max(np.array(shape, np.float32) / np.array(size, np.float32))
    if min(exact) >= 1 and [int(side) for side in exact] == in_floats.astype(int).tolist():
        expected = tf.image.resize_with_pad(picture, *size, method=resize)
        np.testing.assert_allclose(got, expected, atol=0.51)
    rows, columns = np.flatnonzero(got.any(axis=(1, 2))), np.flatnonzero(got.any(axis=(0, 2)))
    assert [len(rows), len(columns)] == [max(1, int(side)) for side in exact]


@pytest.mark.slow
@given(SHAPES, st.tuples(st.integers(1, 24), st.integers(1, 24)))
@settings(deadline=None, max_examples=40)
def test_crop_or_pad_is_tensorflow_s_resize_with_crop_or_pad(shape: tuple, size: tuple) -> None:
    picture = np.random.default_rng(0).integers(0, 256, [*shape, 3], np.uint8)
    got = pixels(feature(size=size, fit="crop_or_pad"), tf.constant(example_data.image_bytes(picture)))
    np.testing.assert_array_equal(got, tf.image.resize_with_crop_or_pad(picture, *size))


@pytest.mark.parametrize("fit", ["pad", "crop_or_pad"])
@pytest.mark.parametrize("form", ["JPEG", "PNG", "GIF"])
@pytest.mark.parametrize("shape", [(12, 30), (30, 10), (6, 7)])
@pytest.mark.slow
def test_every_way_pads_and_crops_the_same(tmp_path: Path, fit: str, form: str, shape: tuple) -> None:
    smooth = np.add.outer(np.arange(shape[0]) * 5, np.arange(shape[1]) * 2).astype(np.uint8) + 40
    encoded = example_data.image_bytes(np.stack([smooth] * 3, axis=-1), form)
    size = (8, 16)
    whole = tf.io.decode_image(encoded, expand_animations=False)
    do = tf.image.resize_with_pad if fit == "pad" else tf.image.resize_with_crop_or_pad
    expected = np.asarray(do(whole, *size), float) / 255
    for got in every_way(feature(size=size, fit=fit), encoded, tmp_path / "model"):
        np.testing.assert_allclose(got, expected, atol=0.51 / 255)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.slow
def test_standardized_images_have_mean_zero_and_deviation_one(tmp_path: Path, channels: int) -> None:
    picture = np.random.default_rng(0).integers(100, 156, [8, 8, 3], np.uint8)
    encoded = example_data.image_bytes(picture)
    seen = pixels(feature(channels=channels), tf.constant(encoded)).numpy().astype(float)
    for got in every_way(feature(channels=channels, standardize="per_image"), encoded, tmp_path / "model"):
        np.testing.assert_allclose(got, (seen - seen.mean()) / seen.std(), atol=1e-4)
        assert got.dtype == np.float32


def test_a_flat_image_is_standardized_to_zeros() -> None:
    flat = example_data.image_bytes(np.full([5, 7, 3], 90, np.uint8))
    assert not decode(feature(standardize="per_image"), tf.constant(flat)).numpy().any()


def test_standardize_or_value_range() -> None:
    with pytest.raises(ValueError, match="both set the pixel scaling"):
        feature(standardize="per_image", value_range=(0, 1))


CROPS = (
    {},
    {"central_crop": 0.7},
    {"crop_box": {"top": 0.2, "left": 0.1, "bottom": 0.9, "right": 0.7}},
    {"crop_box": {"top": 3, "left": 0, "bottom": 27, "right": 30, "units": "pixels"}},
)


@pytest.mark.slow
@given(
    st.sampled_from(["stretch", "crop", "pad", "crop_or_pad"]),
    st.sampled_from(CROPS),
    st.tuples(st.integers(30, 90), st.integers(30, 90)),
    st.tuples(st.integers(20, 70), st.integers(20, 70)),
    st.tuples(*[st.floats(0, 0.6)] * 2, *[st.floats(0.3, 0.9)] * 2),
)
@settings(deadline=None, max_examples=60)
def test_boxes_and_masks_are_where_what_they_hold_is_seen(
    fit: str, crop: dict, shape: tuple, size: tuple, place: tuple
) -> None:
    top, left, height, width = (round(share * side) for share, side in zip(place, (*shape, *shape), strict=True))
    bottom, right = min(shape[0], top + height), min(shape[1], left + width)
    picture = np.zeros([*shape, 3], np.uint8)
    picture[top:bottom, left:right] = 255
    image = feature(size=size, fit=fit, **crop)
    got = pixels(image, tf.constant(example_data.image_bytes(picture))).numpy()[..., 0] > 127
    seen = mask(image, tf.constant(picture[..., :1]), 0).numpy()[..., 0] > 127
    assert (seen != got).sum() <= 2 * sum(size)  # along the edges, where colours are interpolated
    box = tf.constant([[top / shape[0], left / shape[1], bottom / shape[0], right / shape[1]]])
    moved = boxes(image, tf.constant([*shape, 3]), box)
    expected = clipped(moved, extent(image, tf.constant([*shape, 3])))[0].numpy()[0] * [*size, *size]
    (seen_part,) = covered(image, tf.constant([example_data.image_bytes(picture)])).numpy()
    back = np.tile(seen_part[:2], 2) + moved.numpy()[0] * np.tile(seen_part[2:] - seen_part[:2], 2)
    np.testing.assert_allclose(back, box[0], atol=1e-4)
    if not got.any():
        assert (expected[2:] - expected[:2]).min() <= 1
        return
    rows, columns = np.flatnonzero(got.any(axis=1)), np.flatnonzero(got.any(axis=0))
    np.testing.assert_allclose([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1], expected, atol=1)


def test_bicubic_stays_in_the_range() -> None:
    edges = np.kron(np.eye(4), np.full([2, 2], 255)).astype(np.uint8)
    got = decode(feature(size=(31, 31), resize="bicubic"), tf.constant(example_data.image_bytes(edges))).numpy()
    assert got.min() >= 0 and got.max() <= 1


@pytest.mark.parametrize("encoded", [b"", b"nonsense", example_data.random_image(0)[:60]])
def test_what_is_no_image_is_an_error(encoded: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(feature(), tf.constant(encoded))


@pytest.mark.slow
@given(st.tuples(st.integers(1, 60), st.integers(1, 60)), st.sampled_from([0.1, 0.5, 0.875, 0.999, 1.0]))
@settings(deadline=None, max_examples=40)
def test_central_crop_is_tensorflow_s(shape: tuple, share: float) -> None:
    picture = np.random.default_rng(0).integers(0, 256, [*shape, 3], np.uint8)
    expected = tf.image.central_crop(picture, share).numpy()
    image = feature(size=expected.shape[:2], central_crop=share)
    np.testing.assert_array_equal(pixels(image, tf.constant(example_data.image_bytes(picture))), expected)


TURNS = {3: lambda image: image[::-1, ::-1], 6: lambda image: np.rot90(image, -1)}
PARTS = (
    ({"top": 0.25, "left": 0.1, "bottom": 1.0, "right": 0.6}, (5, 3, 20, 18)),
    ({"top": 2, "left": 7, "bottom": 12, "right": 20, "units": "pixels"}, (2, 7, 12, 20)),
)


@pytest.mark.parametrize(("part", "edges"), PARTS)
@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.slow
def test_a_crop_box_is_cut_from_the_upright_image_every_way(
    tmp_path: Path, part: dict, edges: tuple, form: str
) -> None:
    top, left, bottom, right = edges
    smooth = np.add.outer(np.arange(20) * 6, np.arange(30) * 4).astype(np.uint8)
    for turn, upright in TURNS.items():
        lying = smooth if turn == 3 else smooth.T
        exif = Image.Exif()
        exif[0x0112] = turn
        out = tmp_path / f"image{turn}"
        Image.fromarray(np.stack([lying] * 3, axis=-1)).save(
            out, form, exif=exif, **({"quality": 100} if form == "JPEG" else {})
        )
        expected = upright(np.stack([lying] * 3, axis=-1))[top:bottom, left:right].astype(float) / 255
        for got in every_way(feature(size=expected.shape[:2], crop_box=part), out.read_bytes(), tmp_path / f"m{turn}"):
            np.testing.assert_allclose(got, expected, atol=0.5 / 255 if form == "PNG" else 4 / 255)


@pytest.mark.slow
def test_an_image_smaller_than_its_crop_box_in_pixels_does_not_decode() -> None:
    image = feature(crop_box={"top": 0, "left": 0, "bottom": 10, "right": 9, "units": "pixels"})
    for form in ("PNG", "JPEG"):
        encoded = example_data.image_bytes(np.zeros([9, 9, 3], np.uint8), form)
        with pytest.raises(tf.errors.InvalidArgumentError, match="smaller than its crop_box, which ends at 10 x 9"):
            pixels(image, tf.constant(encoded))
        with pytest.raises(tf.errors.InvalidArgumentError, match="smaller than its crop_box"):
            next(iter(tf.data.Dataset.from_tensors(encoded).map(lambda value: pixels(image, value))))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"central_crop": 0.5, "crop_box": {"top": 0, "left": 0, "bottom": 1, "right": 1}}, "remove one"),
        ({"crop_box": {"top": 0.5, "left": 0, "bottom": 0.5, "right": 1}}, "top must be above bottom"),
        ({"crop_box": {"top": 0, "left": 0, "bottom": 20, "right": 20}}, "set units: pixels"),
        ({"crop_box": {"top": 0, "left": 0, "bottom": 2.5, "right": 2, "units": "pixels"}}, "whole pixels"),
    ],
)
def test_what_is_no_part_of_an_image_is_an_error(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        feature(**options)
