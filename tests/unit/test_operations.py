"""What `hubline check` finds in a module: missing operations, and variables that cannot be trained."""

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.core.package_versions import install_command
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.preflight import check
from hubline.trainer import operations
from hubline.trainer.adapters.tensorflow_library import registered_operations
from hubline.trainer.saved_model import SavedModel
from hubline.trainer.saved_model_loader import open_module
from tests.support import hub_modules, tf1_hub_modules, tf1_trainable_modules
from tests.support.project import PIPELINE, make_project

PROJECT = Path(__file__).parents[2]
RENAMED = {
    "Mean": "SentencepieceOp",
    "Square": "TFText>RoundRobinTrim",
    "Sqrt": "Addons>Resampler",
    "Mul": "Own>Multiply",
}


@pytest.fixture
def foreign(tmp_path: Path) -> Path:
    return hub_modules.with_operation(hub_modules.mean_colour(tmp_path / "foreign"), **RENAMED)


def test_what_is_registered_is_what_tensorflow_knows() -> None:
    from tensorflow.python.framework import op_def_registry

    known = registered_operations()
    assert {"MatMul", "LookupTableFindV2", "VarHandleOp"} <= known
    assert all(op_def_registry.get(name) is not None for name in known)
    assert operations.missing(["MatMul", "Absent", "Another"]) == ["Absent", "Another"]


def test_all_operations_that_are_missing_are_named_with_what_brings_them(foreign: Path, monkeypatch) -> None:
    monkeypatch.setattr(operations, "is_installed", lambda package: False)
    with pytest.raises(UserError) as error:
        open_module(str(foreign))
    said = str(error.value)
    assert said.startswith(f"{foreign}: it uses operations that this TensorFlow doesn't have: ")
    version = tf.__version__.rpartition(".")[0]
    text = f"tensorflow-text brings them: {install_command(f'tensorflow-text=={version}.*')}"
    assert f"SentencepieceOp, TFText>RoundRobinTrim ({text})" in said
    assert "Addons>Resampler (tensorflow-addons brings them" in said
    assert "Own>Multiply (custom operations, which whoever made the module has the library of)" in said


def fake_package(folder: Path, monkeypatch: pytest.MonkeyPatch, source: str) -> None:
    (folder / "tensorflow_text").mkdir(parents=True)
    (folder / "tensorflow_text" / "__init__.py").write_text(source)
    monkeypatch.delitem(sys.modules, "tensorflow_text", raising=False)
    monkeypatch.syspath_prepend(str(folder))


def test_a_package_that_brings_operations_is_imported_where_they_are_missing(tmp_path: Path, monkeypatch) -> None:
    fake_package(tmp_path, monkeypatch, "")
    own = registered_operations()
    brought = {"SentencepieceOp"}
    monkeypatch.setattr(
        operations, "registered_operations", lambda: own | (brought if "tensorflow_text" in sys.modules else set())
    )
    operations.provide(["MatMul"])
    assert "tensorflow_text" not in sys.modules
    operations.check(["MatMul", "SentencepieceOp"])  # it exists, which is sufficient
    assert "tensorflow_text" not in sys.modules
    operations.provide(["MatMul", "SentencepieceOp"])
    assert "tensorflow_text" in sys.modules
    with pytest.raises(UserError, match=r"doesn't have: WordpieceTokenizeWithOffsets \(tensorflow-text"):
        operations.provide(["SentencepieceOp", "WordpieceTokenizeWithOffsets"])


def test_a_package_that_cannot_be_imported_is_named(tmp_path: Path, monkeypatch) -> None:
    fake_package(tmp_path, monkeypatch, "raise ImportError('undefined symbol: x')")
    with pytest.raises(UserError, match="tensorflow-text is installed, but cannot be imported: undefined symbol: x"):
        operations.provide(["SentencepieceOp"])


@pytest.mark.slow
@pytest.mark.parametrize("how", ["reusable", "keras", "tf1"])
def test_variables_are_read_as_tensorflow_loads_them(tmp_path: Path, how: str) -> None:
    path = {
        "reusable": hub_modules.endpoints,
        "keras": lambda path: hub_modules.keras(path, "save"),
        "tf1": tf1_hub_modules.images,
    }[how](tmp_path / "module")
    loaded = tf.saved_model.load(str(path), tags=[] if how == "tf1" else None)
    read = SavedModel.parse((path / "saved_model.pb").read_bytes(), "")
    assert {variable.name: (variable.dtype, variable.shape) for variable in read.variables} == {
        variable.name.partition(":")[0]: (variable.dtype.name, tuple(variable.shape)) for variable in loaded.variables
    }
    trainable = [variable.name for variable in read.variables if variable.trainable]
    if how != "tf1":
        assert trainable == [variable.name.partition(":")[0] for variable in loaded.trainable_variables]


@pytest.mark.parametrize("cut", [0, 1, 100, -1])
def test_a_saved_model_that_is_cut_off_is_none(tmp_path: Path, cut: int) -> None:
    content = (hub_modules.mean_colour(tmp_path / "module") / "saved_model.pb").read_bytes()
    with pytest.raises(UserError, match=r"here: not a SavedModel"):
        SavedModel.parse(content[:cut], "here")


def packed(folder: Path) -> str:
    """Replaces the module of a project by an archive of it."""
    with tarfile.open(folder / "module.tar.gz", "w:gz") as archive:
        archive.add(folder / "module", arcname=".")
    return "module.tar.gz"


def tf1(folder: Path) -> str:
    tf1_hub_modules.images(folder / "tf1")
    return "tf1"


def drawing(folder: Path) -> str:
    tf1_trainable_modules.elmo(folder / "elmo", dropout=0.5, inside=True)
    return "elmo"


def not_whole(folder: Path) -> str:
    whole = folder / packed(folder)
    whole.write_bytes(whole.read_bytes()[:200])
    return whole.name


def of_others(folder: Path) -> str:
    hub_modules.with_operation(folder / "module", Mean="SentencepieceOp")
    return "module"


TUNED = "model: {fine_tune: {mean: {%s}}}\ntraining:"


@pytest.mark.parametrize(
    ("change", "tune", "key", "says"),
    [
        (None, "variables: [absent]", "model.fine_tune.mean.variables", "those that can be trained are: scale"),
        (packed, "variables: [offset]", "model.fine_tune.mean.variables", "no trainable variable of the module"),
        (packed, "last: 2", "model.fine_tune.mean.last", "the module has 1 layers: scale"),
        (tf1, "training_mode: true", "model.fine_tune.mean", "a graph with the tag `train`, but there is none"),
        (drawing, "after_epochs: 1", "model.fine_tune.mean", "random numbers are drawn inside a loop"),
        (not_whole, "last: 2", "hubs.mean.handle", "not a complete .tar.gz"),
        (of_others, "", "hubs.mean.handle", r"doesn't have: SentencepieceOp"),
    ],
)
def test_check_finds_it(tmp_path: Path, monkeypatch, change: Callable | None, tune: str, key: str, says: str) -> None:
    monkeypatch.setattr(operations, "is_installed", lambda package: False)
    path = make_project(tmp_path, PIPELINE.replace("training:", TUNED % tune))
    if change:
        path.write_text(path.read_text().replace("handle: module", f"handle: {change(tmp_path)}"))
    with pytest.raises(PipelineFileError) as error:
        check(path)
    (diagnostic,) = error.value.diagnostics
    assert diagnostic.key == key and says in diagnostic.message


@pytest.mark.slow
def test_check_finds_it_without_importing_tensorflow(tmp_path: Path) -> None:
    path = make_project(tmp_path, PIPELINE.replace("training:", TUNED % "variables: [absent]"))
    hub_modules.with_operation(tmp_path / "module", Mean="Own>Mean")
    program = (
        "import sys\n"
        f"sys.argv = ['hubline', 'check', {str(path)!r}, '--json']\n"
        "from hubline.pipeline.cli import main\n"
        "try:\n    main()\nexcept SystemExit as end:\n    assert end.code == 2\n"
        "heavy = {'tensorflow', 'tfx', 'apache_beam', 'tf_keras', 'tensorflow_hub'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    diagnostics = json.loads(done.stdout.splitlines()[-1])["mistakes"]
    assert {diagnostic["key"] for diagnostic in diagnostics} == {"hubs.mean.handle", "model.fine_tune.mean.variables"}
    assert "Own>Mean" in done.stdout and "scale" in done.stdout
