"""The package `tfx.components` imports TFX's components only when one is accessed."""

import subprocess
import sys

import pytest

ON_DEMAND = """
import sys
from hubline.pipeline.adapters import tfx
from tfx.components.schema_gen.component import SchemaGen
every = {"tfx.components.bulk_inferrer.component", "tfx.components.pusher.component"}
assert "tfx.orchestration.portable.launcher" in sys.modules
assert not every & set(sys.modules), every & set(sys.modules)
from tfx.components import Pusher, SchemaGen as the_same
assert the_same is SchemaGen and Pusher.__module__ == "tfx.components.pusher.component"
assert every <= set(sys.modules)
import tfx.components
assert tfx.components.StatisticsGen.__name__ == "StatisticsGen" and tfx.components.__file__.endswith("__init__.py")
try:
    tfx.components.Nothing
except AttributeError as error:
    print(error)
"""


@pytest.mark.slow
def test_tfx_components_are_imported_on_demand() -> None:
    done = subprocess.run([sys.executable, "-c", ON_DEMAND], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "module 'tfx.components' has no attribute 'Nothing'" in done.stdout
