"""Runs the digits example in containers and locally: python -m tests.containers IMAGE FOLDER PYTHON_WITH_KFP.

Compiles the example with the image, runs the package step by step, runs the same file on this machine, and fails if the
predictions of the two pushed models differ.
"""

import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import tensorflow as tf

PROJECT = Path(__file__).parents[2]
DIGITS = PROJECT / "examples" / "digits"
HUBLINE = [sys.executable, "-m", "hubline.pipeline.cli"]
ON_A_VOLUME = """
kubeflow:
  state: {folder}/state
  every_step: {{volumes: [{{claim: work, path: {folder}}}]}}
"""
TOLERANCE = 1e-4
"""Tolerance for probabilities. The two may use different builds of TensorFlow, which sum in different orders."""


def main(image: str, folder: Path, python_with_kfp: str) -> int:
    """Returns 0 if both runs push a model and the predictions agree."""
    package = folder / "package.yaml"
    in_containers, here = _files(folder)
    _call([*HUBLINE, "compile", in_containers, "-o", package, "--image", image, "--allow-tag"])
    began = time.time()
    _call([python_with_kfp, PROJECT / "tests" / "containers" / "run_package.py", package, folder])
    _say_times(folder / "artifacts", began)
    _call([*HUBLINE, "run", here, "--root", folder / "root"])
    return _compare(_answers(folder / "serving" / "1"), _answers(folder / "serving-here" / "1"))


def _files(folder: Path) -> tuple[Path, Path]:
    """Two copies of the example's file next to its data: unchanged on a volume, and with its own serving folder."""
    for name in ("data", "modules"):
        shutil.copytree(DIGITS / name, folder / name)
    for name in ("artifacts", "serving", "state"):
        (folder / name).mkdir()
        (folder / name).chmod(0o775)  # root is in group 0, as is the user of the containers
    text = (DIGITS / "pipeline.yaml").read_text()
    assert "{destination: serving}" in text
    in_containers, here = folder / "pipeline.yaml", folder / "here.yaml"
    in_containers.write_text(text + ON_A_VOLUME.format(folder=folder))
    here.write_text(text.replace("{destination: serving}", "{destination: serving-here}"))
    return in_containers, here


def _call(command: list[object]) -> None:
    subprocess.run([str(each) for each in command], cwd=PROJECT, check=True)


def _say_times(artifacts: Path, began: float) -> None:
    """Prints the seconds of each step, which run one after another, and the start and end of its container."""
    ended = sorted((path.stat().st_mtime, path.parent.name) for path in artifacts.glob("*/*/executor_output.json"))
    for end, step in ended:
        print(f"{step:20} {end - began:6.1f} s")
        began = end


def _answers(model: Path) -> np.ndarray:
    """A model's predictions for every record, probabilities [records, classes]."""
    files = sorted(map(str, (DIGITS / "data").glob("*.tfrecord.gz")))
    records = list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
    answer = tf.saved_model.load(str(model)).signatures["serving_default"](examples=tf.constant(records))
    return answer["scores"].numpy()


def _compare(in_containers: np.ndarray, here: np.ndarray) -> int:
    apart = float(np.abs(in_containers - here).max())
    others = int((in_containers.argmax(-1) != here.argmax(-1)).sum())
    print(json.dumps({"records": len(here), "largest difference of a score": apart, "other classes": others}))
    if not apart <= TOLERANCE or others:  # also fails on NaN
        print(
            "test-containers: the model from the containers and the one from here answer differently", file=sys.stderr
        )
        return 1
    print("test-containers: the model from the containers answers as the one from here")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
