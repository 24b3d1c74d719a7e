"""Masks: reading, validation, resizing, and metrics."""

import io
import zlib

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image
from pydantic import ValidationError

from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.locate_bad_records import undecodable
from hubline.components.example_gen.record_checks import are_sound, find_fault, kind_of
from hubline.components.predictor.pictures import overlaid, png
from hubline.preprocessing import mask_files, masks
from hubline.preprocessing.encoded_images import shape_of
from hubline.preprocessing.kinds import image
from hubline.preprocessing.masks import LEFT_OUT
from hubline.preprocessing.palette import PALETTE
from hubline.report.labels.pixels import mean_iou
from hubline.trainer.boxes import covered
from hubline.trainer.labels.pixels import Pixels
from hubline.trainer.metrics.in_training import metrics_of
from hubline.trainer.metrics.pixels import MeanPixelIoU, PixelAccuracy, confusion
from tests.support import example_data
from tests.support import pixels as make_pixels


def encoded(numbers: np.ndarray, mode: str = "L", **options) -> bytes:
    picture = Image.fromarray(numbers, mode) if mode in "LP" else Image.fromarray(numbers).convert(mode)
    if mode == "P":
        picture.putpalette(np.random.default_rng(0).integers(0, 256, 768).tolist())
    out = io.BytesIO()
    picture.save(out, "PNG", **options)
    return out.getvalue()


@pytest.mark.parametrize("mode", ["L", "P"])
@pytest.mark.parametrize("classes", [2, 4, 16, 256])
def test_a_mask_has_the_numbers_that_stand_in_it(mode: str, classes: int) -> None:
    numbers = np.random.default_rng(classes).integers(0, classes, [9, 14], np.uint8)
    options = [{"bits": bits} for bits in (1, 2, 4, 8) if classes <= 2**bits] if mode == "P" else [{}]
    read = tf.function(mask_files.numbers, input_signature=[tf.TensorSpec([], tf.string)])
    for option in [*options, *({"transparency": 1, "dpi": (72, 72), **one} for one in options)]:
        data = encoded(numbers, mode, **option)
        assert data[mask_files.COLOUR] == (mask_files.PALETTE if mode == "P" else mask_files.GREY)
        assert data[mask_files.DEPTH] == option.get("bits", 8)
        np.testing.assert_array_equal(read(tf.constant(data))[..., 0], numbers)


def test_grey_of_fewer_bits_has_its_samples() -> None:
    numbers = np.random.default_rng(0).integers(0, 4, [3, 8], np.uint8)
    rows = [
        b"\0" + bytes(sum(int(row[4 * n + k]) << (6 - 2 * k) for k in range(4)) for n in range(2)) for row in numbers
    ]
    chunks = [(b"IHDR", bytes([0, 0, 0, 8, 0, 0, 0, 3, 2, 0, 0, 0, 0])), (b"IDAT", zlib.compress(b"".join(rows)))]
    body = b"".join(
        len(data).to_bytes(4, "big") + kind + data + zlib.crc32(kind + data).to_bytes(4, "big")
        for kind, data in [*chunks, (b"IEND", b"")]
    )
    np.testing.assert_array_equal(mask_files.numbers(tf.constant(mask_files.MAGIC + body))[..., 0], numbers)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad", "crop_or_pad"])
@pytest.mark.parametrize("size", [(40, 60), (60, 40), (16, 100), (32, 32), (20, 24)])
def test_a_mask_is_made_to_fit_as_its_picture_is(fit: str, size: tuple[int, int]) -> None:
    feature = make_pixels.features(fit=fit, resize="nearest")["photo"]
    label = make_pixels.label(classes=tuple(map(str, range(200))))
    numbers = np.random.default_rng(0).integers(1, 200, size, np.uint8)
    picture = image.pixels(feature, tf.constant(example_data.image_bytes(numbers))).numpy()[..., 0]
    mask = masks.fitted(label, feature, tf.constant(example_data.image_bytes(numbers))).numpy()[..., 0]
    np.testing.assert_array_equal(mask, np.where(picture == 0, LEFT_OUT, picture))
    assert (picture == 0).any() == (
        fit in ("pad", "crop_or_pad") and size != (32, 32) and not (fit == "crop_or_pad" and min(size) >= 32)
    )


def test_ignored_numbers_are_left_out() -> None:
    numbers = np.array([[0, 1, 2], [7, 2, 7]], np.uint8)
    feature = make_pixels.features(size=(2, 3))["photo"]
    found = masks.fitted(make_pixels.label(ignore=7), feature, tf.constant(example_data.image_bytes(numbers))).numpy()
    np.testing.assert_array_equal(found[..., 0], [[0, 1, 2], [LEFT_OUT, 2, LEFT_OUT]])


def test_an_ignored_number_is_no_class() -> None:
    with pytest.raises(ValidationError, match="ignore is 1, which is the number of the class 'disc'"):
        make_pixels.label(ignore=1)


SMALL = np.zeros([6, 8], np.uint8)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("mask", "label", "fault"),
    [
        (SMALL, {}, None),
        (np.full([6, 8], 2, np.uint8), {}, None),
        (np.full([6, 8], 9, np.uint8), {"ignore": 9}, None),
        (np.zeros([8, 6], np.uint8), {}, "is 6x8 pixels (width x height), and its picture, upright, 8x6"),
        (np.where(np.eye(6, 8) > 0, 7, 0).astype(np.uint8), {}, "such as 7, in 6 pixels; the classes have those"),
        (np.full([6, 8], 255, np.uint8), {}, "such as 255, in 48 pixels"),
        (np.full([6, 8], 255, np.uint8), {"ignore": 254}, "such as 255, in 48 pixels"),
        (np.full([6, 8], 254, np.uint8), {"ignore": 254}, None),
        (np.full([6, 8], 8, np.uint8), {"ignore": 9}, "from 0 to 2, and 9 is of none"),
    ],
)  # fmt: skip
def test_a_wrong_mask_is_told(tmp_path, mask: np.ndarray, label: dict, fault: str | None) -> None:
    made = make_pixels.label(**label)
    picture = example_data.random_image(0, 6, 8, "JPEG")
    shape = shape_of(tf.constant(picture))
    record = example_data.record(image=picture, mask=example_data.image_bytes(mask))
    file = example_data.write_tfrecord(
        tmp_path / "a", [example_data.record(image=picture, mask=example_data.image_bytes(SMALL)), record]
    )
    found = list(undecodable(str(file), make_pixels.features(), made))
    assert bool(masks.is_right(made, tf.constant(example_data.image_bytes(mask)), shape)) == (fault is None)
    if fault is None:
        assert found == []
    else:
        assert [one.record for one in found] == [1]
        assert fault in found[0].reason


@pytest.mark.slow
def test_records_that_were_set_aside_before_are_passed_over(tmp_path) -> None:
    picture = example_data.random_image(0, 6, 8)
    without_mask, without_picture = (
        example_data.record(image=picture),
        example_data.record(mask=example_data.image_bytes(SMALL)),
    )
    wrong = example_data.record(image=picture, mask=example_data.image_bytes(np.zeros([4, 4], np.uint8)))
    file = example_data.write_tfrecord(tmp_path / "a", [without_mask, without_picture, wrong])
    found = list(undecodable(str(file), make_pixels.features(), make_pixels.label(), passed_over={0, 1}))
    assert [one.record for one in found] == [2] and "its mask 'mask' is 4x4 pixels" in found[0].reason


RGB = example_data.random_image(0, 6, 8)
SIXTEEN = io.BytesIO()
Image.fromarray(np.zeros([6, 8], np.uint16)).save(SIXTEEN, "PNG")


@pytest.mark.parametrize("fit", ["stretch", "pad", "crop", "crop_or_pad"])
@pytest.mark.parametrize("shape", [(16, 16), (40, 23), (9, 31), (333, 500), (1201, 777)])
def test_what_a_model_says_it_covers_finds_the_mask_that_it_was_trained_on(fit: str, shape: tuple[int, int]) -> None:
    numbers = np.random.default_rng(0).integers(0, 3, shape, np.uint8)
    features = make_pixels.features((24, 32), fit=fit)
    picture, mask = (
        tf.constant(example_data.image_bytes(pixels)) for pixels in (np.stack([numbers] * 3, axis=2), numbers)
    )
    (covers,) = covered(features["photo"], picture[tf.newaxis])
    label = make_pixels.label()
    found = masks.seen(label, mask, covers, (24, 32)).numpy()
    np.testing.assert_array_equal(found, masks.fitted(label, features["photo"], mask))


@pytest.mark.slow
def test_pixels_are_counted_beyond_what_float32_can() -> None:
    side = 4100  # 16,810,000 pixels, of which float32 counts 16,777,216
    true = tf.zeros([1, side, side], tf.int32)
    (counts,) = confusion(true, true, 2).numpy()
    assert counts.tolist() == [side * side, 0, 0, 0]
    accuracy = PixelAccuracy("pixel_accuracy", 2)
    accuracy.update_state([[1]], [[side * side, 1, 0, 0]])
    assert float(accuracy.result()) == side * side / (side * side + 1)


@pytest.mark.parametrize(
    ("mask", "fault"),
    [
        (example_data.image_bytes(SMALL), None),
        (encoded(SMALL, "P"), None),
        (RGB, "its mask 'mask' is a PNG of 8 bits a sample, RGB; it must be a PNG that is grey or has a palette"),
        (SIXTEEN.getvalue(), "16 bits a sample, grey"),
        (example_data.random_image(0, 6, 8, "JPEG"), "is no PNG"),
        (example_data.image_bytes(SMALL)[:20], "is no PNG"),
        (b"", "is no PNG"),
        (7, "is a number"),
        (example_data.feature(b"a", b"b"), "its mask 'mask' has 2 values"),
    ],
)
def test_ingestion_holds_each_record_to_have_a_mask(mask, fault: str | None) -> None:
    contract = contract_of(make_pixels.features(), make_pixels.label())
    good = example_data.record(image=RGB, mask=example_data.image_bytes(SMALL))
    record = example_data.record(image=RGB, mask=mask)
    kind = kind_of(good, contract)
    found = find_fault(record, contract, kind)
    assert found is None if fault is None else fault in found
    if not isinstance(mask, int):  # of another type, which cannot be parsed
        assert are_sound(tf.constant([good, record]), contract, kind).numpy().tolist() == [True, fault is None]


def test_a_missing_mask_is_told_with_what_it_may_be_called() -> None:
    contract = contract_of(make_pixels.features(), make_pixels.label())
    record = example_data.record(image=RGB, masks=example_data.image_bytes(SMALL))
    assert "it has no mask 'mask'; did you mean 'masks'?" in find_fault(record, contract)
    assert not are_sound(tf.constant([record]), contract, kind_of(record, contract)).numpy().any()


PIXELS = st.integers(1, 5).flatmap(
    lambda classes: st.tuples(
        st.just(classes + 1),
        st.lists(
            st.lists(st.tuples(st.integers(0, classes + 1), st.integers(0, classes)), min_size=4, max_size=4),
            min_size=1, max_size=5,
        ),
    )
)  # fmt: skip
"""Number of classes, and the true and predicted classes of some images' pixels; the last number is no class."""


@pytest.mark.slow
@given(PIXELS)
@example((2, [[(2, 0)] * 4]))  # no pixel counts
@settings(max_examples=60, deadline=None)
def test_the_metrics_are_those_of_all_pixels_together(drawn) -> None:
    classes, pictures = drawn
    pairs = np.array(pictures)
    true, told = pairs[..., 0].reshape(-1, 2, 2), pairs[..., 1].reshape(-1, 2, 2)
    counts = true < classes
    left_out = np.where(counts, true, LEFT_OUT)
    matrices = confusion(tf.constant(left_out, tf.int32), tf.constant(told, tf.int32), classes).numpy()
    iou, accuracy = MeanPixelIoU("mean_iou", classes), PixelAccuracy("pixel_accuracy", classes)
    for row in matrices:  # one by one, because merged results are sums
        iou.update_state([[4]], row[np.newaxis])
        accuracy.update_state([[4]], row[np.newaxis])
    expected = make_pixels.mean_iou(true[counts], told[counts], classes) if counts.any() else np.nan
    right = (true == told)[counts].mean() if counts.any() else np.nan
    assert float(iou.result()) == pytest.approx(expected, nan_ok=True)
    assert float(accuracy.result()) == pytest.approx(right, nan_ok=True)
    shown_iou = mean_iou(matrices.sum(axis=0).reshape(classes, classes))
    assert shown_iou == pytest.approx(expected if counts.any() else 0.0)

    outputs = tf.one_hot(told, classes) * 9.0
    target = tf.constant(left_out[..., np.newaxis], tf.uint8)
    task = Pixels([str(number) for number in range(classes)], "photo")
    if counts.any():
        shown = {}
        for metric in metrics_of("pixels", task, ["mean_iou", "pixel_accuracy"]):
            metric.update_state(target, outputs)
            shown[metric.name] = float(metric.result())
        assert shown == pytest.approx({"mean_iou": expected, "pixel_accuracy": right}, abs=1e-6)
    logits = np.log(np.exp(9.0 * np.eye(classes)) / np.exp(9.0 * np.eye(classes)).sum(axis=1, keepdims=True))
    losses = -logits[told[counts], true[counts]]
    assert float(task.loss()(target, outputs)) == pytest.approx(losses.mean() if counts.any() else 0.0, abs=1e-4)


@pytest.mark.parametrize("fit", ["stretch", "crop", "pad", "crop_or_pad"])
def test_a_mask_that_is_laid_over_its_picture_lies_on_what_it_is_of(fit: str) -> None:
    numbers = np.zeros([40, 60], np.uint8)
    numbers[14:30, 20:44] = 2
    feature = make_pixels.features(fit=fit)["photo"]
    data = example_data.image_bytes(numbers)
    mask = masks.fitted(make_pixels.label(), feature, tf.constant(data)).numpy()[..., 0]
    told = np.where(mask == LEFT_OUT, 0, mask).astype(np.uint8)
    covers = covered(feature, tf.constant([data])).numpy()[0]
    shown = np.array(Image.open(io.BytesIO(overlaid(data, told, covers.tolist()))))
    is_green = shown[..., 1] > 40  # class 2 is green in the palette, and the image is black
    seen = np.zeros_like(is_green)
    top, left, bottom, right = (round(share * side) for share, side in zip(covers, (40, 60, 40, 60), strict=True))
    seen[max(top, 0) : bottom, max(left, 0) : right] = True
    assert (is_green != ((numbers == 2) & seen)).mean() < 0.06
    assert is_green.any()


def test_a_mask_is_written_with_a_palette() -> None:
    numbers = np.arange(12, dtype=np.uint8).reshape(3, 4)
    read = Image.open(io.BytesIO(png(numbers)))
    assert read.mode == "P"
    np.testing.assert_array_equal(np.array(read), numbers)
    np.testing.assert_array_equal(
        np.array(read.convert("RGB")), np.frombuffer(PALETTE, np.uint8).reshape(-1, 3)[numbers]
    )
    # From the challenge's own masks: background, aeroplane, bicycle, and border.
    assert [tuple(PALETTE[3 * n : 3 * n + 3]) for n in (0, 1, 2, 255)] == [
        (0, 0, 0), (128, 0, 0), (0, 128, 0), (224, 224, 192),
    ]  # fmt: skip
