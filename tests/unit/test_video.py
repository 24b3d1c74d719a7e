"""Kind `video`: sampled frames and padding, compared with NumPy; equal in all ways; and hub modules."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from hubline.components.example_gen.contract import ColumnTypes, Contract
from hubline.components.example_gen.label_contracts import contract_of
from hubline.components.example_gen.locate_bad_records import undecodable
from hubline.components.example_gen.record_checks import are_sound, find_fault
from hubline.core.errors import UserError
from hubline.preprocessing.config import Features, ImageFeature, VideoFeature
from hubline.preprocessing.examples import flattened
from hubline.preprocessing.feature_columns import input_columns
from hubline.preprocessing.kinds.image import pixels
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.augment import augmented
from hubline.trainer.config.augmentation import Augmentation
from hubline.trainer.config.hubs import Hub
from hubline.trainer.embed import Embedder
from hubline.trainer.embeddings import column
from hubline.trainer.hub_interface import inspect_module
from hubline.trainer.hub_layer import HubLayer, try_out
from hubline.trainer.inputs import bytes_of_pixels, encoded_images, pixels_of_batch, pixels_of_one
from hubline.trainer.module_fit import check_fits
from hubline.trainer.saved_model_loader import open_module
from tests.support import example_data, hub_modules


def video(**options) -> VideoFeature:
    return VideoFeature(kind="video", **({"frames": 4, "size": (8, 8)} | options))


def taken(feature: VideoFeature, count: int) -> list[int | None]:
    """The frame number at each position, by counting; None if black."""
    every = list(range(count))
    if feature.sample == "spread":
        # The middle frame of each of the equal parts.
        parts = [(part + 0.5) * count / feature.frames for part in range(feature.frames)]
        chosen = every if count <= feature.frames else [int(np.floor(middle)) for middle in parts]
    else:
        stretch = feature.stride * (feature.frames - 1) + 1
        start = (count - stretch) // 2 if feature.sample == "middle" and count > stretch else 0
        chosen = every[start :: feature.stride][: feature.frames]
    lacking = feature.frames - len(chosen)
    more = {
        "repeat": chosen[-1:] * lacking,
        "loop": (chosen * feature.frames)[:lacking],
        "black": [None] * lacking,
    }
    return [*chosen, *more[feature.pad]]


GREYS = [example_data.image_bytes(np.full([2, 3, 3], grey, np.uint8)) for grey in range(1, 61)]
"""Frames with different grey values, from 1."""


@pytest.mark.slow
@given(
    st.lists(st.integers(1, 60), min_size=1, max_size=5),
    st.integers(1, 9),
    st.sampled_from([("spread", 1), ("middle", 1), ("middle", 3), ("first", 1), ("first", 2)]),
    st.sampled_from(["repeat", "loop", "black"]),
    st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_the_frames_that_are_taken_are_those_that_counting_finds(counts, frames, sample, pad, dense) -> None:
    feature = video(frames=frames, size=(2, 3), sample=sample[0], stride=sample[1], pad=pad)
    clips = tf.ragged.constant([GREYS[:count] for count in counts])
    # As parsed, or as the input of the signature `predict`.
    encoded = feature.encoded(clips.to_tensor("") if dense else clips.to_sparse())
    got = pixels_of_batch({"clip": feature}, {"clip": encoded})["clip"].numpy()
    assert got.shape == (len(counts), frames, 2, 3, 3) and got.dtype == np.uint8
    expected = [[0 if place is None else place + 1 for place in taken(feature, count)] for count in counts]
    np.testing.assert_array_equal(got, np.broadcast_to(np.array(expected)[:, :, None, None, None], got.shape))


@pytest.mark.slow
@given(st.integers(0, 200), st.integers(1, 20), st.sampled_from(["spread", "middle", "first"]))
@settings(deadline=None)
def test_places_ascend_within_the_clip_and_evenly(count: int, frames: int, sample: str) -> None:
    places = video(frames=frames, sample=sample).places(tf.constant([count], tf.int64))[0].numpy()
    there = places[places >= 0]
    assert len(there) == min(count, frames) and (there < count).all() and (np.diff(there) > 0).all()
    if len(there) > 1:
        assert np.ptp(np.diff(there)) <= 1
        assert sample == "first" or abs(there[0] - (count - 1 - there[-1])) <= 1


def test_a_stride_over_the_whole_clip_is_a_mistake() -> None:
    with pytest.raises(ValidationError, match="spread covers the whole clip"):
        video(stride=2)


def clip(seed: int, count: int, form: str = "PNG", height: int = 10, width: int = 12) -> list[bytes]:
    return [example_data.random_image(100 * seed + number, height, width, form) for number in range(count)]


def test_each_frame_is_decoded_as_an_image_is() -> None:
    frames = [*clip(0, 2), *clip(1, 2, "JPEG", 7, 30)]
    options = {"size": (8, 6), "channels": 1, "fit": "crop", "resize": "area"}
    got = video(**options).decoded(tf.constant(frames))
    alone = [pixels(ImageFeature(kind="image", **options), tf.constant(frame)) for frame in frames]
    np.testing.assert_array_equal(got, tf.stack(alone))


def parse(records: list[bytes]) -> dict:
    return tf.io.parse_example(flattened(tf.constant(records)), {"clip": tf.io.VarLenFeature(tf.string)})


def in_steps(frames: list[bytes], **context) -> bytes:
    """A clip as a tf.SequenceExample."""
    message = tf.train.SequenceExample(context=tf.train.Example.FromString(example_data.record(**context)).features)
    for frame in frames:
        message.feature_lists.feature_list["clip"].feature.add().CopyFrom(example_data.feature(frame))
    return message.SerializeToString()


CLIPS = [clip(0, 1), clip(1, 4), clip(2, 3, "JPEG"), clip(3, 9)]


@pytest.mark.slow
def test_examples_and_sequence_examples_give_the_same_in_every_way(tmp_path: Path) -> None:
    features: Features = {"clip": video(pad="loop")}
    records = [example_data.record(clip=example_data.feature(*frames)) for frames in CLIPS]
    whole = pixels_of_batch(features, encoded_images(features, parse(records)))["clip"].numpy()
    assert len({row.tobytes() for row in whole}) == len(CLIPS)

    steps = pixels_of_batch(features, encoded_images(features, parse([in_steps(frames) for frames in CLIPS])))["clip"]
    one_by_one = (
        tf.data.Dataset.from_tensor_slices(records)
        .batch(3)
        .map(lambda some: encoded_images(features, tf.io.parse_example(some, {"clip": tf.io.VarLenFeature(tf.string)})))
        .unbatch()
        .map(lambda encoded: pixels_of_one(features, encoded), num_parallel_calls=2)
    )

    class Served(tf.Module):
        @tf.function(input_signature=[tf.TensorSpec([None, None], tf.string)])
        def __call__(self, frames):
            return pixels_of_batch(features, encoded_images(features, {"clip": frames}))["clip"]

    tf.saved_model.save(Served(), str(tmp_path))
    served = tf.saved_model.load(str(tmp_path))(tf.ragged.constant(CLIPS).to_tensor(""))
    for got in (steps, [row["clip"] for row in one_by_one], served):
        np.testing.assert_array_equal(got, whole)


BAD = [clip(5, 2)[0][:60]]


@pytest.mark.slow
def test_frames_that_are_not_taken_are_never_decoded(tmp_path: Path) -> None:
    features: Features = {"clip": video(frames=1, sample="middle")}
    records = [
        example_data.record(clip=example_data.feature(*frames))
        for frames in ([*BAD, *clip(0, 1), *BAD], [*clip(0, 2), *BAD])
    ]
    pixels_of_batch(features, encoded_images(features, parse(records)))
    source = example_data.write_tfrecord(tmp_path / "data", records)
    assert list(undecodable(str(source), features)) == []


@pytest.mark.slow
@pytest.mark.parametrize("frames", [[], [*BAD, *clip(0, 3)], [b"nonsense", *clip(0, 3)]])
def test_a_clip_without_frames_or_with_one_that_does_not_decode_is_an_error(frames: list[bytes]) -> None:
    encoded = video().encoded(tf.ragged.constant([frames, clip(0, 2)], tf.string, ragged_rank=1).to_sparse())
    with pytest.raises(tf.errors.InvalidArgumentError):
        tf.function(video().decoded)(encoded[0])
    video().decoded(encoded[1])


@pytest.mark.slow
def test_the_embedder_leaves_out_clips_that_do_not_decode_and_they_are_named(tmp_path: Path) -> None:
    module = hub_modules.module(
        tmp_path / "m", spec(tf.uint8, None, 4, 8, 8, 3), lambda x: tf.cast(x[:, :, 0, 0, 0], tf.float32)
    )
    frames = [clip(0, 5), [*clip(1, 1), *BAD], clip(2, 2)]
    source = example_data.write_tfrecord(
        tmp_path / "data", [example_data.record(clip=example_data.feature(*each), n=1) for each in frames]
    )
    features: Features = {"clip": video()}
    embedder = Embedder(
        {"m": hub(inputs={"x": "clip"})}, {"m": str(module)}, features, {"clip": tf.io.VarLenFeature(tf.string)}
    )
    made = embedder.embed(str(source), 3, str(tmp_path / "rows"), 1, (), 0)
    assert (made.count, made.undecodable) == (2, (1,))
    (found,) = undecodable(str(source), features)
    assert found.record == 1 and found.reason.startswith("its clip 'clip' does not decode: ")
    rows = tf.io.parse_example(
        example_data.read_tfrecord(tmp_path / "rows"),
        {column("m"): tf.io.FixedLenFeature([4], tf.float32), "clip": tf.io.VarLenFeature(tf.string)},
    )
    assert rows["clip"].dense_shape[1] == 0
    kept = pixels_of_batch(features, encoded_images(features, parse(example_data.read_tfrecord(source)[::2])))["clip"]
    np.testing.assert_array_equal(rows[column("m")], kept[:, :, 0, 0, 0])


CONTRACT = Contract(images=("clip",), clips=("clip",))


@pytest.mark.parametrize(
    ("record", "says"),
    [
        (example_data.record(clip=example_data.feature(*clip(0, 3))), None),
        (example_data.record(clip=example_data.feature(*clip(0, 1))), None),
        (in_steps(clip(0, 2), x=1), None),
        (example_data.record(clip=tf.train.Feature(bytes_list=tf.train.BytesList())), "its clip 'clip' has no frames"),
        (example_data.record(clips=example_data.feature(*clip(0, 2))), "it has no clip 'clip'; did you mean 'clips'?"),
        (
            example_data.record(clip=example_data.feature(*clip(0, 2), b"text")),
            "frame 2 of its clip 'clip' is not a JPEG, PNG",
        ),
        (example_data.record(clip=example_data.feature(1, 2)), "frame 0 of its clip 'clip' is a number"),
    ],
)  # fmt: skip
def test_every_record_has_a_clip_of_images(record: bytes, says: str | None) -> None:
    fault = find_fault(record, CONTRACT)
    assert fault is None if says is None else says in str(fault)
    try:
        (is_sound,) = are_sound(flattened(tf.constant([record])), CONTRACT, ColumnTypes()).numpy()
    except tf.errors.InvalidArgumentError:  # of another type
        is_sound = False
    assert is_sound == (says is None)


def test_the_contract_of_clips_and_images() -> None:
    features: Features = {"film": video(**{"from": "b"}), "photo": ImageFeature(kind="image", size=(8, 8))}
    contract = contract_of(features, None)
    assert (contract.images, contract.clips) == (("b", "photo"), ("b",))
    assert bytes_of_pixels(features) == 5 * 8 * 8 * 3


@pytest.mark.parametrize(
    ("other", "says"),
    [
        ({"kind": "image", "from": "film", "size": [8, 8]}, "'other' is image, and the column 'film' holds clips"),
        ({"kind": "numeric", "from": "film"}, "'other' is numeric, and the column 'film' holds clips"),
    ],
)
def test_a_column_of_clips_is_nothing_else(other: dict, says: str) -> None:
    film = {"kind": "video", "frames": 4, "size": [8, 8]}
    twice = TypeAdapter(Features).validate_python({"film": film, "end": film | {"from": "film", "sample": "first"}})
    assert input_columns(twice) == ["film"]
    with pytest.raises(ValidationError, match=says):
        TypeAdapter(Features).validate_python({"film": film, "other": other})


@pytest.mark.parametrize(
    "name", ["flip_left_right", "rotate", "crop", "brightness", "contrast", "saturation", "cutout"]
)
def test_every_frame_is_changed_in_the_same_way(name: str) -> None:
    change = Augmentation.model_validate({name: True if name.startswith("flip") else 0.5})
    frames = tf.random.stateless_uniform([5, 8, 8, 3], [1, 2], 0, 256, tf.int32)
    film = tf.cast(frames, tf.uint8)
    changed = set()
    for number in range(8):
        seed = tf.constant([7, number], tf.int64)
        got = augmented([change], film, seed)
        assert got.shape == film.shape and got.dtype == tf.uint8
        alone = tf.stack([augmented([change], frame, seed) for frame in film])
        np.testing.assert_allclose(tf.cast(got, tf.int32), tf.cast(alone, tf.int32), atol=1)
        changed.add(got.numpy().tobytes())
    assert len(changed) > 1


FILM, SHORT = video(), video(frames=2)
PIXELS = np.random.default_rng(0).integers(0, 256, [5, 4, 8, 8, 3], np.uint8)
SCALED = PIXELS.astype(np.float32) / 255
FEATURES: Features = {
    "film": FILM, "wide": video(value_range=(-1, 1)), "short": SHORT, "photo": ImageFeature(kind="image", size=(8, 8)),
    "note": TextFeature(kind="text"),
}  # fmt: skip


def hub(**options) -> Hub:
    return Hub(**({"handle": "module", "inputs": {"images": "film"}} | options))


def spec(dtype: tf.DType, *shape: int | None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype)


def gives(path: Path, wanted: Hub) -> np.ndarray:
    """The backbone's output, which is the same for each clip alone."""
    opened = open_module(str(path))
    check_fits(opened.offer, wanted, FEATURES)
    try_out(wanted, opened, FEATURES)
    backbone = HubLayer(wanted, opened, FEATURES, "tried")
    inputs = {"film": tf.constant(PIXELS), "wide": tf.constant(PIXELS), "short": tf.constant(PIXELS[:, :2])}
    inputs |= {"photo": tf.constant(PIXELS[:, 0]), "note": tf.constant(["a"] * 5)}
    together = tf.function(backbone)(inputs)
    assert together.dtype == tf.float32
    for number in range(len(PIXELS)):
        alone = backbone({name: values[number : number + 1] for name, values in inputs.items()})
        np.testing.assert_allclose(alone[0], together[number], rtol=1e-5, atol=1e-5)
    return together.numpy()


def over_time(clips: tf.Tensor) -> tf.Tensor:
    """The last frame minus the first, by channel; depends on the order of the frames."""
    means = tf.reduce_mean(clips, [2, 3])
    return means[:, -1] - means[:, 0]


MEANS = SCALED.mean(axis=(2, 3))
MOVED = MEANS[:, -1] - MEANS[:, 0]
IMAGES = spec(tf.float32, None, 8, 8, 3)


def frame_means(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, [1, 2])


@pytest.mark.parametrize(
    ("takes", "function", "options", "expected"),
    [
        # Clips.
        (spec(tf.float32, None, 4, 8, 8, 3), over_time, {}, MOVED),
        (spec(tf.float32, None, None, None, None, 3), over_time, {}, MOVED),
        (spec(tf.uint8, None, None, 8, 8, 3), lambda x: over_time(tf.cast(x, tf.float32)), {}, 255 * MOVED),
        (spec(tf.float32, None, 4, 8, 8, 3), over_time, {"inputs": {"x": "wide"}}, 2 * MOVED),
        (spec(tf.float32, None, 4, 8, 8, 3), lambda x: tf.reduce_mean(x, [2, 3]), {"pool": "max"}, MEANS.max(axis=1)),
        ({"image": spec(tf.float32, None, None, 8, 8, 3)}, lambda x: over_time(x["image"]), {}, MOVED),
        (spec(tf.float32, 1, 4, 8, 8, 3), over_time, {}, MOVED),
        (spec(tf.float32, 4, 8, 8, 3), lambda x: over_time(x[tf.newaxis])[0], {}, MOVED),
        (spec(tf.string, None, None),
         lambda x: over_time(tf.map_fn(lambda one: tf.map_fn(decoded, one, tf.float32), x, tf.float32)), {},
         255 * MOVED),
        ({"a": spec(tf.float32, None, 4, 8, 8, 3), "b": IMAGES}, lambda x: over_time(x["a"]) + frame_means(x["b"]),
         {"inputs": {"a": "film", "b": "photo"}}, MOVED + MEANS[:, 0]),
        # Each frame separately.
        (IMAGES, frame_means, {"pool": "mean"}, MEANS.mean(axis=1)),
        (IMAGES, frame_means, {"pool": "max"}, MEANS.max(axis=1)),
        (spec(tf.uint8, None, None, None, 3), lambda x: tf.reduce_max(x, [1, 2]), {"pool": "max"},
         PIXELS.max(axis=(1, 2, 3))),
        (IMAGES, frame_means, {"pool": {"lstm": 2}}, MEANS.reshape(5, 12)),
        (IMAGES, frame_means, {"pool": {"gru": 2, "max_length": 3}}, MEANS[:, :3].reshape(5, 9)),
        (IMAGES, lambda x: x[:, ::4, ::4], {"pool": "mean"}, SCALED[:, :, ::4, ::4].mean(axis=(1, 2, 3))),
        (IMAGES, lambda x: frame_means(x)[:, 0], {}, MEANS[:, :, 0]),
        (spec(tf.string, None), lambda x: frame_means(tf.map_fn(decoded, x, tf.float32)), {"pool": "mean"},
         255 * MEANS.mean(axis=1)),
        ({"a": IMAGES, "b": IMAGES}, lambda x: frame_means(x["a"] - x["b"]),
         {"inputs": {"a": "film", "b": "wide"}, "pool": "mean"}, (1 - MEANS).mean(axis=1)),
    ],
)  # fmt: skip
def test_what_modules_make_of_clips(tmp_path: Path, takes, function: Callable, options: dict, expected) -> None:
    path = hub_modules.module(tmp_path, takes, function)
    np.testing.assert_allclose(gives(path, hub(**options)), expected, rtol=1e-4, atol=1e-5)


def decoded(encoded: tf.Tensor) -> tf.Tensor:
    return tf.ensure_shape(tf.cast(tf.io.decode_png(encoded, channels=3), tf.float32), [8, 8, 3])


@pytest.mark.parametrize(
    ("takes", "options", "says"),
    [
        (spec(tf.float32, None, 9, 16, 8, 3), {},
         r"gives float32\[\?, 4, 8, 8, 3\]; give the feature frames: 9, size: \[16, 8\] and channels: 3"),
        (spec(tf.float32, None, None, 8, 8, 1), {}, r"give the feature size: \[8, 8\] and channels: 1"),
        (spec(tf.float32, None, 9, None, None, 3), {}, "give the feature frames: 9 and channels: 3"),
        (spec(tf.float32, 5, 8, 8, 3), {}, r"give the feature frames: 5, size: \[8, 8\] and channels: 3"),
        (spec(tf.float32, None, 9, 8, 3), {}, r"give the feature size: \[9, 8\] and channels: 3"),
        (spec(tf.float32, 1, 8, 8, 3), {}, "it takes one image at a time, and no clips"),
        (spec(tf.float32, 8, 8, 3), {}, "it takes one image at a time, and no clips"),
        (spec(tf.float32, None, 9, 8, 8, 3), {"inputs": {"x": "photo"}},
         r"'photo' gives float32\[\?, 8, 8, 3\]; give the feature kind: video, frames: 9, size: \[8, 8\] and"),
        (spec(tf.uint8, None, 4, 8, 8, 3), {"inputs": {"x": "wide"}}, "takes uint8, pixels from 0 to 255; leave"),
        (IMAGES, {}, r"'default' is float32\[\?, 3\]: 4 vectors for each example, where each frame is run by itself"),
        ({"a": IMAGES, "b": IMAGES}, {"inputs": {"a": "film", "b": "short"}}, "must be fed clips of as many frames"),
        ({"a": IMAGES, "b": IMAGES}, {"inputs": {"a": "film", "b": "photo"}}, "must be fed clips of as many frames"),
    ],
)  # fmt: skip
def test_what_does_not_fit_says_what_would(tmp_path: Path, takes, options: dict, says: str) -> None:
    path = hub_modules.module(tmp_path, takes, lambda x: tf.zeros([tf.shape(tf.nest.flatten(x)[0])[0], 3]))
    with pytest.raises(UserError, match=says):
        check_fits(inspect_module(str(path)), hub(**options), FEATURES)
