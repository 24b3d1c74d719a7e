"""A user's own packages may have the names of Hubline's subpackages; neither shadows the other."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import example_data
from tests.support.project import PROJECT
from tests.support.saved_variables import variables_of

NAMES = ("artifacts", "components", "core", "pipeline", "preprocessing", "report", "tests", "trainer")
NUMBERS = {name: number / 32 for number, name in enumerate(NAMES, 1)}
"""The user's packages, each with an identifying number that is exact in float32; `pipeline` is a module."""

EVERY_NAME = pytest.mark.parametrize("name", NUMBERS)
FILE = """\
name: mine
data: {examples: data, split: {train: 6, validation: 2, test: 2}}
features:
  image: {kind: image, size: [8, 8]}
label: {from: label, kind: class, classes: [dark, light]}
backbones:
  net: {kind: builder, call: "trainer.mynet:build", inputs: {pixels: image}}
training: {epochs: 10, batch_size: 16, optimizer: {learning_rate: 0.1}}
evaluation: {thresholds: {accuracy: {at_least: 0.6}}}
serving: {destination: serving, check: {enabled: false}}
"""
USERS_MODULE = """\
import os
import sys

NUMBER = {number}
importer = sys._getframe(1)
while "importlib" in importer.f_code.co_filename:
    importer = importer.f_back
with open(os.environ["IMPORTS"], "a") as log:
    log.write(f"{{__name__}} {{importer.f_code.co_filename}}\\n")


def build():
    import tensorflow as tf

    flat = tf.keras.layers.Flatten()
    return tf.keras.Sequential([flat, tf.keras.layers.Dense(1, bias_initializer=tf.constant_initializer(NUMBER))])
"""
USERS_BACKBONE = f"""\
import tensorflow as tf
import {", ".join(NUMBERS)}

NUMBERS = [module.NUMBER for module in ({", ".join(NUMBERS)})]


def build():
    conv = tf.keras.layers.Conv2D(len(NUMBERS), 3, bias_initializer=tf.constant_initializer(NUMBERS), name="conv")
    conv.trainable = False
    return tf.keras.Sequential([conv, tf.keras.layers.GlobalAveragePooling2D()])
"""
WORKER = """\
import importlib
import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path

from hubline.components.beam import Beam
from hubline.components.spread.own_tasks import OwnTasks
from hubline.components.spread.run import run_stage
from hubline.components.spread.stage import Stage


@dataclass(frozen=True)
class Name:
    name: str
    count: int = 1
    size: int = 1

    @property
    def key(self):
        return self.name


def look(task, folder, report):
    theirs = importlib.import_module(task.name)
    ours = importlib.import_module("hubline" if task.name == "tests" else f"hubline.{task.name}")
    found = {"theirs": theirs.NUMBER, "ours": ours.__file__, "process": os.getpid()}
    Path(f"worker-{task.name}.json").write_text(json.dumps(found))


if __name__ == "__main__":
    OwnTasks.start = lambda self: None  # so that another process does all tasks
    stage = Stage("imports", "modules", [Name(name) for name in sys.argv[1:]], look, "kept", weight=1.0)
    run_stage(stage, lambda work: Beam(workers=2).arguments(), "scratch")
    print(os.getpid())
"""
BUILDER = """\
import json
import sys

import tensorflow as tf

from hubline.trainer.backbones.builder import built
from hubline.trainer.backbones.config import Builder

biases = {}
for name in sys.argv[1:]:
    said = {"kind": "builder", "call": f"{name}:build", "inputs": {"pixels": "image"}, "folder": "."}
    image = tf.keras.Input([8, 8, 3])
    model = tf.keras.Model(image, built(Builder.model_validate(said), {"pixels": image}))
    biases[name] = float(model.get_weights()[-1][0])
print(json.dumps(biases))
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The user's project: data, a pipeline file and, next to it, packages with Hubline's names."""
    folder = tmp_path_factory.mktemp("mine")
    example_data.write_tfrecord(folder / "data" / "a.tfrecord", example_data.labelled(200))
    (folder / "pipeline.yaml").write_text(FILE)
    for name, number in NUMBERS.items():
        path = folder / "pipeline.py" if name == "pipeline" else folder / name / "__init__.py"
        path.parent.mkdir(exist_ok=True)
        path.write_text(USERS_MODULE.format(number=number))
    (folder / "trainer" / "mynet.py").write_text(USERS_BACKBONE)
    (folder / "worker.py").write_text(WORKER)
    (folder / "builder.py").write_text(BUILDER)
    return folder


def python(folder: Path, *arguments: str) -> str:
    """Runs Python in the user's project, which is also on PYTHONPATH; only `hubline` of ours is importable.

    Returns:
        The last line of its output.
    """
    installed = folder / "installed"
    installed.mkdir(exist_ok=True)
    if not (installed / "hubline").exists():
        (installed / "hubline").symlink_to(PROJECT / "hubline")
    paths = {"PYTHONPATH": f"{folder}:{installed}", "IMPORTS": str(folder / "imports.log")}
    # Beam starts its workers as `python`.
    search = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    done = subprocess.run(
        [sys.executable, *arguments], env=os.environ | paths | search, cwd=folder, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout.splitlines()[-1]


@pytest.fixture(scope="module")
def result(folder: Path) -> dict:
    """A full run of the pipeline file; records the user's modules and the modules that import them."""
    (folder / "imports.log").unlink(missing_ok=True)
    said = json.loads(python(folder, "-m", "hubline.pipeline.cli", "run", "pipeline.yaml", "--json"))
    (folder / "imports.log").rename(folder / "imports-of-run.log")
    return said


@pytest.mark.slow
@EVERY_NAME
def test_a_run_uses_the_users_module_in_the_users_code_and_ours_in_ours(folder: Path, result: dict, name: str) -> None:
    assert result["status"] == "succeeded" and result["metrics"]["accuracy"] > 0.6
    bias = variables_of(result["pushed_model"])["conv/bias"]
    assert bias[list(NUMBERS).index(name)] == NUMBERS[name]
    lines = [line.split(" ", 1) for line in (folder / "imports-of-run.log").read_text().splitlines()]
    importers = {Path(importer).resolve() for imported, importer in lines if imported == name}
    # One module of ours imports what `call` names, and so its package. Nothing else in Hubline imports these names.
    ours = {PROJECT / "trainer" / "user_function.py"} if name == "trainer" else set()
    assert importers and importers - ours <= {folder.resolve() / "trainer" / "mynet.py"}


@pytest.fixture(scope="module")
def biases(folder: Path) -> dict[str, float]:
    return json.loads(python(folder, "builder.py", *NUMBERS))


@pytest.mark.slow
@EVERY_NAME
def test_a_builder_is_found_under_any_of_our_names(biases: dict[str, float], name: str) -> None:
    assert biases[name] == NUMBERS[name]


@pytest.fixture(scope="module")
def runner(folder: Path) -> int:
    """The process that started the workers."""
    return int(python(folder, "worker.py", *NUMBERS))


@pytest.mark.both_stacks
@pytest.mark.slow
@EVERY_NAME
def test_a_worker_imports_the_users_module_and_ours(folder: Path, runner: int, name: str) -> None:
    found = json.loads((folder / f"worker-{name}.json").read_text())
    assert found["process"] != runner
    assert found["theirs"] == NUMBERS[name]
    room = "hubline" if name == "tests" else name
    assert Path(found["ours"]).resolve() == PROJECT / room / "__init__.py"
