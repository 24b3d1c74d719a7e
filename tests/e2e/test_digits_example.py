"""The digits example, as its README has users run it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hubline.pipeline.result import Result
from tests.support.project import HUBLINE, PROJECT

pytestmark = pytest.mark.slow


@pytest.mark.both_stacks
def test_the_digits_example_from_data_to_a_model_that_answers(tmp_path: Path) -> None:
    """Does what `make run` does, on a copy, and loads the pushed model with plain TensorFlow."""
    example = tmp_path / "digits"
    example.mkdir()
    for name in ("make_data.py", "pipeline.yaml"):
        (example / name).write_bytes((PROJECT / "examples" / "digits" / name).read_bytes())
    environment = os.environ | {"PYTHONPATH": str(PROJECT)}
    subprocess.run([sys.executable, str(example / "make_data.py")], check=True, env=environment)
    done = subprocess.run(
        [*HUBLINE, "run", str(example / "pipeline.yaml"), "--json"], capture_output=True, text=True, cwd=PROJECT
    )
    assert done.returncode == 0, done.stdout
    result = Result.model_validate_json(done.stdout.splitlines()[-1])
    assert result.blessed and result.metrics["accuracy"] >= 0.95

    samples = sorted(str(sample) for sample in (example / "data").glob("sample-*.png"))
    program = f"""
import json, sys
import tensorflow as tf
model = tf.saved_model.load({result.pushed_model!r})
images = [tf.io.read_file(path) for path in {samples!r}]
answer = model.signatures["predict"](image=tf.stack(images))
assert not {{"trainer", "preprocessing", "tfx", "tensorflow_hub"}} & set(sys.modules)
print(json.dumps([label.decode() for label in answer["label"].numpy()]))
"""
    bare = {key: value for key, value in os.environ.items() if key != "TF_USE_LEGACY_KERAS"}
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=tmp_path, env=bare)
    assert said.returncode == 0, said.stderr
    names = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]
    truth = [names[int(sample.removesuffix(".png")[-1])] for sample in samples]
    assert json.loads(said.stdout.splitlines()[-1]) == truth
