"""Augmentations `transpose` and windows with `min_object_covered`, compared with NumPy and tf.image."""

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st

from hubline.trainer.augment import drawn
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.image_transform import ImageTransform

SIDE = 40
NOISE = np.random.default_rng(0).integers(0, 256, [SIDE, SIDE, 3], np.uint8)
MIRRORS = ({"flip_left_right": True}, {"flip_up_down": True}, {"transpose": True})


def draw(number: int, *how: dict, side: int = SIDE, boxes: tf.Tensor | None = None) -> ImageTransform:
    augment = tuple(Augmentation.model_validate(each) for each in how)
    return drawn(augment, side, side, tf.constant([7, number], tf.int64), boxes=boxes)


def swaps(change: ImageTransform) -> bool:
    return bool(abs(change.matrix[0, 1]) > 0.5)


@pytest.mark.slow
def test_half_of_the_images_are_transposed_as_numpy_does() -> None:
    changes = [draw(number, {"transpose": True}) for number in range(60)]
    assert 15 < sum(map(swaps, changes)) < 45  # seeded
    for change in changes[:8]:
        expected = NOISE.transpose(1, 0, 2) if swaps(change) else NOISE
        np.testing.assert_array_equal(change.image(tf.constant(NOISE)), expected)
        np.testing.assert_array_equal(change.mask(tf.constant(NOISE[..., :1])), expected[..., :1])
        clip = change.image(tf.constant(np.stack([NOISE, 255 - NOISE]))).numpy()
        np.testing.assert_array_equal(clip, [expected, 255 - expected])
        (box,), _ = change.boxes(tf.constant([[0.1, 0.2, 0.5, 0.9]]))
        np.testing.assert_allclose(box, [0.2, 0.1, 0.9, 0.5] if swaps(change) else [0.1, 0.2, 0.5, 0.9], atol=1e-6)


@pytest.mark.slow
@given(st.lists(st.sampled_from(MIRRORS), min_size=1, max_size=5), st.integers(0, 30))
@settings(deadline=None, max_examples=25)
def test_mirrors_and_transpositions_together_are_one_after_the_other(how: list[dict], number: int) -> None:
    expected = NOISE
    for place, each in enumerate(how):
        single = drawn(
            (Augmentation.model_validate(each),), SIDE, SIDE, tf.constant([7 + place, number + place], tf.int64)
        )
        expected = single.image(tf.constant(expected)).numpy()
    np.testing.assert_array_equal(draw(number, *how).image(tf.constant(NOISE)), expected)


@pytest.mark.parametrize("number", range(4))
def test_a_transposed_window_is_the_window_of_the_transposed_image(number: int) -> None:
    ramp = np.add.outer(np.arange(SIDE) * 4.0, np.arange(SIDE) * 2.0)[..., np.newaxis].astype(np.uint8)
    both = draw(number, {"transpose": True}, {"crop": 0.5})
    turned = ramp.transpose(1, 0, 2) if swaps(draw(number, {"transpose": True})) else ramp
    crop = drawn((Augmentation(crop=0.5),), SIDE, SIDE, tf.constant([8, number + 1], tf.int64))
    off = np.abs(both.image(tf.constant(ramp)).numpy().astype(int) - crop.image(tf.constant(turned)).numpy())
    assert off[2:-2, 2:-2].max() <= 2


def covered(change: ImageTransform, box: np.ndarray) -> float:
    """Share of a box, in pixels, that lies in the window of a change without rotation."""
    (across, _, left), (_, down, top), _ = change.matrix.numpy()
    window = np.array([top / SIDE, left / SIDE, top / SIDE + down, left / SIDE + across])
    common = np.minimum(window[2:], box[2:]) - np.maximum(window[:2], box[:2])
    return float(np.prod(np.maximum(common, 0)) / np.prod(box[2:] - box[:2]))


WINDOW = {"area": (0.1, 0.5), "aspect_ratio": (0.7, 1.4)}


@pytest.mark.slow
@pytest.mark.parametrize("least", [0.5, 1.0])
def test_a_window_covers_as_much_of_the_object_as_was_asked_for(least: float) -> None:
    box = np.array([4, 20, 16, 36], np.float32) / SIDE  # whole pixels, as TensorFlow counts in them
    boxes = tf.constant(box[np.newaxis])
    free = [covered(draw(number, {"crop": WINDOW}, boxes=boxes), box) for number in range(40)]
    bound = [draw(number, {"crop": WINDOW | {"min_object_covered": least}}, boxes=boxes) for number in range(40)]
    assert min(free) < least / 2
    assert min(covered(change, box) for change in bound) >= least - 1e-4
    windows = {change.matrix.numpy().tobytes() for change in bound}
    assert len(windows) > 20
    begin, size, _ = tf.image.stateless_sample_distorted_bounding_box(
        [SIDE, SIDE, 3], boxes[tf.newaxis], tf.constant([7, 3], tf.int64), least, (0.7, 1.4), (0.1, 0.5)
    )
    (across, _, left), (_, down, top), _ = bound[3].matrix.numpy()
    np.testing.assert_allclose([top, left], begin[:2], atol=1e-4)
    np.testing.assert_allclose([down * SIDE, across * SIDE], size[:2], atol=1e-4)


@pytest.mark.slow
def test_the_object_counts_where_earlier_changes_have_moved_it() -> None:
    box = np.array([0, 0, 10, 10], np.float32) / SIDE
    how = ({"flip_left_right": True}, {"transpose": True}, {"crop": WINDOW | {"min_object_covered": 1.0}})
    for number in range(20):
        change = draw(number, *how, boxes=tf.constant(box[np.newaxis]))
        (moved,), _ = change.boxes(tf.constant(box[np.newaxis]))
        scale = abs(np.linalg.det(change.matrix.numpy()[:2, :2]))
        np.testing.assert_allclose(np.prod(moved[2:] - moved[:2]) * scale, np.prod(box[2:]), rtol=1e-3)


def test_without_an_object_any_window_will_do() -> None:
    how = {"crop": WINDOW | {"min_object_covered": 1.0}}
    lost = draw(1, how, boxes=tf.zeros([1, 4]))
    np.testing.assert_array_equal(lost.matrix, draw(1, {"crop": WINDOW}).matrix)
    assert lost.matrix[0, 0] < 1
