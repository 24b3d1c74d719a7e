"""`hubline module`: makes reusable hub modules of Keras models, and refuses what it can't make one of."""

import json
import os
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner

from hubline.core.config_base import read_sections
from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.preprocessing.config import Features
from hubline.trainer.config.hubs import Hub
from hubline.trainer.config.model import FineTune
from hubline.trainer.hub_interface import inspect_module
from hubline.trainer.hub_layer import HubLayer
from hubline.trainer.keras_files.code import code_in
from hubline.trainer.keras_files.recognise import read_keras_file
from hubline.trainer.keras_files.request import ModuleRequest
from hubline.trainer.keras_files.reusable import unique
from hubline.trainer.keras_files.worker import make
from hubline.trainer.saved_model_loader import open_module

X = np.random.default_rng(1).normal(size=(8, 4)).astype(np.float32)

KERAS_3 = """
import keras, numpy as np, sys
keras.utils.set_random_seed(1)
layers = keras.layers
inputs = keras.Input([4], name="measures")
values = layers.Dense(3, "relu", kernel_regularizer=keras.regularizers.L2(0.1), name="first")(inputs)
values = layers.BatchNormalization(name="norm", momentum=0.5)(values)
values = layers.Dropout(0.5, name="drop")(values)
model = keras.Model(inputs, layers.Dense(2, name="last")(values))
model.get_layer("norm").set_weights([np.array(v, "float32") for v in ([1, 2, 3], [0, 1, 0], [.1, .2, .3], [1, 2, 3])])
x = np.load("x.npy")
model.save("three.keras")
model.save("three.h5")
model.save_weights("only.weights.h5")
norm = keras.Model(inputs, model.get_layer("norm").output)
np.savez("three.npz", last=model(x), norm=norm(x), loss=float(model.losses[0]))

images = keras.Input([8, 8, 3])
values = keras.ops.relu(layers.RandomFlip()(images)[:, :4] * 2 + 1)
values = layers.Conv2D(3, 2, activation=keras.activations.silu, dtype="mixed_float16")(values)
values = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(layers.Reshape([-1, 3])(values))
values = layers.RNN(layers.GRUCell(3))(layers.MultiHeadAttention(2, 3)(values, values))
keras.Model(images, values).save("many.keras")

@keras.saving.register_keras_serializable("mine")
class Scale(layers.Layer):
    def call(self, x):
        return 3.0 * x

keras.Sequential([keras.Input([2]), Scale()]).save("custom.keras")
keras.Sequential([keras.Input([2]), layers.Lambda(lambda x: 2.0 * x, name="doubled")]).save("lambda.keras")
left, right = keras.Input([2], name="left"), keras.Input([3], name="alone", dtype="int32")
both = layers.Concatenate(name="joined")([left, layers.Flatten()(layers.Embedding(5, 2)(right))])
keras.Model([left, right], {"sum": layers.Dense(1)(both), "joined": both}).save("two.keras")
"""


def run(*arguments: object) -> dict:
    result = CliRunner().invoke(app, ["module", *map(str, arguments), "--json"])
    if result.exception is not None:
        raise result.exception
    return json.loads(result.stdout.splitlines()[-1])


def here(source: str, output: str, **more: object) -> object:
    """Makes a module in this process, in a folder below `modules`, and loads it."""
    make(ModuleRequest(source=source, output=f"modules/{output}", **({"kind": "keras"} | more)))
    return tf.saved_model.load(f"modules/{output}")


def refused(*arguments: object) -> str:
    with pytest.raises(UserError) as error:
        run(*arguments)
    return str(error.value)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with files of Keras 3, made in a process of its own, and of Keras 2."""
    folder = tmp_path_factory.mktemp("models")
    np.save(folder / "x.npy", X)
    environment = os.environ | {"TF_USE_LEGACY_KERAS": "0", "KERAS_BACKEND": "tensorflow"}
    subprocess.run([sys.executable, "-c", KERAS_3], cwd=folder, env=environment, check=True, capture_output=True)
    before = Path.cwd()
    os.chdir(folder)
    yield folder
    os.chdir(before)


@pytest.fixture(scope="module")
def made(models: Path) -> dict:
    """The module of the Keras 3 model."""
    return run("from-keras", "three.keras", "--output", "modules/three", "--layer", "norm", "--layer", "last")


@pytest.mark.slow
def test_a_module_of_keras_3_answers_as_the_model(models: Path, made: dict) -> None:
    answers = tf.saved_model.load("modules/three")(X)
    with np.load("three.npz") as wanted:
        for name in ("norm", "last"):
            np.testing.assert_allclose(answers[name], wanted[name], rtol=1e-5, atol=1e-6)
    assert made["difference"] < 1e-5
    assert "handle: modules/three" in made["entry"]
    assert made["sha256"] in made["entry"]


@pytest.mark.slow
def test_a_module_of_keras_3_is_trained_as_the_model(models: Path, made: dict) -> None:
    module = tf.saved_model.load("modules/three")
    variables = {variable.name.partition(":")[0]: variable for variable in module.variables}
    assert [variable.name.partition(":")[0] for variable in module.trainable_variables] == [
        "first/kernel",
        "first/bias",
        "norm/gamma",
        "norm/beta",
        "last/kernel",
        "last/bias",
    ]
    assert [each["name"] for each in made["variables"] if not each["trainable"]] == [
        "norm/moving_mean",
        "norm/moving_variance",
    ]
    with np.load("three.npz") as wanted:
        np.testing.assert_allclose(module.regularization_losses[0](), wanted["loss"], rtol=1e-6)
    first = np.maximum(X @ variables["first/kernel"].numpy() + variables["first/bias"].numpy(), 0)
    with tf.GradientTape() as tape:
        one = module(X, training=True)
    assert all(each is not None for each in tape.gradient(one["last"], module.trainable_variables))
    np.testing.assert_allclose(
        variables["norm/moving_mean"], 0.5 * np.array([0.1, 0.2, 0.3]) + 0.5 * first.mean(axis=0), rtol=1e-5
    )
    normalized = (first - first.mean(0)) / np.sqrt(first.var(0) + 1e-3) * [1, 2, 3] + [0, 1, 0]
    np.testing.assert_allclose(one["norm"], normalized, rtol=1e-4, atol=1e-5)
    draws = [module(X, training=True)["last"].numpy() for _ in range(8)]
    assert len({each.tobytes() for each in draws}) > 1
    assert open_module("modules/three").can_train


@pytest.mark.slow
def test_a_fit_trains_the_module_only_if_it_is_fine_tuned(models: Path, made: dict) -> None:
    features = read_sections(Features, '{"values": {"kind": "numeric", "length": 4, "normalize": "none"}}')
    hub = Hub(handle="modules/three", inputs={"measures": "values"}, output="last")
    for tuned in (None, FineTune(after_epochs=0)):
        opened = open_module("modules/three")
        layer = HubLayer(hub, opened, features, "module", tuned)
        layer.trainable = tuned is not None
        with np.load("three.npz") as wanted:
            np.testing.assert_allclose(layer({"values": X}), wanted["last"], rtol=1e-5, atol=1e-6)
        inputs = {"values": tf.keras.Input([4], name="values")}
        model = tf.keras.Model(inputs, tf.keras.layers.Dense(1)(layer(inputs)))
        model.compile("sgd", "mse")
        before = [variable.numpy() for variable in opened.loaded.variables]
        model.fit({"values": X}, np.ones(8), epochs=1, verbose=0)
        after = [variable.numpy() for variable in opened.loaded.variables]
        changed = [not np.array_equal(old, new) for old, new in zip(before, after, strict=True)]
        assert changed == [tuned is not None] * 8


@pytest.mark.slow
def test_a_module_of_keras_2_answers_and_is_trained_as_the_model(models: Path) -> None:
    layers = tf.keras.layers
    inner = tf.keras.Sequential([layers.Input([4]), layers.Dense(3, name="deep"), layers.Dense(2)], name="inner")
    model = tf.keras.Sequential(
        [layers.Input([4], name="measures"), inner, layers.Dense(2, kernel_regularizer="l2"), layers.Dropout(0.5)]
    )
    model.save("two.h5")
    model.save("two_saved", save_format="tf")
    for name, source in (("of_h5", "two.h5"), ("of_folder", "two_saved")):
        module = here(source, name)
        np.testing.assert_allclose(module(X), model(X), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(module.regularization_losses[0](), model.losses[0], rtol=1e-6)
        with tf.GradientTape() as tape:
            draws = [module(X, training=True) for _ in range(8)]
        assert all(each is not None for each in tape.gradient(draws, module.trainable_variables))
        assert len({each.numpy().tobytes() for each in draws}) > 1
    with pytest.raises(UserError, match=r"is inside inner, which is a model itself; save that as a file of its own"):
        here("two.h5", "deep", layers=("deep",))


@pytest.mark.slow
def test_several_inputs_and_outputs_have_names(models: Path) -> None:
    here("two.keras", "two", keras=3)
    (call,) = inspect_module("modules/two").calls
    assert {name: str(each) for name, each in call.inputs.items()} == {"left": "float32[?, 2]", "alone": "int32[?, 3]"}
    assert {name: str(each) for name, each in call.outputs.items()} == {
        "sum": "float32[?, 1]",
        "joined": "float32[?, 8]",
    }


@pytest.mark.slow
def test_one_output_with_a_name(models: Path) -> None:
    inputs = tf.keras.Input([4])
    model = tf.keras.Model(inputs, {"sum": tf.keras.layers.Dense(2)(inputs)})
    model.save("named.h5")
    np.testing.assert_allclose(here("named.h5", "named")(X), model(X)["sum"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("names", "found"),
    [
        (["a", "a", "a_1"], ["a", "a_2", "a_1"]),
        (["kernel", "bias", "kernel", "bias"], ["kernel", "bias", "kernel_1", "bias_1"]),
        (["a", "a", "a"], ["a", "a_1", "a_2"]),
    ],
)
def test_names_of_variables_are_unique(names: list[str], found: list[str]) -> None:
    assert unique(names) == found


@pytest.mark.slow
def test_an_architecture_takes_pixels_from_0_to_1(models: Path) -> None:
    tf.keras.utils.set_random_seed(2)
    network = tf.keras.applications.VGG16(include_top=False, weights=None, pooling="avg")
    network.save_weights("vgg16.weights.h5")
    weights, size = ("--weights", "vgg16.weights.h5"), ("--size", "32x32")
    made = run("from-keras", "VGG16", *weights, *size, "--output", "modules/vgg")
    assert made["calls"][0]["inputs"] == {"images": {"dtype": "float32", "shape": [None, 32, 32, 3]}}
    module = tf.saved_model.load("modules/vgg")
    pixels = np.random.default_rng(0).random((2, 32, 32, 3)).astype(np.float32)
    wanted = network(255 * pixels[..., ::-1] - [103.939, 116.779, 123.68])  # BGR without the means of ImageNet
    np.testing.assert_allclose(module(pixels), wanted, rtol=1e-3, atol=1e-5)


@pytest.mark.slow
def test_a_signature_becomes_callable(models: Path) -> None:
    class Two(tf.Module):
        def __init__(self) -> None:
            super().__init__()
            self.scale, self.other = tf.Variable(2.0, name="scale"), tf.Variable(3.0, name="other")

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
        def scaled(self, x):
            return {"y": self.scale * x}

        @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, "x")])
        def shifted(self, x):
            return {"y": self.other + x}

    two = Two()
    tf.saved_model.save(two, "signatures", signatures={"scaled": two.scaled, "shifted": two.shifted})
    assert "choose one of its signatures with --signature: scaled, shifted" in refused(
        "from-saved-model", "signatures", "--output", "modules/none"
    )
    run("from-saved-model", "signatures", "--signature", "scaled", "--output", "modules/scaled")
    module = tf.saved_model.load("modules/scaled")
    assert [variable.name for variable in module.variables] == ["scale:0"]
    with tf.GradientTape() as tape:
        answer = module(X)
    np.testing.assert_array_equal(answer, 2 * X)
    np.testing.assert_allclose(tape.gradient(answer, module.trainable_variables[0]), X.sum(), rtol=1e-5)


@pytest.mark.slow
def test_classes_of_the_users_own_are_imported_by_name(models: Path) -> None:
    with pytest.raises(UserError, match=r"custom.keras: the class Scale isn't Keras' own; say which Python module"):
        here("custom.keras", "custom", keras=3)
    Path("my_layers.py").write_text(
        "import keras\n\n\n@keras.saving.register_keras_serializable('mine')\nclass Scale(keras.layers.Layer):\n"
        "    def call(self, x):\n        return 3.0 * x\n"
    )
    run("from-keras", "custom.keras", "--output", "modules/custom", "--import", "my_layers")
    np.testing.assert_array_equal(tf.saved_model.load("modules/custom")(X[:, :2]), 3 * X[:, :2])


@pytest.mark.slow
def test_what_is_no_whole_model_is_refused(models: Path) -> None:
    def said(source: object, *more: object) -> str:
        return refused("from-keras", source, "--output", "modules/refused", *more)

    Path("cut.keras").write_bytes(Path("three.keras").read_bytes()[:3000])
    Path("cut.h5").write_bytes(Path("three.h5").read_bytes()[:3000])
    Path("text.keras").write_text("hello")
    Path("text.h5").write_text("hello")
    assert "cut.keras: not a complete .keras file" in said("cut.keras")
    assert "cut.h5: not a complete HDF5 file" in said("cut.h5")
    assert "text.keras: not a complete .keras file" in said("text.keras")
    assert "text.h5: not a Keras model" in said("text.h5")
    assert "weights of a Keras model, without its architecture; build the model" in said("only.weights.h5")
    assert "the layer doubled contains Python code (Lambda)" in said("lambda.keras")
    assert "neither a file nor an architecture of keras.applications (did you mean MobileNetV2?)" in said("MobilNetV2")
    assert "MobileNetV2: say --weights FILE" in said("MobileNetV2")
    assert "--weights x.h5: there is no such file" in said("MobileNetV2", "--weights", "x.h5")
    assert "--size 12: must be HEIGHTxWIDTH" in said("MobileNetV2", "--weights", "none", "--size", "12")
    Path("there").mkdir()
    assert "there: exists already" in refused("from-keras", "three.keras", "--output", "there")
    assert not Path("modules/refused").exists()


@pytest.mark.slow
def test_a_layer_that_does_not_exist_is_refused_and_lambdas_are_allowed_by_an_option(models: Path) -> None:
    with pytest.raises(UserError, match=r"^--layer lst: the model has no such layer; did you mean last\?$"):
        here("three.h5", "refused", keras=3, layers=("lst",))
    tf.keras.Sequential([tf.keras.Input([2]), tf.keras.layers.Lambda(lambda x: abs(x), name="positive")]).save(
        "lambda_folder"
    )
    with pytest.raises(UserError, match=r"the layer positive contains Python code \(Lambda\)"):
        here("lambda_folder", "refused", keras=2)
    module = here("lambda.keras", "doubled", keras=3, allow_lambda=True)
    np.testing.assert_array_equal(module(X[:, :2]), 2 * X[:, :2])


def named(module: str | None, name: str, config: object = "run") -> dict:
    return {"module": module, "class_name": name, "config": config, "registered_name": name}


SPEC = {"module": "subprocess", "spec_name": "Popen"}


@pytest.mark.parametrize(
    ("each", "found", "imported"),
    [
        (named("os", "function", "popen"), "os:popen", "os"),
        (named("builtins", "function", "eval"), None, ""),  # Keras looks among its own functions alone
        (named("builtins", "eval"), "builtins:eval", ""),
        (named("keras.utils", "function", "get_file"), "keras.utils:get_file", ""),
        (named("tf_keras.utils", "get_file", {}), "tf_keras.utils:get_file", ""),
        (named("keras.src.utils.file_utils", "get_file", {}), "keras.src.utils.file_utils:get_file", ""),
        (named("keras", "utils.get_file", {}), "keras:utils.get_file", ""),
        (named("keras.applications", "MobileNetV2", {}), "keras.applications:MobileNetV2", ""),
        (named("keras.losses", "function", "deserialize"), "keras.losses:deserialize", ""),
        (named("keras.callbacks", "CSVLogger", {}), "keras.callbacks:CSVLogger", ""),
        (named("keras.layers", "TFSMLayer", {"filepath": "other"}), "keras.layers:TFSMLayer", ""),
        (named("keras.layers", "TorchModuleWrapper", {}), "keras.layers:TorchModuleWrapper", ""),
        (named(None, "ClassMethod", {"cls_symbol": "io.TFRecordWriter"}), "ClassMethod", ""),
        (named("keras.layers", "StringLookup", {"vocabulary": "/etc/passwd"}), "/etc/passwd", ""),
        (named(None, "VocabularyFileCategoricalColumn", {"vocabulary_file": "words"}), "words", ""),
        (named("mine.layers", "Scale", {}), "mine.layers:Scale", "mine.layers"),
        (named(None, "TFOpLambda", {"function": "io.write_file"}), "tf.io.write_file", ""),
        (named(None, "TFOpLambda", {"function": "__internal__.tracking"}), "tf.__internal__.tracking", ""),
        (named(None, "SlicingOpLambda", {"function": "py_function"}), "tf.py_function", ""),
        (named(None, "__typespec__", []) | SPEC, "subprocess:Popen", "subprocess"),
        (named(None, "__typespec__", SPEC), "subprocess:Popen", "subprocess"),
        (named("tensorflow.io", "__typespec__", []) | {"spec_name": "gfile"}, "tensorflow.io:gfile", ""),
        (named("tensorflow", "__typespec__", []) | {"spec_name": "TensorSpec"}, None, ""),
        (named("builtins", "function", "relu"), None, ""),
        (named("keras.src.activations.activations", "function", "silu"), None, ""),
        (named("keras.layers", "Dense", {}), None, ""),
        (named("keras.layers", "StringLookup", {"vocabulary": ["a", "b"]}), None, ""),
        (named("keras.src.applications.convnext", "LayerScale", {}), None, ""),
        (named(None, "TFOpLambda", {"function": "math.add"}), None, ""),
        (named(None, "TFOpLambda", {"function": "reshape"}), None, ""),
        (named(None, "mine>Scale", {}), None, ""),
    ],
)
def test_code_outside_keras_is_found(each: dict, found: str | None, imported: str) -> None:
    assert [(code.name, code.module) for code in code_in([each])] == ([] if found is None else [(found, imported)])


@pytest.mark.slow
def test_models_of_keras_own_layers_name_no_code(models: Path) -> None:
    layers = tf.keras.layers
    images, words = tf.keras.Input([8, 8, 3]), tf.keras.Input([4], dtype="int32")
    values = tf.image.resize(tf.nn.relu(layers.Rescaling(1 / 255)(images) * 2)[:, :4] + 1, [4, 4])
    values = layers.Conv2D(3, 2, activation=tf.keras.activations.swish, dtype="mixed_float16")(values)
    values = layers.Bidirectional(layers.LSTM(2, return_sequences=True))(layers.Reshape([-1, 3])(values))
    values = layers.RNN(layers.GRUCell(3))(layers.MultiHeadAttention(2, 3)(values, values))
    model = tf.keras.Model([images, words], [values, layers.Embedding(9, 3)(words)])
    for name, each in (("many", model), ("scaled", tf.keras.applications.ConvNeXtTiny(weights=None))):
        for ending in ("keras", "h5"):
            each.save(f"{name}_2.{ending}")
    for name in ("many_2.keras", "many_2.h5", "scaled_2.keras", "scaled_2.h5", "many.keras"):
        file = read_keras_file(name)
        assert file is not None and file.keras == (3 if name == "many.keras" else 2)
        assert file.code == ()


@pytest.mark.slow
def test_weights_in_other_files_are_refused(models: Path) -> None:
    Path("secret").write_bytes(np.arange(6, dtype=np.float32).tobytes())

    def with_kernel(name: str, change: Callable[[h5py.Group], None]) -> str:
        shutil.copy("three.h5", name)
        with h5py.File(name, "a") as file:
            group = file["model_weights/last"]
            while "kernel" not in group:
                group = next(iter(group.values()))
            del group["kernel"]
            change(group)
        return refused("from-keras", name, "--output", "modules/refused")

    def external(group: h5py.Group) -> None:
        group.create_dataset("kernel", [3, 2], "f4", external=[("secret", 0, 24)])

    def linked(group: h5py.Group) -> None:
        group["kernel"] = h5py.ExternalLink("three.h5", "kernel")

    def virtual(group: h5py.Group) -> None:
        layout = h5py.VirtualLayout((3, 2), "f4")
        layout[:] = h5py.VirtualSource("three.h5", "kernel", (3, 2))
        group.create_virtual_dataset("kernel", layout)

    assert "external.h5: its weights are in another file, secret" in with_kernel("external.h5", external)
    assert "linked.h5: its weights are in another file, three.h5" in with_kernel("linked.h5", linked)
    said = with_kernel("virtual.h5", virtual)
    assert "virtual.h5: its weights are in another file, three.h5" in said
    with zipfile.ZipFile("three.keras") as whole, zipfile.ZipFile("zipped.keras", "w") as file:
        for name in whole.namelist():
            file.writestr(name, Path("virtual.h5").read_bytes() if name.endswith(".h5") else whole.read(name))
    said = refused("from-keras", "zipped.keras", "--output", "modules/refused")
    assert "zipped.keras: its weights are in another file, three.h5" in said


@pytest.mark.slow
def test_operations_that_reach_beyond_the_model_are_refused_unless_allowed(models: Path) -> None:
    Path("reading.py").write_text(
        "import tensorflow as tf\n\n\nclass Reading(tf.keras.layers.Layer):\n"
        "    def call(self, x):\n        size = tf.strings.length(tf.io.read_file('x.npy'))\n"
        "        return x + 0.0 * tf.cast(size, x.dtype)\n"
    )
    sys.path.append("")
    try:
        from reading import Reading
    finally:
        sys.path.remove("")
    model = tf.keras.Sequential([tf.keras.Input([4]), Reading()])
    model.save("reading.h5")
    model.save("reading_saved", save_format="tf")
    for name in ("reading.h5", "reading_saved"):
        options = ("from-keras", name, "--import", "reading")
        said = refused(*options, "--output", "modules/refused")
        assert f"{name}: it contains operations that reach beyond the module: ReadFile (reads files)" in said
        assert "--allow-operation ReadFile" in said and not Path("modules/refused").exists()
    run(*options, "--output", "modules/reading", "--allow-operation", "ReadFile")
    np.testing.assert_array_equal(tf.saved_model.load("modules/reading")(X), X)


@pytest.mark.slow
def test_the_metadata_of_a_folder_may_name_no_code(models: Path) -> None:
    from tf_keras.protobuf.saved_metadata_pb2 import SavedMetadata

    tf.keras.Sequential([tf.keras.Input([4]), tf.keras.layers.Dense(2)]).save("named_folder", save_format="tf")
    file = Path("named_folder/keras_metadata.pb")
    metadata = SavedMetadata.FromString(file.read_bytes())
    content = json.loads(metadata.nodes[0].metadata)
    content["config"]["layers"].append(named("tf_keras.utils", "get_file", {}))
    metadata.nodes[0].metadata = json.dumps(content)
    file.write_bytes(metadata.SerializeToString())
    with pytest.raises(UserError, match=r"named_folder: the model names tf_keras.utils:get_file, which isn't"):
        here("named_folder", "refused")


@pytest.mark.slow
@pytest.mark.parametrize("version", ["2.16.0", "3.12.0"])
def test_a_file_that_names_code_is_refused_before_anything_is_loaded(tmp_path: Path, version: str) -> None:
    layer = {**named("os", "function", "popen"), "name": "e"}
    layer["inbound_nodes"] = [["_CONSTANT_VALUE", -1, f"touch {tmp_path}/done", {}]]
    config = {"name": "m", "layers": [layer], "input_layers": [], "output_layers": [["e", 0, 0]]}
    model = {**named("keras", "Functional", config), "build_config": {}}
    with zipfile.ZipFile(tmp_path / "bad.keras", "w") as file:
        file.writestr("config.json", json.dumps(model))
        file.writestr("metadata.json", json.dumps({"keras_version": version}))
        file.writestr("model.weights.h5", b"")
    said = refused("from-keras", tmp_path / "bad.keras", "--output", tmp_path / "module", "--allow-lambda")
    assert "the model names os:popen, which isn't a part of Keras" in said and "--import os" in said
    assert not (tmp_path / "done").exists()


@pytest.mark.slow
def test_a_library_beside_the_model_is_not_imported(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("keras", "h5py", "statistics"):
        Path(f"{name}.py").write_text("raise SystemExit('imported from the current folder')")
    try:
        run("from-keras", "three.keras", "--output", "modules/beside")
        monkeypatch.setenv("PYTHONSAFEPATH", "1")
        Path("own_layers.py").write_text("")
        run("from-keras", "three.keras", "--output", "modules/beside_own", "--import", "own_layers")
    finally:
        for name in ("keras", "h5py", "statistics"):
            Path(f"{name}.py").unlink()


@pytest.mark.slow
def test_inspect_says_what_a_keras_file_is(models: Path) -> None:
    def said(path: str) -> str:
        return str(CliRunner().invoke(app, ["inspect", path]).exception)

    for name in ("three.keras", "three.h5"):
        assert said(name).endswith(
            f"a Keras 3 model; make a module of it: hubline module from-keras {name} --output DIR"
        )
    assert "weights of a Keras model, without its architecture; save the whole model" in said("only.weights.h5")
