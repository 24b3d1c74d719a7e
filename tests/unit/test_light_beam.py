"""The import of Beam without connectors that nothing uses."""

import subprocess
import sys

import pytest

LEFT_OUT = ("google.cloud.bigquery", "google.cloud.pubsub_v1", "azure.storage.blob", "httpx")


@pytest.mark.slow
def test_a_run_imports_no_connectors_and_a_users_code_can() -> None:
    program = f"""
import sys
import hubline.pipeline.local, hubline.components.evaluator.executor, hubline.components.embedder.executor
import apache_beam
print([name for name in {LEFT_OUT} if name in sys.modules])
assert apache_beam.io.ReadFromTFRecord and not hasattr(apache_beam.io, "ReadFromBigQuery")
from apache_beam.io.filesystem import FileSystem
print("GCSFileSystem" in [each.__name__ for each in FileSystem.__subclasses__()])
from apache_beam.io.gcp.bigquery import ReadFromBigQuery
print(ReadFromBigQuery.__name__)
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.split("\n")[:3] == ["[]", "True", "ReadFromBigQuery"]
