"""Private APIs of libraries are used in adapters only, one module per library."""

from pathlib import Path

import pytest

from tests.support.private_uses import private_uses
from tests.support.rooms import ROOMS

ROOT = Path(__file__).parents[2]
FOLDERS = (*ROOMS, "benchmarks", "examples")

ALLOWED = {
    # A user's builder and the modules next to it are reimported, under the user's own names.
    "trainer/user_function.py": {"sys.modules", "sys.dont_write_bytecode is replaced, which belongs to sys"},
    # Pillow documents this setting.
    "serving/limits.py": {"Image.MAX_IMAGE_PIXELS is replaced, which belongs to Image"},
}


@pytest.mark.parametrize(
    ("source", "found"),
    [
        ("import keras.src.layers", "Keras' sources"),
        ("from tensorflow.python.framework import ops", "only `tensorflow`"),
        ("import tensorflow as tf\nx = tf.__internal__.tracking", "tf.__internal__"),
        ("from tfx.orchestration.portable import launcher", "TFX exports metadata"),
        ("from tfx.components.evaluator import constants", "exports their classes"),
        ("from tensorflow_data_validation.statistics import stats_impl", "TFDV"),
        ("from pydantic._internal import _fields", "underscore"),
        ("from unittest import mock", "mocks"),
        ("import kfp\nkfp.Client()._experiment_api", "_experiment_api"),
        ("def f(layer):\n    return getattr(layer, '_generator', None)", "_generator"),
        ("import sys\nsys.modules['x'] = 1", "sys.modules"),
        ("from rich import console\nconsole.Console.print = None", "console.Console.print is replaced"),
        ("import click\nsetattr(click, 'echo', print)", "setattr of click"),
        (
            "import tf_keras\nclass A(tf_keras.Model):\n    def f(self):\n        return self._nested_inputs",
            "_nested_inputs",
        ),
    ],
)
def test_private_uses_are_found(source: str, found: str) -> None:
    (use,) = [use for _, use in private_uses(source)]
    assert found in use


@pytest.mark.parametrize(
    "source",
    [
        "import tensorflow as tf\nx = tf.keras.layers.Dense(1)\nx.trainable = False",
        "from tfx.orchestration import metadata\nfrom tfx.components.schema_gen.component import SchemaGen",
        "from tfx_bsl.public import tfxio",
        "class A:\n    def __init__(self):\n        self._x = 1\n    def add(self, b):\n        return b._x + self._x",
        "def f(result):\n    return result._replace(query='')",
        "import tensorflow_model_analysis as tfma\nfrom tensorflow_model_analysis.proto import config_pb2",
    ],
)
def test_public_uses_are_not(source: str) -> None:
    assert not list(private_uses(source))


@pytest.mark.slow
def test_private_parts_of_libraries_are_used_in_adapters_only() -> None:
    uses = [
        f"{path.relative_to(ROOT)}:{line}: {use}"
        for folder in FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
        if path.parent.name != "adapters"
        for line, use in private_uses(path.read_text())
        if use not in ALLOWED.get(str(path.relative_to(ROOT)), ())
    ]
    assert not uses, "move these to the adapter of the library, with a sentence on why, and a test in test_adapters.py"


def test_every_adapter_says_what_is_private() -> None:
    for path in sorted(ROOT.glob("*/adapters/*.py")):
        if path.name != "__init__.py":
            assert "Private: " in path.read_text(), path
