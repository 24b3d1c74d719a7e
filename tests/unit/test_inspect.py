"""`hubline inspect`: reads a module's signatures from its protos, runs none of its code, and recognizes other files."""

import json
import shutil
import tarfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tensorflow as tf
from typer.testing import CliRunner, Result

from hubline.core.errors import UserError
from hubline.pipeline.cli import app
from hubline.trainer.hub_interface import inspect_module
from hubline.trainer.saved_model_loader import open_module
from tests.support import augmenting_modules, hub_modules, tf1_hub_modules
from tests.support import model as make_model


def inspect(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["inspect", *map(str, arguments)])
    if result.exception is not None and not isinstance(result.exception, UserError):
        raise result.exception
    return result


def refused(path: Path) -> str:
    result = inspect(path)
    assert isinstance(result.exception, UserError), result.output
    return str(result.exception)


class Options(tf.Module):
    """Traced in several ways: nested inputs, defaults, keywords, `training`."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = tf.Variable(2.0)

    @tf.function
    def __call__(self, inputs, size=(4, 4), training=False, *, factor=1.0, mode="mean"):
        given = tf.reduce_mean(inputs["image"], [1, 2]) * self.scale * factor
        return {"vector": given, "nested": {"size": tf.constant(size), "text": [tf.strings.as_string(given), given]}}


def options(path: Path) -> Path:
    module = Options()
    spec = {"image": hub_modules.IMAGES, "note": tf.TensorSpec([None], tf.string)}
    for training in (True, False):
        for size in ((4, 4), (8, 8)):
            module.__call__.get_concrete_function(spec, size, training, factor=tf.TensorSpec([], tf.float32))
    module.__call__.get_concrete_function(spec, mode="max")
    tf.saved_model.save(module, str(path))
    return path


@pytest.mark.parametrize(
    "make_one",
    [
        hub_modules.mean_colour,
        hub_modules.two_inputs,
        tf1_hub_modules.images,
        hub_modules.endpoints,
        tf1_hub_modules.detector,
        tf1_hub_modules.augmenting,
        augmenting_modules.inverting,
        augmenting_modules.keras_layers,
        options,
        lambda path: hub_modules.keras(path, "save"),
        lambda path: hub_modules.keras(path, "export"),
        lambda path: hub_modules.module(path, tf.TensorSpec(None, tf.float32), lambda values: values),
        lambda path: make_model.saved(path, make_model.RaggedWords()),
        lambda path: make_model.saved(path, make_model.Negative(), serving_default="negative", other="negative"),
        lambda path: make_model.served(path) / "1",
    ],
)
def test_the_protos_say_what_loading_says(tmp_path: Path, make_one: Callable[[Path], Path]) -> None:
    path = str(make_one(tmp_path / "module"))
    assert inspect_module(path) == open_module(path).offer


def writing_at_start(path: Path, written: Path) -> Path:
    """A TF1 module whose `main_op`, which loading runs, writes a file."""
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        values = tf.compat.v1.placeholder(tf.float32, [None, 2])
        make_signature = tf.compat.v1.saved_model.predict_signature_def
        builder = tf.compat.v1.saved_model.Builder(str(path))
        builder.add_meta_graph_and_variables(
            session,
            ["serve"],
            {"default": make_signature({"x": values}, {"default": 2 * values})},
            main_op=tf.raw_ops.WriteFile(filename=str(written), contents="written"),
        )
    builder.save()
    return path


def test_what_a_module_runs_when_it_is_loaded_does_not_run(tmp_path: Path) -> None:
    written = tmp_path / "written"
    path = writing_at_start(tmp_path / "module", written)
    result = inspect(path, "--json")
    assert list(json.loads(result.stdout.splitlines()[-1])["signatures"]) == ["default"]
    assert not written.exists()
    tf.saved_model.load(str(path), tags=["serve"])
    assert written.read_text() == "written"  # shows that the test would notice it


def test_names_are_shown_as_they_are_and_not_as_markup(tmp_path: Path) -> None:
    function = tf.function(lambda **inputs: {"[/x]": 2 * inputs["values"], "[red]y[/red]": inputs["values"]})
    concrete = function.get_concrete_function(values=tf.TensorSpec([None], tf.float32, "values"))
    tf.saved_model.save(tf.Module(), str(tmp_path / "m"), signatures={"[/close]": concrete})
    shown = inspect(tmp_path / "m").stdout
    for name in ("[/x]", "[red]y[/red]", "signature [/close]"):
        assert name in shown


@pytest.mark.slow
def test_what_is_no_module_is_named_with_what_to_do(tmp_path: Path) -> None:
    serving = make_model.served(tmp_path / "serving")
    shutil.copytree(serving / "1", serving / "12")
    assert f"a folder of versions (1, 12), not a module; give one of them, such as {serving}/12" in refused(serving)

    whole = hub_modules.mean_colour(tmp_path / "whole")
    for name in ("variables.index", "variables.data-00000-of-00001"):
        cut = shutil.copytree(whole, tmp_path / f"without {name}")
        (cut / "variables" / name).unlink()
        assert "a SavedModel without its variables: " in refused(cut)
    assert f"a file of a SavedModel; give the folder that it is in, {whole}" in refused(whole / "saved_model.pb")

    model = tf.keras.Sequential([tf.keras.layers.Input([2]), tf.keras.layers.Dense(2)])
    for name in ("a.keras", "b.h5"):
        model.save(tmp_path / name)
        said = refused(tmp_path / name)
        assert f"a Keras 2 model; make a module of it: hubline module from-keras {tmp_path / name} --output" in said
    (tmp_path / "of keras").mkdir()
    (tmp_path / "a.keras").rename(tmp_path / "of keras" / "a.keras")
    assert "a folder with a.keras, a Keras 2 model" in refused(tmp_path / "of keras")

    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "checkpoints" / "c.index").write_bytes(b"")
    assert "a checkpoint, weights without a graph" in refused(tmp_path / "checkpoints")
    (tmp_path / "m.tflite").write_bytes(b"\x1c\x00\x00\x00TFL3")
    assert "a TensorFlow Lite file" in refused(tmp_path / "m.tflite")
    (tmp_path / "empty").mkdir()
    assert "not a hub module: there is no saved_model.pb in this folder" in refused(tmp_path / "empty")


@pytest.mark.slow
def test_our_own_export_with_its_head_is_inspected_from_an_archive(tmp_path: Path) -> None:
    whole = hub_modules.mean_colour(tmp_path / "whole")
    make_model.saved(whole / "assets.extra" / "head", make_model.Lengths())
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as tar:
        tar.add(whole, "model")
    said = json.loads(inspect(tmp_path / "m.tar.gz", "--json").stdout.splitlines()[-1])
    assert [list(call["inputs"]) for call in said["calls"]] == [["images"]]
    np.testing.assert_array_equal(said["calls"][0]["inputs"]["images"]["shape"], [None, 8, 8, 3])
