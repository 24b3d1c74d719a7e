"""Augmentation of images, boxes and masks, compared with NumPy, Pillow and colorsys; mixup computed by hand."""

import colorsys

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from hubline.preprocessing.kinds.image_geometry import clipped
from hubline.trainer import randomness
from hubline.trainer.augment import augmented, drawn
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.image_transform import ImageTransform

HEIGHT, WIDTH = 48, 64
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, [HEIGHT, WIDTH, 3], np.uint8)
# Linear in both directions, so that interpolating twice equals interpolating once.
RAMP = np.add.outer(np.arange(HEIGHT) * 2.0, np.arange(WIDTH) * 1.5)[..., np.newaxis].round().astype(np.uint8)

MOVES = (
    {"flip_left_right": True},
    {"flip_up_down": True},
    {"rotate": 40},
    {"rotate": 180},
    {"crop": 0.4},
    {"crop": {"area": (0.3, 0.9), "aspect_ratio": (0.5, 2.0)}},
)
COLOURS = ({"brightness": 0.3}, {"contrast": 0.5}, {"saturation": 0.5}, {"hue": 0.3}, {"cutout": 0.5})


def seed(number: int) -> tf.Tensor:
    return tf.constant([7, number], tf.int64)


def changes(*how: dict) -> tuple[Augmentation, ...]:
    return tuple(Augmentation.model_validate(each) for each in how)


def draw(number: int, *how: dict) -> ImageTransform:
    return drawn(changes(*how), HEIGHT, WIDTH, seed(number))


@pytest.mark.parametrize(("most", "turns"), [(90, 3), (180, 2)])
@pytest.mark.parametrize("channels", [1, 3])
def test_a_turn_by_a_right_angle_is_numpy_s(monkeypatch, most: float, turns: int, channels: int) -> None:
    monkeypatch.setattr(tf.random, "stateless_uniform", lambda shape, seed, low=0, high=1: tf.fill(shape, high))
    square = RNG.integers(0, 256, [9, 9, channels], np.uint8)
    turned = drawn(changes({"rotate": most}), 9, 9, seed(0))
    expected = np.rot90(square, -turns)
    np.testing.assert_array_equal(turned.image(tf.constant(square)), expected)
    np.testing.assert_array_equal(turned.mask(tf.constant(square[..., :1])), expected[..., :1])


@pytest.mark.parametrize("number", range(6))
def test_a_turn_is_pillow_s_up_to_so_many_degrees_and_black_beyond(number: int) -> None:
    turned = draw(number, {"rotate": 30})
    (cos, sin), _ = turned.matrix.numpy()[:2, :2].T
    degrees = np.degrees(np.arctan2(sin, cos))
    assert abs(degrees) <= 30
    expected = np.asarray(Image.fromarray(NOISE).rotate(degrees, Image.Resampling.BILINEAR, fillcolor=(0, 0, 0)))
    got = turned.image(tf.constant(NOISE)).numpy()
    inside = turned.mask(tf.ones([HEIGHT, WIDTH, 1], tf.uint8)).numpy()[..., 0].astype(bool)
    assert 0.6 < inside.mean() < 1 and not got[~inside].any()
    # Pillow makes black what is half a pixel beyond the edge, and rounds differently.
    off = np.abs(got.astype(int) - expected).max(axis=-1)
    assert np.mean(off[inside] <= 3) > 0.95 and (off[8:-8, 16:-16] <= 3).all()


@pytest.mark.parametrize("how", MOVES[4:])
@pytest.mark.parametrize("number", range(5))
def test_a_window_is_what_pillow_makes_of_it(how: dict, number: int) -> None:
    window = draw(number, how)
    (across, _, left), (_, down, top), _ = window.matrix.numpy()
    box = (left, top, left + across * WIDTH, top + down * HEIGHT)
    assert box[0] >= 0 and box[1] >= 0 and box[2] <= WIDTH + 1e-3 and box[3] <= HEIGHT + 1e-3
    box = tuple(np.clip(box, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT]))
    expected = Image.fromarray(NOISE).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR, box=box)
    np.testing.assert_allclose(window.image(tf.constant(NOISE)), np.asarray(expected, int), atol=2)


def test_windows_have_the_area_and_proportions_that_were_asked_for() -> None:
    matrices = [
        draw(number, {"crop": {"area": (0.2, 0.5), "aspect_ratio": (0.8, 1.25)}}).matrix for number in range(40)
    ]
    width, height = np.array([np.diag(matrix)[:2] * (WIDTH, HEIGHT) for matrix in matrices]).T
    area, ratio = width * height / (WIDTH * HEIGHT), width / height
    assert 0.18 <= area.min() < 0.3 < 0.4 < area.max() <= 0.52
    assert 0.75 <= ratio.min() < 0.95 < 1.05 < ratio.max() <= 1.35
    # No window with this aspect ratio has this area, so the whole image is used.
    narrow = draw(0, {"crop": {"area": (0.9, 1.0), "aspect_ratio": (20.0, 30.0)}})
    np.testing.assert_allclose(narrow.matrix, np.eye(3), atol=1e-6)


@pytest.mark.slow
@given(st.lists(st.sampled_from(MOVES), min_size=2, max_size=3), st.integers(0, 30))
@settings(deadline=None, max_examples=15)
def test_changes_together_are_the_changes_one_after_the_other(how: list[dict], number: int) -> None:
    together = draw(number, *how)
    got = together.image(tf.constant(RAMP)).numpy()
    one_by_one, inside = RAMP, np.ones([HEIGHT, WIDTH, 1], np.uint8)
    for place, each in enumerate(how):
        single = drawn(changes(each), HEIGHT, WIDTH, seed(number) + place)
        one_by_one, inside = single.image(tf.constant(one_by_one)), single.mask(tf.constant(inside))
    # Away from areas that an earlier change has cut off; what was lost stays lost.
    eroded = -tf.nn.max_pool2d(-tf.cast(inside, tf.float32)[tf.newaxis], 7, 1, "VALID")[0].numpy()
    off = np.abs(got.astype(int) - one_by_one.numpy().astype(int))[3:-3, 3:-3][eroded > 0]
    assert off.size == 0 or off.max() <= 3


BOXES = st.tuples(st.integers(0, HEIGHT - 13), st.integers(0, WIDTH - 13), st.integers(12, 30), st.integers(12, 40))


@pytest.mark.slow
@given(BOXES, st.lists(st.sampled_from(MOVES), min_size=0, max_size=3), st.integers(0, 30))
@settings(deadline=None, max_examples=40)
def test_boxes_and_masks_follow_the_picture(box: tuple, how: list[dict], number: int) -> None:
    top, left, bottom, right = box[0], box[1], min(box[0] + box[2], HEIGHT), min(box[1] + box[3], WIDTH)
    picture = np.zeros([HEIGHT, WIDTH, 3], np.uint8)
    picture[top:bottom, left:right] = 255
    change = draw(number, *how)
    size = np.array([HEIGHT, WIDTH, HEIGHT, WIDTH], np.float32)
    (moved,), (stays,) = change.boxes(tf.constant([[top, left, bottom, right]] / size, tf.float32))
    got = change.image(tf.constant(picture)).numpy()[..., 0] > 127
    mask = change.mask(tf.constant(picture[..., :1])).numpy()[..., 0] > 0
    assert np.mean(got != mask) < 0.02
    assert (moved.numpy() >= 0).all() and (moved.numpy() <= 1).all()
    if not got.any():
        # Only a corner, or less, or the corner of a rotated box's bounding box.
        assert not stays or any("rotate" in each for each in how)
        return
    rows, columns = np.flatnonzero(got.any(axis=1)), np.flatnonzero(got.any(axis=0))
    around = np.array([rows[0], columns[0], rows[-1] + 1, columns[-1] + 1])
    expected = moved.numpy() * size
    assert (around[:2] >= expected[:2] - 1).all() and (around[2:] <= expected[2:] + 1).all()
    if not any("rotate" in each for each in how):
        np.testing.assert_allclose(around, expected, atol=1)
        whole = np.linalg.det(change.matrix.numpy()[:2, :2]) if how else 1.0
        share = np.prod(expected[2:] - expected[:2]) * abs(whole) / ((bottom - top) * (right - left))
        assert bool(stays) == (share >= 0.25) or abs(share - 0.25) < 0.02


def test_a_box_of_which_less_than_a_quarter_stays_is_lost() -> None:
    boxes = [[0.0, 0, 0.5, 0.5], [-0.31, 0, 0.1, 1], [-0.29, 0, 0.1, 1], [2, 2, 3, 3], [0.5, 0.5, 0.5, 0.6]]
    inside, stay = clipped(tf.constant(boxes))
    np.testing.assert_allclose(
        inside, [[0, 0, 0.5, 0.5], [0, 0, 0.1, 1], [0, 0, 0.1, 1], [1, 1, 1, 1], [0.5, 0.5, 0.5, 0.6]]
    )
    assert stay.numpy().tolist() == [True, False, True, False, False]


def test_without_boxes_there_are_none() -> None:
    boxes, stay = draw(0, {"rotate": 10}).boxes(tf.zeros([0, 4]))
    assert boxes.shape == (0, 4) and stay.shape == (0,)


def test_a_mask_is_filled_with_what_is_asked_for() -> None:
    mask = draw(1, {"rotate": 180}).mask(tf.ones([HEIGHT, WIDTH, 1], tf.uint8), fill=255).numpy()
    assert set(mask.flat) == {1, 255} and mask.dtype == np.uint8


def hsv(pixels: np.ndarray) -> np.ndarray:
    return np.array([colorsys.rgb_to_hsv(*pixel) for pixel in pixels.reshape(-1, 3) / 255.0])


VIVID = np.random.default_rng(1).integers(30, 226, [12, 12, 3], np.uint8)
VIVID[..., 0] = 220 - VIVID[..., 1] // 4
GREY = np.repeat(VIVID[..., 1:2], 3, axis=-1)


@pytest.mark.parametrize("number", range(5))
def test_hue_turns_every_colour_by_the_same_and_leaves_grey(number: int) -> None:
    how = changes({"hue": 0.2})
    before, after = hsv(VIVID), hsv(augmented(how, tf.constant(VIVID), seed(number)).numpy())
    vivid = before[:, 1] > 0.3
    turned = (after - before)[vivid, 0]
    turned = (turned + 0.5) % 1 - 0.5
    assert np.ptp(turned) < 0.03 and abs(np.median(turned)) <= 0.2
    np.testing.assert_allclose(after[vivid, 1:], before[vivid, 1:], atol=0.02)
    np.testing.assert_allclose(augmented(how, tf.constant(GREY), seed(number)), GREY.astype(int), atol=1)


@pytest.mark.parametrize("number", range(5))
def test_saturation_is_multiplied_and_nothing_else_changes(number: int) -> None:
    how = changes({"saturation": 0.5})
    before, after = hsv(VIVID), hsv(augmented(how, tf.constant(VIVID), seed(number)).numpy())
    vivid = (before[:, 1] > 0.3) & (after[:, 1] < 0.98)
    factors = after[vivid, 1] / before[vivid, 1]
    assert np.ptp(factors) < 0.06 and 0.48 <= np.median(factors) <= 1.52
    np.testing.assert_allclose(after[vivid, 2], before[vivid, 2], atol=0.01)
    np.testing.assert_allclose(augmented(how, tf.constant(GREY), seed(number)), GREY.astype(int), atol=1)


def test_colours_of_grey_pictures_stay_as_they_are() -> None:
    one = GREY[..., :1]
    np.testing.assert_array_equal(augmented(changes({"hue": 0.5}, {"saturation": 1}), tf.constant(one), seed(0)), one)


def test_a_square_is_cut_out_and_nothing_else() -> None:
    picture = np.full([HEIGHT, WIDTH, 3], 10, np.uint8)
    places, sides = set(), set()
    for number in range(20):
        got = augmented(changes({"cutout": 0.5}), tf.constant(picture), seed(number)).numpy()
        cut = (got != 10).any(axis=-1)
        assert set(got[cut].flat) <= {127, 128}
        rows, columns = np.flatnonzero(cut.any(axis=1)), np.flatnonzero(cut.any(axis=0))
        if len(rows):
            assert len(rows) == len(columns) <= 0.5 * HEIGHT and cut.sum() == len(rows) ** 2
            places.add((rows[0], columns[0]))
            sides.add(len(rows))
    assert len(places) > 10 and len(sides) > 5


@pytest.mark.parametrize("how", [*([each] for each in (*MOVES, *COLOURS)), [*MOVES[:3], *MOVES[4:], *COLOURS]], ids=str)
def test_a_seed_draws_one_picture_and_others_draw_others(how: list[dict]) -> None:
    augment = changes(*how)

    @tf.function
    def in_a_graph(own: tf.Tensor) -> tf.Tensor:
        return augmented(augment, tf.constant(NOISE), own)

    many = [in_a_graph(seed(number)).numpy() for number in range(8)]
    assert len({one.tobytes() for one in many}) > 1
    assert many[0].dtype == np.uint8 and many[0].shape == NOISE.shape
    np.testing.assert_array_equal(in_a_graph(seed(3)), many[3])
    eager = augmented(augment, tf.constant(NOISE), seed(3)).numpy().astype(int)
    assert np.mean(np.abs(eager - many[3]) > 1) < 0.01  # rounding at the edge of black areas


def test_frames_of_a_clip_are_changed_alike() -> None:
    frames = tf.constant(RNG.integers(0, 256, [3, HEIGHT, WIDTH, 3], np.uint8))
    change = draw(2, {"rotate": 20}, {"crop": 0.2}, {"hue": 0.1}, {"contrast": 0.4}, {"cutout": 0.3})
    together = change.image(frames).numpy()
    for number in range(3):
        np.testing.assert_array_equal(together[number], change.image(frames[number]))


def test_no_change_is_no_change() -> None:
    np.testing.assert_array_equal(augmented((), tf.constant(NOISE), seed(0)), NOISE)
    np.testing.assert_array_equal(augmented(changes({"mixup": 0.2}), tf.constant(NOISE), seed(0)), NOISE)


PICTURES = RNG.integers(0, 256, [23, 4, 5, 3], np.uint8)


def mixed(targets: np.ndarray, alpha: float, epoch: int = 0) -> tf.data.Dataset:
    given = tf.data.Dataset.from_tensor_slices(({"a": PICTURES, "b": 255 - PICTURES}, targets.astype(np.float32)))
    return randomness.mixed(given.batch(8), alpha, seed=1, epoch=epoch)


@pytest.mark.parametrize("alpha", [0.01, 0.4, 5.0])
def test_mixup_lays_pictures_and_targets_over_each_other_by_the_same_shares(alpha: float) -> None:
    dataset = mixed(np.eye(23), alpha)
    assert int(dataset.cardinality()) == 3
    batches = list(dataset.as_numpy_iterator())
    weights = np.concatenate([target for _, target in batches])  # of each image in each mixture
    np.testing.assert_allclose(weights.sum(axis=1), 1, atol=1e-6)
    own = np.diag(weights)
    assert (own >= 0.5).all() and (np.count_nonzero(weights, axis=1) <= 2).all()
    assert (np.median(own) > 0.99) if alpha == 0.01 else (own.min() < 0.9 and len(set(own.tolist())) > 10)
    in_one_batch = np.arange(23)[:, np.newaxis] // 8 == np.arange(23) // 8
    assert not weights[~in_one_batch].any()
    for name, pixels in (("a", PICTURES), ("b", 255 - PICTURES)):
        got = np.concatenate([images[name] for images, _ in batches])
        assert got.dtype == np.uint8
        np.testing.assert_allclose(got, np.tensordot(weights, pixels, 1), atol=0.51)
    # Numbers are mixed like classes.
    numbers = np.concatenate([target for _, target in mixed(np.arange(23), alpha).as_numpy_iterator()])
    np.testing.assert_allclose(numbers, weights @ np.arange(23), atol=1e-4)


@pytest.mark.slow
def test_mixup_differs_from_epoch_to_epoch_and_not_from_run_to_run() -> None:
    def epochs() -> list[np.ndarray]:
        by_epoch = [mixed(np.eye(23), 0.5, number) for number in range(2)]
        return [np.concatenate([target for _, target in data.as_numpy_iterator()]) for data in by_epoch]

    (first, second), again = epochs(), epochs()
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal([first, second], again)
