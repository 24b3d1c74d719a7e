"""Inspection of hub modules, and whether they fit."""

from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.preprocessing.config import ImageFeature, NumericFeature
from hubline.trainer.autograph import leave_libraries_alone
from hubline.trainer.config.hubs import Hub
from hubline.trainer.hub_interface import inspect_module
from hubline.trainer.hub_layer import HubLayer, try_out
from hubline.trainer.module import Function, Module, Tensor
from hubline.trainer.module_fit import check_fits
from hubline.trainer.saved_model import Variable
from hubline.trainer.saved_model_interface import interface_of
from hubline.trainer.saved_model_loader import open_module, read_saved_model
from tests.support import hub_modules, tf1_hub_modules


def image(channels: int = 3, size: tuple[int, int] = (8, 8)) -> ImageFeature:
    return ImageFeature(kind="image", size=size, channels=channels)


def hub(**options) -> Hub:
    return Hub(**({"handle": "module", "inputs": {"images": "photo"}} | options))


@pytest.fixture(scope="module")
def reusable(tmp_path_factory) -> Path:
    return hub_modules.mean_colour(tmp_path_factory.mktemp("m") / "mean")


@pytest.fixture(scope="module")
def signatures(tmp_path_factory) -> Path:
    return hub_modules.two_inputs(tmp_path_factory.mktemp("m") / "both")


@pytest.fixture(scope="module")
def tf1(tmp_path_factory) -> Path:
    return tf1_hub_modules.images(tmp_path_factory.mktemp("m") / "tf1")


def test_a_reusable_saved_model(reusable: Path) -> None:
    module = inspect_module(str(reusable))
    assert module.format == "TF2"
    (call,) = module.calls
    assert call.inputs == {"images": Tensor(dtype="float32", shape=(None, 8, 8, 3))}
    assert call.outputs == {"default": Tensor(dtype="float32", shape=(None, 6))}
    assert set(module.variables) == {
        Variable(name="scale", dtype="float32", shape=(6,), trainable=True),
        Variable(name="offset", dtype="float32", shape=(6,), trainable=False),
    }


@pytest.mark.slow
def test_a_keras_model_saved_as_a_module(tmp_path: Path) -> None:
    leave_libraries_alone()
    layers = tf.keras.layers
    model = tf.keras.Sequential([layers.Input([4]), layers.Dense(2, name="d"), layers.BatchNormalization(name="n")])
    tf.saved_model.save(model, str(tmp_path / "keras"))
    module = inspect_module(str(tmp_path / "keras"))
    (call,) = module.calls
    assert [tensor.shape for tensor in call.inputs.values()] == [(None, 4)]
    assert call.outputs == {"default": Tensor(dtype="float32", shape=(None, 2))}
    trainable = {variable.name: variable.trainable for variable in module.variables}
    assert trainable == {
        "d/kernel": True, "d/bias": True, "n/gamma": True, "n/beta": True, "n/moving_mean": False,
        "n/moving_variance": False,
    }  # fmt: skip


def test_a_module_with_only_signatures(signatures: Path) -> None:
    module = inspect_module(str(signatures))
    assert module.calls == ()
    assert module.signatures["both"].inputs == {
        "left": Tensor(dtype="float32", shape=(None, 8, 8, 3)),
        "right": Tensor(dtype="float32", shape=(None, 8, 8, 1)),
    }
    assert set(module.signatures["both"].outputs) == {"vector", "map"}


def test_a_tf1_hub_module(tf1: Path) -> None:
    module = inspect_module(str(tf1))
    assert module.format == "TF1"
    assert module.signatures["default"].inputs == {"images": Tensor(dtype="float32", shape=(None, 8, 8, 3))}
    assert module.signatures["default"].outputs == {"default": Tensor(dtype="float32", shape=(None, 5))}
    assert set(module.variables) == {
        Variable(name="weights", dtype="float32", shape=(3, 5), trainable=True),
        Variable(name="steps", dtype="int64", shape=(), trainable=False),
    }


def test_without_tensorflow_the_interface_is_the_same(
    reusable: Path, signatures: Path, tf1: Path, tmp_path: Path
) -> None:
    endpoints = hub_modules.endpoints(tmp_path / "endpoints")
    for path in (reusable, signatures, tf1, endpoints):
        saved = read_saved_model(str(path))
        assert interface_of(saved) == inspect_module(str(path))


def test_what_is_no_module(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no saved_model.pb"):
        inspect_module(str(tmp_path))
    (tmp_path / "saved_model.pb").write_bytes(b"\xff nonsense")
    with pytest.raises(UserError, match="not a SavedModel"):
        inspect_module(str(tmp_path))


@pytest.mark.parametrize(
    ("feature", "options", "says"),
    [
        (image(), {"signature": "absent"}, "no signature 'absent'; its signatures are: "),
        (image(), {"output": "absent"}, "no output 'absent'; its outputs are: default"),
        (image(size=(9, 8)), {}, r"takes float32\[\?, 8, 8, 3\], but the feature 'photo' gives float32\[\?, 9, 8, 3\]"),
        (image(channels=1), {}, r"give the feature size: \[8, 8\] and channels: 3"),
        (image(), {"inputs": {"a": "photo", "b": "photo"}}, "has no input 'a'; its inputs are: images float32"),
    ],
)
def test_what_does_not_fit_says_what_would(reusable: Path, feature: ImageFeature, options: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        check_fits(inspect_module(str(reusable)), hub(**options), {"photo": feature})


def test_a_dtype_or_an_output_shape_that_does_not_fit() -> None:
    vector, grid = Tensor(dtype="float32", shape=(None, 4)), Tensor(dtype="float32", shape=(None, 2, 2, 4))
    numbers = Tensor(dtype="complex64", shape=(None, 8, 8, 3))
    takes_others = Module(format="TF2", calls=[{"inputs": {"x": numbers}, "outputs": {"default": vector}}])
    with pytest.raises(UserError, match=r"takes complex64\[\?, 8, 8, 3\]"):
        check_fits(takes_others, hub(), {"photo": image()})
    any_image = Tensor(dtype="float32", shape=None)
    gives_grid = Module(format="TF2", calls=[{"inputs": {"x": any_image}, "outputs": {"default": grid}}])
    with pytest.raises(UserError, match=r"2 x 2 vectors for each example, where a head needs one; say `pool: mean`"):
        check_fits(gives_grid, hub(), {"photo": image()})


NUMBERS = {"length": 784}
SHAPED = {"length": 784, "shape": [28, 28, 1]}


@pytest.mark.parametrize(
    ("dtype", "shape", "numbers", "says"),
    [
        ("float32", (None, 784), NUMBERS, None),
        ("float32", (784,), NUMBERS, None),
        ("float16", (1, 784), NUMBERS, None),
        ("float64", (None, None), NUMBERS, None),
        ("float32", (None, 28, 28, 1), SHAPED, None),
        ("float32", (None, 784), SHAPED, "gives float32[?, 28, 28, 1]"),
        ("float32", (None, 28, 28, 1), NUMBERS, "gives float32[?, 784]; give the feature shape: [28, 28, 1]"),
        ("float32", (None, 100), NUMBERS, "gives float32[?, 784]; give the feature length: 100"),
        ("float32", (None, 4, 5), NUMBERS, "give the feature length: 20 and shape: [4, 5]"),
        ("int64", (None, 784), NUMBERS, "integers need missing: 0 or another integer, and no normalize"),
        ("string", (None,), NUMBERS, "takes string[?], but the feature 'photo' gives float32[?, 784]"),
    ],
)
def test_numbers_feed_inputs_of_floats_in_the_shape_that_is_stated(
    dtype: str, shape: tuple, numbers: dict, says: str | None
) -> None:
    feature = NumericFeature.model_validate({"kind": "numeric"} | numbers)
    outputs = {"default": Tensor(dtype="float32", shape=(None, 3))}
    module = Module(format="TF2", calls=(Function(inputs={"x": Tensor(dtype=dtype, shape=shape)}, outputs=outputs),))
    if says is None:
        check_fits(module, hub(), {"photo": feature})
        return
    with pytest.raises(UserError) as raised:
        check_fits(module, hub(), {"photo": feature})
    assert says in str(raised.value)


def test_an_input_that_nothing_feeds(signatures: Path) -> None:
    one = hub(signature="both", inputs={"left": "photo"}, output="vector")
    with pytest.raises(UserError, match="has an input 'right' that no feature feeds"):
        check_fits(inspect_module(str(signatures)), one, {"photo": image()})


FED = {"photo": image(), "grey": image(channels=1)}


def pixels(channels: int) -> np.ndarray:
    """Images as inputs of the model."""
    return np.random.default_rng(channels).integers(0, 256, [4, 8, 8, channels], np.uint8)


def seen(channels: int) -> np.ndarray:
    """The same images as inputs of the module."""
    return pixels(channels).astype(np.float32) / 255


@pytest.mark.slow
def test_a_backbone_of_each_form_gives_what_numpy_says(reusable: Path, signatures: Path, tf1: Path) -> None:
    colour, grey = seen(3), seen(1)
    fed = {"photo": tf.constant(pixels(3)), "grey": tf.constant(pixels(1))}
    mean = colour.mean(axis=(1, 2))
    got = HubLayer(hub(), open_module(str(reusable)), FED, "a")(fed)
    np.testing.assert_allclose(got, np.concatenate([mean, colour.std(axis=(1, 2))], axis=1), rtol=1e-4)
    both = hub(inputs={"left": "photo", "right": "grey"}, signature="both", output="vector")
    np.testing.assert_allclose(
        HubLayer(both, open_module(str(signatures)), FED, "b")(fed), mean + grey.mean(axis=(1, 2)), rtol=1e-5
    )
    got = HubLayer(hub(), open_module(str(tf1)), FED, "c")(fed)
    np.testing.assert_allclose(got, np.repeat(mean.sum(axis=1, keepdims=True), 5, axis=1), rtol=1e-5)


def test_a_backbone_is_frozen(reusable: Path) -> None:
    layer = HubLayer(hub(), open_module(str(reusable)), FED, "a")
    layer({"photo": tf.constant(pixels(3))})
    assert layer.trainable_variables == []


def save(folder: Path, **functions) -> str:
    """A module whose attributes are traced functions; `call` is the module itself."""
    module = tf.Module()
    if "call" in functions:
        module = type("Callable", (tf.Module,), {"__call__": functions.pop("call")})()
    signatures = {name: function.get_concrete_function() for name, function in functions.items()}
    tf.saved_model.save(module, str(folder), signatures=signatures)
    return str(folder)


def spec(*shape: int | None, name: str | None = None) -> tf.TensorSpec:
    return tf.TensorSpec(shape, tf.float32, name=name)


def mean(images: tf.Tensor) -> tf.Tensor:
    return tf.reduce_mean(images, [1, 2])


@pytest.mark.slow
def test_the_output_of_a_list_that_is_named_is_the_one_used(tmp_path: Path) -> None:
    @tf.function(input_signature=[spec(None, 8, 8, 3)])
    def call(self, images):
        return [mean(images), 2 * mean(images), {"deep": 3 * mean(images)}]

    path = save(tmp_path, call=call)
    for number in range(3):
        wanted = hub(output=f"default_{number}")
        check_fits(inspect_module(path), wanted, FED)
        got = HubLayer(wanted, open_module(path), FED, "a")({"photo": tf.constant(pixels(3))})
        np.testing.assert_allclose(got, (number + 1) * seen(3).mean(axis=(1, 2)), rtol=1e-5)


def test_a_module_that_takes_a_mapping_of_one_tensor(tmp_path: Path) -> None:
    @tf.function(input_signature=[{"img": spec(None, 8, 8, 3)}])
    def call(self, inputs):
        return {"nested": {"vector": mean(inputs["img"])}, "number": 1}

    path = save(tmp_path, call=call)
    wanted = hub(inputs={"img": "photo"}, output="nested/vector")
    try_out(wanted, open_module(path), FED)
    got = HubLayer(wanted, open_module(path), FED, "a")({"photo": tf.constant(pixels(3))})
    np.testing.assert_allclose(got, seen(3).mean(axis=(1, 2)), rtol=1e-5)


@pytest.mark.slow
def test_of_several_traces_the_one_that_fits_is_taken(tmp_path: Path) -> None:
    @tf.function
    def call(self, images, training=False):
        return {"training": mean(images)} if training else {"vector": mean(images), "twice": 2 * mean(images)}

    module = type("Traced", (tf.Module,), {"__call__": call})()
    for size in (96, 8):
        for training in (True, False):
            module.__call__.get_concrete_function(spec(None, size, size, 3), training)
    tf.saved_model.save(module, str(tmp_path))
    wanted = hub(output="twice")
    check_fits(inspect_module(str(tmp_path)), wanted, FED)
    got = HubLayer(wanted, open_module(str(tmp_path)), FED, "a")({"photo": tf.constant(pixels(3))})
    np.testing.assert_allclose(got, 2 * seen(3).mean(axis=(1, 2)), rtol=1e-5)
    with pytest.raises(UserError, match=r"it also takes .*8, 8, 3\]"):
        check_fits(inspect_module(str(tmp_path)), wanted, {"photo": image(size=(7, 7))})


@pytest.mark.parametrize(
    ("signature", "output", "says"),
    [
        ([[spec(None, 8, 8, 3), spec(None, 8, 8, 3)]], lambda both: mean(both[0]), "inputs are: inputs_0 .*, inputs_1"),
        ([spec(None, 8, 8, 3)], lambda images: tf.as_string(mean(images)), "needs numbers"),
        ([spec(None, 8, 8, 3)], lambda images: tf.reduce_mean(images), "needs a vector of numbers"),
        ([spec(None, 8, 8, 3)], lambda images: None, "has no output"),
        (
            [spec(None, 8, 8, 3)],
            lambda images: tf.py_function(lambda x: x, [mean(images)], tf.float32),
            "a head needs one vector per example",
        ),
    ],
)
def test_what_cannot_work_is_found_before_any_training(tmp_path: Path, signature, output, says: str) -> None:
    @tf.function(input_signature=signature)
    def call(self, inputs):
        return output(inputs)

    path = save(tmp_path, call=call)
    with pytest.raises(UserError, match=says):
        check_fits(inspect_module(path), hub(), FED)
        try_out(hub(), open_module(path), FED)


def test_a_tf1_saved_model_for_serving_is_loaded_by_its_own_tags(tmp_path: Path) -> None:
    path = tf1_hub_modules.images(tmp_path / "serve", ["serve"])
    (path / "tfhub_module.pb").unlink()
    try_out(hub(), open_module(str(path)), FED)
