"""Hub modules of every type: the output under a head, compared with NumPy."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.preprocessing.config import Feature, ImageFeature
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import VariableSelection
from hubline.trainer.embed import Embedder
from hubline.trainer.embeddings import column
from hubline.trainer.hub_interface import inspect_module
from hubline.trainer.hub_layer import HubLayer, try_out
from hubline.trainer.module_fit import check_fits
from hubline.trainer.saved_model_loader import open_module
from tests.support import example_data, hub_modules, tf1_hub_modules
from tests.support.hub_modules import IMAGES

PHOTO: Feature = ImageFeature(kind="image", size=(8, 8))
WIDE: Feature = ImageFeature(kind="image", size=(8, 8), value_range=(-1, 1))
NOTE: Feature = TextFeature(kind="text")
FEATURES = {"photo": PHOTO, "wide": WIDE, "note": NOTE}

PIXELS = np.random.default_rng(0).integers(0, 256, [5, 8, 8, 3], np.uint8)
SCALED = PIXELS.astype(np.float32) / 255
TEXTS = ["a bc", "", "é", "one two three", "x"]
LETTERS = np.array([len(text) for text in TEXTS], np.float32)[:, np.newaxis]


def hub(**options) -> Hub:
    return Hub(**({"handle": "module", "inputs": {"images": "photo"}} | options))


def given(path: Path, wanted: Hub) -> np.ndarray:
    """The backbone's output, which is the same for each example alone."""
    opened = open_module(str(path))
    check_fits(opened.offer, wanted, FEATURES)
    try_out(wanted, opened, FEATURES)
    backbone = HubLayer(wanted, opened, FEATURES, "tried")
    inputs = {"photo": tf.constant(PIXELS), "wide": tf.constant(PIXELS), "note": tf.constant(TEXTS)}
    together = tf.function(backbone)(inputs)
    assert together.dtype == tf.float32
    for number in range(len(PIXELS)):
        alone = backbone({name: values[number : number + 1] for name, values in inputs.items()})
        np.testing.assert_allclose(alone[0], together[number], rtol=1e-5, atol=1e-5)
    return together.numpy()


def spec(dtype: tf.DType, *shape: int | None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, dtype)


def mean(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, [1, 2])


def lengths(texts: tf.Tensor) -> tf.Tensor:
    return tf.strings.length(texts, "UTF8_CHAR")[:, tf.newaxis]


def decoded(encoded: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.io.decode_png(encoded, channels=3), tf.float32)


MEAN = SCALED.mean(axis=(1, 2))
GRID = SCALED[:, ::2, ::2]


@pytest.mark.parametrize(
    ("takes", "function", "options", "expected"),
    [
        # Other numeric types as outputs.
        (IMAGES, lambda x: tf.cast(mean(x), tf.float64), {}, MEAN),
        (IMAGES, lambda x: tf.cast(mean(x), tf.float16), {}, MEAN.astype(np.float16)),
        (IMAGES, lambda x: tf.cast(mean(x), tf.bfloat16), {}, tf.cast(tf.cast(MEAN, tf.bfloat16), tf.float32)),
        (IMAGES, lambda x: tf.cast(100 * mean(x), tf.int64), {}, np.floor(100 * MEAN)),
        (IMAGES, lambda x: mean(x)[:, 0], {}, MEAN[:, :1]),
        # Other numeric types as inputs.
        (spec(tf.uint8, None, 8, 8, 3), lambda x: mean(tf.cast(x, tf.float32)), {}, 255 * MEAN),
        (spec(tf.int32, None, None, None, 3), lambda x: tf.reduce_max(x, [1, 2]), {}, PIXELS.max(axis=(1, 2))),
        (spec(tf.float64, None, 8, 8, 3), mean, {"inputs": {"x": "wide"}}, 2 * MEAN - 1),
        (spec(tf.float16, None, 8, 8, 3), mean, {}, MEAN),
        (
            spec(tf.string, None),
            lambda x: mean(tf.map_fn(lambda one: tf.ensure_shape(decoded(one), [8, 8, 3]), x, tf.float32)),
            {},
            255 * MEAN,
        ),
        # Several vectors per example.
        (IMAGES, lambda x: x[:, ::2, ::2], {"pool": "mean"}, GRID.mean(axis=(1, 2))),
        (IMAGES, lambda x: x[:, ::2, ::2], {"pool": "max"}, GRID.max(axis=(1, 2))),
        (IMAGES, lambda x: tf.reshape(x, [-1, 2, 8, 4, 3]), {"pool": "max"}, SCALED.max(axis=(1, 2))),
        (IMAGES, lambda x: tf.boolean_mask(x, [False] * 8, axis=1), {"pool": "max"}, np.zeros([5, 3])),
        (IMAGES, lambda x: tf.boolean_mask(x, [False] * 8, axis=1), {"pool": "mean"}, np.zeros([5, 3])),
        (
            spec(tf.string, None),
            lambda x: tf.tile(lengths(x)[:, tf.newaxis], [1, 3, 2]),
            {"inputs": {"x": "note"}, "pool": "mean"},
            np.tile(LETTERS, 2),
        ),
        # Several vectors in order: all steps, or up to a maximum, one after another.
        (IMAGES, lambda x: x[:, 0], {"pool": {"lstm": 2}}, SCALED[:, 0].reshape(5, 24)),
        (IMAGES, lambda x: x[:, :2], {"pool": {"gru": 2, "max_length": 9}}, SCALED[:, :2].reshape(5, 48)[:, :27]),
        (IMAGES, lambda x: tf.boolean_mask(x[:, 0], [True, True] + [False] * 6, axis=1),
         {"pool": {"attention": 1, "max_length": 3}}, np.pad(SCALED[:, 0, :2].reshape(5, 6), [[0, 0], [0, 3]])),
        (spec(tf.float32, 1, 8, 8, 3), lambda x: x[:, 0, :2], {"pool": {"lstm": 2}}, SCALED[:, 0, :2].reshape(5, 6)),
        # One example at a time.
        (spec(tf.float32, 1, 8, 8, 3), mean, {}, MEAN),
        (spec(tf.float32, 1, 8, 8, 3), lambda x: mean(x)[0], {}, MEAN),
        (spec(tf.float32, 1, 8, 8, 3), lambda x: tf.reduce_sum(x), {}, SCALED.sum(axis=(1, 2, 3))[:, np.newaxis]),
        (spec(tf.uint8, 1, None, None, 3), lambda x: {"a": x[:, :, 0], "b": x}, {"output": "a", "pool": "max"},
         PIXELS[:, :, 0].max(axis=1)),
        (spec(tf.float32, 8, 8, 3), lambda x: tf.reduce_mean(x, [0, 1]), {}, MEAN),
        (spec(tf.string), lambda x: tf.reduce_max(decoded(x), [0, 1]), {}, PIXELS.max(axis=(1, 2))),
        (spec(tf.string), lambda x: lengths(x[tf.newaxis]), {"inputs": {"x": "note"}, "pool": "mean"}, LETTERS),
        # As many as are detected: values above the mean, possibly none.
        (
            spec(tf.float32, 1, 8, 8, 3),
            lambda x: tf.boolean_mask(x[0, 0], x[0, 0, :, 0] > 0.7),
            {"pool": "max"},
            np.stack([row[row[:, 0] > 0.7].max(axis=0, initial=0) for row in SCALED[:, 0]]),
        ),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_what_a_module_takes_and_gives(tmp_path: Path, takes, function: Callable, options: dict, expected) -> None:
    path = hub_modules.module(tmp_path, takes, function)
    np.testing.assert_allclose(given(path, hub(**options)), expected, rtol=2e-2 if takes.dtype == tf.float16 else 1e-4)


@pytest.mark.slow
def test_a_generator_with_nothing_but_a_signature(tmp_path: Path) -> None:
    takes = {"input_0": spec(tf.float32, None, None, None, 3)}
    made = hub_modules.signature(tmp_path, takes, lambda input_0: {"output_0": tf.repeat(1 - input_0, 2, axis=1)})
    with pytest.raises(UserError, match=r"'output_0' is float32\[\?, \?, \?, 3\]: .* say `pool: mean` or `pool: max`"):
        check_fits(inspect_module(str(made)), hub(), FEATURES)
    np.testing.assert_allclose(given(made, hub(pool="mean")), 1 - MEAN, rtol=1e-4)


@pytest.mark.slow
def test_a_detector_as_a_signature_takes_one_image_at_a_time(tmp_path: Path) -> None:
    takes = {"image": spec(tf.float32, 1, 8, 8, 3), "most": spec(tf.int32), "gain": spec(tf.float32, 2)}

    def detect(image, most, gain):
        return {"boxes": tf.reshape(image, [1, 64, 3])[:, :most] * gain[1], "score": tf.reduce_max(image, [1, 2, 3])}

    made = hub_modules.signature(tmp_path, takes, detect)
    options = {"arguments": {"most": 3, "gain": [0, 10]}, "inputs": {"image": "photo"}}
    np.testing.assert_allclose(given(made, hub(output="score", **options)), SCALED.max(axis=(1, 2, 3))[:, np.newaxis])
    first = SCALED.reshape(5, 64, 3)[:, :3]
    np.testing.assert_allclose(
        given(made, hub(output="boxes", pool="max", **options)), 10 * first.max(axis=1), rtol=1e-5
    )


@pytest.fixture(scope="module")
def endpoints(tmp_path_factory) -> Path:
    return hub_modules.endpoints(tmp_path_factory.mktemp("m") / "endpoints")


@pytest.mark.slow
def test_the_usual_arguments_are_taken_and_others_where_they_are_said(endpoints: Path) -> None:
    module = tf.saved_model.load(str(endpoints))
    np.testing.assert_allclose(given(endpoints, hub()), module(SCALED), rtol=1e-4)
    block = hub(arguments={"return_endpoints": True}, output="Net/block1/output", pool="mean")
    expected = module(SCALED, return_endpoints=True)["Net/block1/output"].numpy().mean(axis=(1, 2))
    np.testing.assert_allclose(given(endpoints, block), expected, rtol=1e-4)
    # An output that requires other arguments is requested by name.
    named = hub(output="Net/block1/output", pool="mean")
    np.testing.assert_allclose(given(endpoints, named), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"arguments": {"absent": 1}}, "takes no argument 'absent'; it takes: batch_norm_momentum, return_endpoints"),
        ({"arguments": {"training": True}}, "takes no argument 'training'"),
        ({"arguments": {"batch_norm_momentum": 0.5}}, "batch_norm_momentum: 0.9, not 0.5"),
        ({"pool": "mean"}, r"float32\[\?, 5\]: there is nothing to pool"),
        ({"output": "Net/block2/output"}, r"8 x 8 vectors for each example, where a head needs one; say `pool: mean`"),
    ],
)
def test_arguments_and_outputs_that_do_not_fit(endpoints: Path, options: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_fits(inspect_module(str(endpoints)), hub(**options), FEATURES)


@pytest.mark.slow
def test_arguments_as_the_module_was_traced_with_them(tmp_path: Path) -> None:
    class Sized(tf.Module):
        @tf.function
        def __call__(self, images, size=(4, 4), *, scale=1.0, mode="plain", **more):
            resized = tf.image.resize(images, size, method="nearest")
            both = tf.concat([resized, more["other"]], axis=1) if more else resized
            return {"first": both[:, 0, 0] * scale * (-1.0 if mode == "minus" else 1.0)}

    made = Sized()
    made.__call__.get_concrete_function(IMAGES)
    made.__call__.get_concrete_function(IMAGES, size=[2, 2], scale=spec(tf.float32), mode="minus")
    made.__call__.get_concrete_function(IMAGES, (8, 8), other=IMAGES)
    tf.saved_model.save(made, str(tmp_path))
    first = SCALED[:, 0, 0]
    np.testing.assert_allclose(given(tmp_path, hub()), tf.image.resize(SCALED, (4, 4), "nearest")[:, 0, 0])
    two = tf.image.resize(SCALED, (2, 2), "nearest")[:, 0, 0]
    minus = hub(arguments={"size": [2, 2], "mode": "minus", "scale": 3})
    np.testing.assert_allclose(given(tmp_path, minus), -3 * two, rtol=1e-5)
    np.testing.assert_allclose(given(tmp_path, hub(inputs={"images": "photo", "other": "wide"})), first)
    with pytest.raises(UserError, match=r"takes size: \[4, 4\], not \[3, 3\]"):
        check_fits(inspect_module(str(tmp_path)), hub(arguments={"size": [3, 3]}), FEATURES)
    with pytest.raises(UserError, match=r"'scale' takes float32\[\], which \[1, 2\] is not"):
        check_fits(
            inspect_module(str(tmp_path)), hub(arguments={"size": [2, 2], "mode": "minus", "scale": [1, 2]}), FEATURES
        )


@pytest.mark.slow
def test_a_text_embedding_of_float64_without_signatures(tmp_path: Path) -> None:
    table = np.arange(20, dtype=np.float64).reshape(10, 2)

    def embed(texts: tf.Tensor) -> tf.Tensor:
        words = tf.strings.split(texts)
        ids = tf.strings.to_hash_bucket_fast(words.flat_values, 10)
        return tf.reduce_sum(words.with_flat_values(tf.gather(tf.constant(table), ids)), axis=1)

    path = hub_modules.module(tmp_path, spec(tf.string, None), embed)
    assert inspect_module(str(path)).calls[0].outputs["default"].dtype == "float64"
    expected = [
        sum((table[int(tf.strings.to_hash_bucket_fast(word, 10))] for word in text.split()), np.zeros(2))
        for text in TEXTS
    ]
    np.testing.assert_allclose(given(path, hub(inputs={"texts": "note"})), expected)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["save", "export"])
def test_a_keras_model_as_keras_writes_it(tmp_path: Path, how: str) -> None:
    path = hub_modules.keras(tmp_path / how, how)
    expected = tf.saved_model.load(str(path)).signatures["serving_default"](tf.constant(SCALED))
    np.testing.assert_allclose(given(path, hub()), next(iter(expected.values())), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_module_that_takes_a_list(tmp_path: Path) -> None:
    path = hub_modules.module(tmp_path, [IMAGES, IMAGES], lambda both: mean(both[0]) - mean(both[1]))
    wanted = hub(inputs={"inputs_0": "photo", "inputs_1": "wide"})
    np.testing.assert_allclose(given(path, wanted), MEAN - (2 * MEAN - 1), rtol=1e-4, atol=1e-6)


@pytest.mark.slow
def test_a_tf1_module_of_texts_with_tables(tmp_path: Path) -> None:
    path = tf1_hub_modules.texts(tmp_path / "texts", tmp_path)
    (tmp_path / "words.txt").unlink()  # the module has its own copy
    assert inspect_module(str(path)).tags == ()
    texts = {"note": tf.constant(["bad", "good", "ugly"])}
    for options, factor in (
        ({}, 1),
        ({"signature": "both"}, 2),
        ({"signature": "both", "output": "layer_1/output"}, 3),
    ):
        wanted = hub(inputs={"text": "note"}, **options)
        opened = open_module(str(path))
        try_out(wanted, opened, FEATURES)
        got = HubLayer(wanted, opened, FEATURES, "tried")(texts)
        np.testing.assert_array_equal(got, factor * np.array([[0, 1], [1, 0], [5, 5]]))


@pytest.mark.parametrize(
    ("tag_sets", "loaded"),
    [
        ([["serve"]], ("serve",)),
        ([["train"], []], ()),
        ([["train"]], ("train",)),
        ([["serve", "tpu"], ["train"], ["serve", "gpu"], ["serve"]], ("serve",)),
        ([["train", "gpu"], ["other"]], ("other",)),
    ],
)
def test_of_several_graphs_the_one_for_inference_is_loaded(tmp_path: Path, tag_sets, loaded) -> None:
    path = tf1_hub_modules.images(tmp_path / "module", *tag_sets)
    assert set(inspect_module(str(path)).tags) == set(loaded)
    # Each graph multiplies by its number in the list, from 1.
    place = [set(tags) for tags in tag_sets].index(set(loaded)) + 1
    expected = place * np.repeat(MEAN.sum(axis=1, keepdims=True), 5, axis=1)
    np.testing.assert_allclose(given(path, hub()), expected, rtol=1e-4)


@pytest.mark.parametrize(
    ("takes", "options", "says"),
    [
        (spec(tf.float32, 4, 8, 8, 3), {}, r"takes float32\[4, 8, 8, 3\], but the feature 'photo' gives float32"),
        (spec(tf.float32, 1, 9, 8, 3), {}, r"give the feature size: \[9, 8\] and channels: 3"),
        (spec(tf.float32, None, 4, 8, 8, 3), {}, r"takes float32\[\?, 4, 8, 8, 3\]"),
        (spec(tf.uint8, None, 8, 8, 3), {"inputs": {"x": "wide"}}, "takes uint8, pixels from 0 to 255; leave"),
        (spec(tf.float32, None, 8), {"inputs": {"x": "note"}}, r"the feature 'note' gives string\[\?\]"),
        (tf.RaggedTensorSpec([None, None], tf.string), {"inputs": {"x": "note"}}, r"takes RaggedTensor\[\?, \?\]"),
    ],
)  # fmt: skip
def test_what_cannot_be_fed(tmp_path: Path, takes: tf.TypeSpec, options: dict, says: str) -> None:
    path = hub_modules.module(tmp_path, takes, lambda x: tf.zeros([1, 3]))
    with pytest.raises(UserError, match=says):
        check_fits(inspect_module(str(path)), hub(**options), FEATURES)


@pytest.mark.slow
def test_the_embedder_keeps_what_modules_that_take_one_at_a_time_give(tmp_path: Path) -> None:
    detector = hub_modules.module(tmp_path / "m", spec(tf.uint8, 1, 8, 8, 3), lambda x: tf.reshape(x, [1, 64, 3]))
    records = [example_data.record(photo=example_data.image_bytes(pixels)) for pixels in PIXELS]
    source = example_data.write_tfrecord(tmp_path / "records", records)
    columns = {"photo": tf.io.FixedLenFeature([1], tf.string)}
    features = {"photo": PHOTO}
    embedder = Embedder({"m": hub(pool="max")}, {"m": str(detector)}, features, columns)
    made = embedder.embed(str(source), 5, str(tmp_path / "rows"), 1, (), 0)
    assert made.sizes == {"m": 3}
    rows = tf.io.parse_example(
        example_data.read_tfrecord(tmp_path / "rows"), {column("m"): tf.io.FixedLenFeature([3], tf.float32)}
    )
    np.testing.assert_array_equal(rows[column("m")], PIXELS.max(axis=(1, 2)))


@pytest.mark.parametrize(
    ("tuned", "says"),
    [
        (VariableSelection(variables=("absent", "Net")), "no variable of .* has 'absent' in its name; .* Net/logits"),
        (VariableSelection(variables=("moving_mean",)), "no trainable variable .* has 'moving_mean' in its name"),
        (VariableSelection(last=6), "`last` is 6, but the module has 5 layers: Net/block1, Net/block1/BatchNorm"),
    ],
)  # fmt: skip
def test_variables_that_cannot_be_trained(endpoints: Path, tuned: VariableSelection, says: str) -> None:
    with pytest.raises(UserError, match=says):
        try_out(hub(), open_module(str(endpoints)), FEATURES, tuned)


def test_an_output_of_whole_numbers_cannot_be_learned_through(tmp_path: Path) -> None:
    class Whole(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.gain = tf.Variable(2.0, name="gain")

        @tf.function(input_signature=[IMAGES])
        def __call__(self, images):
            return tf.cast(self.gain * mean(images), tf.int32)

    tf.saved_model.save(Whole(), str(tmp_path))
    with pytest.raises(UserError, match=r"does not depend on what is to be trained, .*: gain"):
        try_out(hub(), open_module(str(tmp_path)), FEATURES, VariableSelection())
