"""Kind `image`, against Pillow and NumPy: eagerly, inside tf.data, and through a SavedModel."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from preprocessing.config import ImageFeature
from preprocessing.kinds.image import decode
from tests import make


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
def test_every_format_in_grey_and_colour_is_what_pillow_decodes(
    tmp_path: Path, form: str, mode: str, channels: int
) -> None:
    smooth = np.add.outer(np.arange(8), np.arange(8)).astype(np.uint8) * 15
    pixels = np.stack([smooth, smooth[::-1], smooth.T[:, ::-1]], axis=-1)
    picture = Image.fromarray(pixels).convert(mode)
    encoded = make.image_bytes(np.array(picture), form)
    path = tmp_path / "image"
    path.write_bytes(encoded)
    reference = Image.open(path).convert("RGB")
    if channels == 1:
        reference = reference.convert("L")
    expected = np.asarray(reference, np.float32).reshape(8, 8, channels) / 255
    # JPEG decoders and weights of grey may differ by a step or two of 255; lossless formats in RGB may not.
    tolerance = 0.5 / 255 if form != "JPEG" and channels == 3 else 4 / 255
    for got in every_way(feature(channels=channels), encoded, tmp_path / "model"):
        np.testing.assert_allclose(got, expected, atol=tolerance)


@given(st.integers(0, 255), st.tuples(st.integers(1, 12), st.integers(1, 12)), st.integers(-3, 3), st.integers(1, 4))
@settings(deadline=None, max_examples=25)
def test_a_flat_image_becomes_its_value_in_the_range_at_any_size(
    grey: int, size: tuple[int, int], low: int, span: int
) -> None:
    encoded = make.image_bytes(np.full([5, 7, 3], grey, np.uint8))
    for resize in ("bilinear", "nearest", "bicubic", "area"):
        got = decode(feature(size=size, resize=resize, value_range=(low, low + span)), tf.constant(encoded)).numpy()
        assert got.shape == (*size, 3) and got.dtype == np.float32
        np.testing.assert_allclose(got, low + span * grey / 255, atol=1e-4 * span)  # a whole step: nothing to round


def test_nearest_and_area_are_what_numpy_says(tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, [8, 12, 3], np.uint8)
    encoded = make.image_bytes(pixels)
    area = pixels.reshape(4, 2, 4, 3, 3).mean(axis=(1, 3)) / 255
    for got in every_way(feature(size=(4, 4), resize="area"), encoded, tmp_path / "area"):
        np.testing.assert_allclose(got, area, atol=0.51 / 255)
    twice = pixels.repeat(2, axis=0).repeat(2, axis=1) / 255
    for got in every_way(feature(size=(16, 24), resize="nearest"), encoded, tmp_path / "nearest"):
        np.testing.assert_allclose(got, twice, atol=1e-6)


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize(("shape", "box"), [((8, 14), (3, 0, 11, 8)), ((15, 8), (0, 3, 8, 11)), ((9, 9), (0, 0, 9, 9))])
def test_a_crop_is_the_middle_with_nothing_stretched(tmp_path: Path, form: str, shape, box) -> None:
    smooth = np.add.outer(np.arange(shape[0]) * 9, np.arange(shape[1]) * 5).astype(np.uint8)
    encoded = make.image_bytes(np.stack([smooth] * 3, axis=-1), form)
    path = tmp_path / "image"
    path.write_bytes(encoded)
    expected = np.asarray(Image.open(path).convert("RGB").crop(box), np.float32) / 255
    size = expected.shape[:2]
    for got in every_way(feature(size=size, fit="crop"), encoded, tmp_path / "model"):
        np.testing.assert_allclose(got, expected, atol=4 / 255)


def test_bicubic_stays_in_the_range() -> None:
    edges = np.kron(np.eye(4), np.full([2, 2], 255)).astype(np.uint8)
    got = decode(feature(size=(31, 31), resize="bicubic"), tf.constant(make.image_bytes(edges))).numpy()
    assert got.min() >= 0 and got.max() <= 1


@pytest.mark.parametrize("encoded", [b"", b"nonsense", make.random_image(0)[:60]])
def test_what_is_no_image_is_an_error(encoded: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode(feature(), tf.constant(encoded))
