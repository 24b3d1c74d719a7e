"""Backbones other than hub modules: the networks, their inputs, and messages about those that cannot be built."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from pydantic import TypeAdapter, ValidationError

from hubline.components.backbone.sources import fingerprint
from hubline.core.config_base import dump_sections, read_sections
from hubline.core.errors import UserError
from hubline.preprocessing.config import Features, ImageFeature
from hubline.preprocessing.kinds.audio import AudioFeature
from hubline.preprocessing.kinds.text import TextFeature
from hubline.trainer.backbones.backbone_layer import BackboneLayer, try_out
from hubline.trainer.backbones.builder import built as built_by_user
from hubline.trainer.backbones.config import APPLICATIONS, AnyBackbone, Backbones, Builder, options_of
from hubline.trainer.backbones.keras_application import preprocess
from hubline.trainer.config.model import VariableSelection


def image(size: int, **options: Any) -> ImageFeature:
    return ImageFeature(kind="image", size=(size, size), **options)


FEATURES: Features = {
    "small": image(32),
    "grey": image(32, channels=1),
    "large": image(224),
    "least": image(63),
    "wide": ImageFeature(kind="image", size=(70, 101)),
    "note": TextFeature(kind="text"),
}


def backbone(**said: Any) -> AnyBackbone:
    return TypeAdapter(AnyBackbone).validate_python(said)


def application(name: str = "MobileNetV2", **said: Any) -> AnyBackbone:
    return backbone(**({"kind": "keras_application", "name": name, "weights": "none", "input": "small"} | said))


def counts(built: BackboneLayer) -> tuple[int, int]:
    """Number of trainable and of other weights."""
    return tuple(
        sum(int(np.prod(one.shape)) for one in some) for some in (built.trainable_weights, built.non_trainable_weights)
    )


def pixels(feature: ImageFeature, count: int = 2) -> tf.Tensor:
    shape = [count, *feature.size, feature.channels]
    return tf.constant(np.random.default_rng(0).integers(0, 256, shape, np.uint8))


SE = 2 * sum(blocks * filters**2 for filters, blocks in ((64, 3), (128, 4), (256, 6), (512, 3))) // 16
"""Parameters of squeeze and excitation, by section 4 of its paper: 2 / r times the sum over stages of N C²."""


@pytest.mark.parametrize(
    ("said", "outputs", "trained", "kept"),
    [
        # 61,706 weights with its last layer of 84 x 10 and 10.
        ({"kind": "lenet5", "input": "grey"}, 84, 61_706 - 850, 0),
        # 62,378,344 weights in one tower, with its last layer of 4096 x 1000 and 1000.
        ({"kind": "alexnet", "input": "large"}, 4096, 62_378_344 - 4_097_000, 0),
        # 21,797,672 with its last layer of 512 x 1000 and 1000; and the moving averages of 8,512 channels.
        ({"kind": "resnet34", "input": "large"}, 512, 21_797_672 - 513_000, 2 * 8_512),
        ({"kind": "resnet34", "input": "large", "squeeze_and_excitation": True}, 512, 21_284_672 + SE, 2 * 8_512),
    ],
)  # fmt: skip
@pytest.mark.slow
def test_networks_are_of_their_published_sizes(said: dict, outputs: int, trained: int, kept: int) -> None:
    built = BackboneLayer(backbone(**said), FEATURES, "b")
    assert counts(built) == (trained, kept)
    feature = FEATURES[said["input"]]
    given = built({said["input"]: pixels(feature)})
    assert given.shape == (2, outputs) and given.dtype == tf.float32
    assert np.isfinite(given).all() and np.ptp(given) > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("said", "outputs"),
    [
        ({"kind": "lenet5", "input": "small"}, 84),
        ({"kind": "lenet5", "input": "wide"}, 84),
        ({"kind": "alexnet", "input": "least"}, 4096),
        ({"kind": "alexnet", "input": "wide"}, 4096),
        ({"kind": "resnet34", "input": "grey"}, 512),
        ({"kind": "resnet34", "input": "wide"}, 512),
    ],
)
def test_networks_take_images_of_other_sizes(said: dict, outputs: int) -> None:
    assert try_out(backbone(**said), FEATURES)[0] == outputs


def test_lenet_is_that_of_the_paper_layer_by_layer() -> None:
    built = BackboneLayer(backbone(kind="lenet5", input="grey"), FEATURES, "b")
    c1, c1_bias, c3, c3_bias, c5, c5_bias, f6, f6_bias = (one.numpy() for one in built.network.weights)
    values = pixels(FEATURES["grey"]).numpy().astype(np.float64) / 255
    for kernel, bias in ((c1, c1_bias), (c3, c3_bias)):
        windows = np.lib.stride_tricks.sliding_window_view(values, (5, 5), axis=(1, 2))
        values = np.tanh(np.einsum("bhwcij,ijcf->bhwf", windows, kernel) + bias)
        batch, height, width, maps = values.shape
        values = values.reshape(batch, height // 2, 2, width // 2, 2, maps).mean(axis=(2, 4))
    assert values.shape == (2, 5, 5, 16)
    values = np.tanh(values.reshape(2, -1) @ c5 + c5_bias)
    np.testing.assert_allclose(
        built({"grey": pixels(FEATURES["grey"])}), np.tanh(values @ f6 + f6_bias), rtol=1e-4, atol=1e-5
    )


@pytest.mark.slow
def test_excitation_weighs_channels_by_what_all_of_the_image_shows() -> None:
    network = BackboneLayer(
        backbone(kind="resnet34", input="small", squeeze_and_excitation=True), FEATURES, "b"
    ).network
    inner = network.get_layer("resnet34")
    values = np.random.default_rng(0).normal(size=[1, 8, 8, 64]).astype(np.float32)
    reduce, excite = (inner.get_layer(f"conv2_1_{name}").kernel.numpy() for name in ("reduce", "excite"))
    expected = 1 / (1 + np.exp(-np.maximum(values.mean(axis=(1, 2)) @ reduce, 0) @ excite))
    part = tf.keras.Model(inner.get_layer("conv2_1_b_bn").output, inner.get_layer("conv2_1_scaled").output)
    np.testing.assert_allclose(part(values), values * expected[:, None, None], rtol=1e-4, atol=1e-5)


def test_every_function_of_keras_applications_is_known_with_its_options() -> None:
    found = {name: function for name, function in inspect.getmembers(tf.keras.applications, inspect.isfunction)}
    assert set(APPLICATIONS) == set(found)
    ours = ("alpha", "depth_multiplier", "minimalistic", "include_preprocessing")
    for name, function in found.items():
        assert set(options_of(name)) == set(inspect.signature(function).parameters) & set(ours), name
        assert hasattr(sys.modules[function.__module__], "preprocess_input"), name


def saved(folder: Path, name: str, form: str, **options: Any) -> tuple[Path, tf.keras.Model]:
    """A network of keras.applications built directly, and its weights in a file."""
    tf.keras.utils.set_random_seed(7)
    network = getattr(tf.keras.applications, name)(
        include_top=False, weights=None, input_shape=(32, 32, 3), pooling=options.pop("pooling", "avg"), **options
    )
    for one in network.weights:  # batch normalization is initialized to ones and zeros, which would hide a mix-up
        one.assign_add(0.05 * tf.random.uniform(one.shape, dtype=one.dtype))
    path = folder / f"{name}{form}"
    (network.save if form == ".keras" else network.save_weights)(path)
    return path, network


@pytest.mark.parametrize(
    ("form", "options"), [(".h5", {}), (".weights.h5", {"pooling": "max"}), (".keras", {"alpha": 0.35})]
)
@pytest.mark.slow
def test_an_application_gives_what_keras_gives_by_hand(tmp_path: Path, form: str, options: dict) -> None:
    options = {"alpha": 0.5} | options
    path, network = saved(tmp_path, "MobileNetV2", form, **options)
    made = BackboneLayer(application("MobileNetV2", weights=str(path), **options), FEATURES, "b", str(path))
    made.trainable = False
    images = pixels(FEATURES["small"])
    expected = network(images.numpy().astype(np.float32) / 127.5 - 1, training=False)
    np.testing.assert_allclose(made({"small": images}, training=True), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "by_hand"),
    [
        ("MobileNetV2", lambda rgb: rgb / 127.5 - 1),
        ("ResNet50", lambda rgb: rgb[..., ::-1] - np.float32([103.939, 116.779, 123.68])),
        ("DenseNet121", lambda rgb: (rgb / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]),
        ("EfficientNetB0", lambda rgb: rgb),
        ("MobileNetV3Small", lambda rgb: rgb),
    ],
)
def test_pixels_come_as_those_who_trained_the_weights_had_them(name: str, by_hand: Callable) -> None:
    images = pixels(FEATURES["small"])
    given = tf.function(lambda values: preprocess(application(name), values))(images)
    np.testing.assert_allclose(given, by_hand(images.numpy().astype(np.float32)), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_without_its_own_preprocessing_an_application_takes_the_range_of_the_feature() -> None:
    said = application("MobileNetV3Small", include_preprocessing=False, minimalistic=True, alpha=0.75)
    features = {"small": image(32, value_range=(-1, 1))}
    built = BackboneLayer(said, features, "b")
    images = pixels(features["small"])
    inner = built.network.layers[-1]
    np.testing.assert_allclose(
        built({"small": images}), inner(tf.cast(images, tf.float32) / 127.5 - 1), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize("form", [".h5", ".weights.h5", ".keras"])
@pytest.mark.slow
def test_weights_of_another_architecture_are_refused(tmp_path: Path, form: str) -> None:
    path, _ = saved(tmp_path, "MobileNetV2", form, alpha=0.5)
    config = application(weights=str(path), alpha=0.35)
    with pytest.raises(UserError, match=r"not the weights of MobileNetV2 with alpha: 0.35 without its top, as Keras"):
        try_out(config, FEATURES, str(path))


def test_images_that_are_too_small_for_an_application() -> None:
    with pytest.raises(UserError, match="InceptionV3 can't be built for images of 32 x 32: Input size must be at leas"):
        try_out(application("InceptionV3"), FEATURES)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"weights": "imagenet"}, "Hubline downloads no weights"),
        ({"weights": "net.pb"}, "'net.pb' is not a weights file; the name must end in .h5"),
        ({"name": "MobilNet"}, "Input should be 'ConvNeXtBase'"),
        ({"minimalistic": True}, "MobileNetV2 does not take minimalistic; it takes alpha"),
        ({"name": "VGG16", "alpha": 1, "include_preprocessing": True}, "VGG16 does not take alpha and include_"),
        ({"sha256": "0" * 64}, "sha256 requires a weights file"),
        ({"trainable": False}, "its weights are random, so it must be trained"),
    ],
)
def test_what_an_application_cannot_be(said: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        application(**said)


@pytest.mark.parametrize(
    ("said", "says"),
    [
        ({"kind": "lenet5", "input": "x", "trainable": False}, "its weights are random"),
        ({"kind": "alexnet", "input": "x", "dropout": 1}, "less than 1"),
        ({"kind": "builder", "call": "a.b", "inputs": {"x": "y"}}, "should match pattern"),
        ({"kind": "builder", "call": "a:b", "inputs": {}}, "at least 1 item"),
    ],
)
def test_what_other_backbones_cannot_be(said: dict, says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        backbone(**said)


def test_backbones_come_back_from_a_step_property() -> None:
    said: Backbones = {
        "a": application(alpha=0.5),
        "b": application(weights="net.h5", trainable=False),
        "c": backbone(kind="builder", call="a.b:c", inputs={"x": "y"}, arguments={"n": (1, 2), "deep": True}),
        "d": backbone(kind="resnet34", input="x", squeeze_and_excitation=True),
    }
    assert read_sections(Backbones, dump_sections(Backbones, said)) == said


SMALL = """\
import tensorflow as tf
from .parts import dense

def build(units, activation="relu"):
    return tf.keras.Sequential([tf.keras.layers.Flatten(), dense(units, activation)])
"""
PARTS = """\
import tensorflow as tf

def dense(units, activation):
    return tf.keras.layers.Dense(units, activation, kernel_regularizer="l2", kernel_initializer="ones")
"""


def package(folder: Path, small: str = SMALL, parts: str = PARTS) -> Path:
    (folder / "my_models").mkdir(parents=True, exist_ok=True)
    (folder / "my_models" / "__init__.py").write_text("")
    (folder / "my_models" / "small.py").write_text(small)
    (folder / "my_models" / "parts.py").write_text(parts)
    return folder


def builder(folder: Path, call: str = "my_models.small:build", **said: Any) -> AnyBackbone:
    given = {"kind": "builder", "call": call, "folder": str(folder), "inputs": {"x": "small"}}
    return backbone(**(given | {"arguments": {"units": 3}} | said))


def test_a_function_of_the_user_gets_arguments_and_pixels_in_their_range(tmp_path: Path) -> None:
    features = {"small": image(32, value_range=(-1, 1))}
    built = BackboneLayer(builder(package(tmp_path), arguments={"units": 3, "activation": "linear"}), features, "b")
    images = pixels(features["small"])
    total = (images.numpy() / 127.5 - 1).reshape(2, -1).sum(axis=1)
    np.testing.assert_allclose(built({"small": images}), np.stack([total] * 3, axis=1), rtol=1e-3, atol=1e-2)
    assert [one.name for one in built.trainable_weights] == ["dense/kernel:0", "dense/bias:0"]
    assert len(built.losses) == 1
    assert str(tmp_path) not in sys.path
    assert not list(tmp_path.rglob("__pycache__"))


def test_a_function_of_the_user_gets_samples_of_sounds(tmp_path: Path) -> None:
    features: Features = {"small": AudioFeature(kind="audio", sample_rate=8000, samples=50)}
    built = BackboneLayer(builder(package(tmp_path), arguments={"units": 3, "activation": "linear"}), features, "b")
    samples = np.random.default_rng(0).uniform(-1, 1, [2, 50]).astype(np.float32)
    np.testing.assert_allclose(built({"small": samples}), np.stack([samples.sum(axis=1)] * 3, axis=1), atol=1e-4)


def test_of_several_inputs_a_mapping_is_given(tmp_path: Path) -> None:
    two = SMALL.replace("return tf.keras.Sequential", "return Both()\n    return tf.keras.Sequential") + (
        "class Both(tf.keras.layers.Layer):\n"
        "    def call(self, inputs):\n"
        "        lengths = tf.strings.length(inputs['words'])\n"
        "        return tf.stack([tf.reduce_mean(inputs['x'], [1, 2, 3]), tf.cast(lengths, tf.float32)], axis=1)\n"
    )
    built = BackboneLayer(builder(package(tmp_path, two), inputs={"x": "small", "words": "note"}), FEATURES, "b")
    images = pixels(FEATURES["small"])
    given = built({"small": images, "note": tf.constant(["a", "abc"])})
    np.testing.assert_allclose(given[:, 0], images.numpy().mean(axis=(1, 2, 3)) / 255, rtol=1e-4)
    np.testing.assert_array_equal(given[:, 1], [1, 3])


def test_what_its_maker_never_trains_stays_so_and_averages_move_in_training_alone(tmp_path: Path) -> None:
    frozen = SMALL.replace("dense(units, activation)]", "tf.keras.layers.BatchNormalization(), fixed(units)]") + (
        "def fixed(units):\n    return tf.keras.layers.Dense(units, trainable=False, name='fixed')\n"
    )
    built = BackboneLayer(builder(package(tmp_path, frozen)), FEATURES, "b")
    assert [one.name for one in built.trainable_weights] == [
        f"batch_normalization/{part}:0" for part in ("gamma", "beta")
    ]
    average = next(one for one in built.weights if "moving_mean" in one.name)
    images = {"small": pixels(FEATURES["small"])}
    built.trainable = False
    assert not built.trainable_weights and len(built.non_trainable_weights) == 6
    built(images, training=True)
    assert not np.any(average), "a frozen backbone runs as for inference"
    built.trainable = True
    built(images, training=False)
    assert not np.any(average)
    built(images, training=True)
    assert np.any(average)
    assert [one.name for one in built.trainable_weights] == [
        f"batch_normalization/{part}:0" for part in ("gamma", "beta")
    ]


def test_what_is_tuned_is_named_by_its_layers() -> None:
    said = backbone(kind="lenet5", input="grey")
    some = BackboneLayer(said, FEATURES, "b", tuned=VariableSelection(variables=("^c3/", "f6/bias")))
    assert [one.name for one in some.trainable_weights] == ["c3/kernel:0", "c3/bias:0", "f6/bias:0"]
    assert [
        one.name for one in BackboneLayer(said, FEATURES, "b", tuned=VariableSelection(last=1)).trainable_weights
    ] == [
        "f6/kernel:0",
        "f6/bias:0",
    ]
    with pytest.raises(UserError, match="'c7' in its name; those that can be trained are: c1/kernel, c1/bias"):
        BackboneLayer(said, FEATURES, "b", tuned=VariableSelection(variables=("c7",)))


def changed(old: str, new: str) -> str:
    assert old in SMALL
    return SMALL.replace(old, new)


@pytest.mark.parametrize(
    ("small", "said", "says"),
    [
        (SMALL, {"arguments": {"unit": 3}}, r"build takes \(units, activation='relu'\), and `arguments` do not fit"),
        (SMALL, {"arguments": {}}, "missing a required argument: 'units'"),
        (SMALL, {"arguments": {"units": -3}}, r"parts.py:4: my_models.small:build failed: ValueError: .*-3"),
        (SMALL, {"call": "my_models.small:built"}, "small.py: there is no function 'built' in it"),
        (SMALL, {"call": "my_models.smal:build"}, r"there is no module 'my_models.smal' in "),
        (SMALL, {"call": "my_modles.small:build"}, r"there is no module 'my_modles' in .*, nor on Python's own path"),
        (SMALL, {"call": "hubline.trainer.model:build"}, "'hubline' is Hubline's own package"),
        (changed("tensorflow", "no_such_thing"), {}, "small.py:1: my_models.small cannot be imported: Mod"),
        ("def build(:", {}, "small.py:1: not Python: invalid syntax"),
        (changed("return "
        "tf", "return 3 #"), {}, "returned a builtins.int, but must return a layer or model of tf.keras"),
        (changed("tf.keras.layers.Flatten(), ", ""), {}, r"numbers \[batch, n\] .* got float32.*32, 32, 3"),
        (changed("return tf", "return tf.keras.layers.Lambda(lambda x: (x, x)) #"), {}, "one tensor, .* got tuple"),
        (changed("return tf", "return tf.keras.layers.Lambda(lambda x: x.nothing) #"), {}, "small.py:5: what my_"),
    ],
)  # fmt: skip
def test_what_a_function_of_the_user_cannot_be(tmp_path: Path, small: str, said: dict, says: str) -> None:
    with pytest.raises(UserError, match=says):
        try_out(builder(package(tmp_path, small), **said), FEATURES)


def test_a_function_is_found_on_pythons_path_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package(tmp_path / "installed")
    (tmp_path / "installed" / "my_models").rename(tmp_path / "installed" / "their_models")
    monkeypatch.syspath_prepend(str(tmp_path / "installed"))
    said = builder(tmp_path, "their_models.small:build")
    assert try_out(said, FEATURES) == (3, 32 * 32 * 3 * 3 + 3)
    before = fingerprint(said)
    (tmp_path / "installed" / "their_models" / "parts.py").write_text(PARTS + "\n")
    assert fingerprint(said) != before


def test_the_source_counts_with_all_of_the_users_own_that_it_imports(tmp_path: Path) -> None:
    said = builder(package(tmp_path))
    seen = {fingerprint(said)}
    (tmp_path / "my_models" / "other.py").write_text("import helpers")
    assert fingerprint(said) in seen, "nothing imports it"
    for path, text in {
        "my_models/parts.py": PARTS + "\nfrom my_models import other",
        "my_models/other.py": "import helpers  # of the same folder",
        "helpers.py": "x = 1",
        "my_models/__init__.py": "y = 1",
    }.items():
        (tmp_path / path).write_text(text)
        assert fingerprint(said) not in seen, path
        seen.add(fingerprint(said))


def test_a_changed_source_is_imported_anew_and_another_folder_has_its_own(tmp_path: Path) -> None:
    package(tmp_path / "a")
    assert try_out(builder(tmp_path / "a"), FEATURES)[0] == 3
    package(tmp_path / "a", SMALL.replace("dense(units, ", "dense(units+1, "))
    assert try_out(builder(tmp_path / "a"), FEATURES)[0] == 4
    package(tmp_path / "b", parts=PARTS.replace("Dense(units, ", "Dense(units+5, "))
    assert try_out(builder(tmp_path / "b"), FEATURES)[0] == 8
    assert try_out(builder(tmp_path / "a"), FEATURES)[0] == 4


def test_a_module_that_is_known_by_another_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "numpy.py").write_text("def build():\n    pass\n")
    with pytest.raises(UserError, match=r"there is another module 'numpy', .*; call yours something else"):
        try_out(builder(tmp_path, "numpy:build"), FEATURES)


def test_files_of_weights_are_looked_at(tmp_path: Path) -> None:
    path = tmp_path / "net.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n and more")
    said = application(weights=str(path), alpha=0.35)
    digest = fingerprint(said)
    assert fingerprint(application(weights=str(path), alpha=0.35, sha256=digest)) == digest
    with pytest.raises(UserError, match=f"its sha256 is {digest}, but the pipeline file sets {'0' * 64}"):
        fingerprint(application(weights=str(path), sha256="0" * 64))
    with pytest.raises(UserError, match=r"absent.h5: there is no such file; set weights to a Keras weights file"):
        fingerprint(application(weights=str(tmp_path / "absent.h5")))
    (tmp_path / "text.h5").write_text("weights")
    with pytest.raises(UserError, match=r"text.h5: not a weights file: not HDF5"):
        fingerprint(application(weights=str(tmp_path / "text.h5")))
    assert fingerprint(application()) == ""


@pytest.mark.parametrize("with_init", [(True, False), (False, True), (False, False)])
def test_a_package_of_another_pipeline_does_not_stand_for_this_one(
    tmp_path: Path, with_init: tuple[bool, bool]
) -> None:
    for number, regular in enumerate(with_init):
        package = tmp_path / str(number) / f"mine{''.join(map(str, map(int, with_init)))}"
        package.mkdir(parents=True)
        if regular:
            (package / "__init__.py").touch()
        source = f"import tensorflow as tf\ndef build():\n    return tf.keras.layers.Dense({number + 3})\n"
        (package / "small.py").write_text(source)
        said = {"kind": "builder", "call": f"{package.name}.small:build", "inputs": {"pixels": "x"}}
        config = Builder.model_validate(said | {"folder": str(package.parent)})
        assert built_by_user(config, {"pixels": tf.keras.Input([4])}).shape[1] == number + 3
