"""The digits example in containers and here: python -m tests.containers IMAGE FOLDER PYTHON_WITH_KFP.

It compiles the example with the image, runs the package step by step, runs the same file on this machine, and fails
where the two pushed models do not answer alike.
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
"""Of a probability. The two may have other builds of TensorFlow, which add up in another order."""


def main(image: str, folder: Path, python_with_kfp: str) -> int:
    """0 where both runs push a model and the models answer alike."""
    package = folder / "package.yaml"
    in_containers, here = _files(folder)
    _call([*HUBLINE, "compile", in_containers, "-o", package, "--image", image, "--allow-tag"])
    began = time.time()
    _call([python_with_kfp, PROJECT / "tests" / "containers" / "run_package.py", package, folder])
    _say_times(folder / "artifacts", began)
    _call([*HUBLINE, "run", here, "--root", folder / "root"])
    return _compare(_answers(folder / "serving" / "1"), _answers(folder / "serving-here" / "1"))


def _files(folder: Path) -> tuple[Path, Path]:
    """The example's file twice, beside its data: as it is, on a volume, and with a serving folder of its own."""
    for name in ("data", "modules"):
        shutil.copytree(DIGITS / name, folder / name)
    for name in ("artifacts", "serving", "state"):
        (folder / name).mkdir()
        (folder / name).chmod(0o775)  # root's are of group 0, as is the user of the containers
    text = (DIGITS / "pipeline.yaml").read_text()
    assert "{destination: serving}" in text
    in_containers, here = folder / "pipeline.yaml", folder / "here.yaml"
    in_containers.write_text(text + ON_A_VOLUME.format(folder=folder))
    here.write_text(text.replace("{destination: serving}", "{destination: serving-here}"))
    return in_containers, here


def _call(command: list[object]) -> None:
    subprocess.run([str(each) for each in command], cwd=PROJECT, check=True)


def _say_times(artifacts: Path, began: float) -> None:
    """The seconds of each step, which run one after the other, with the start and the end of its container."""
    ended = sorted((path.stat().st_mtime, path.parent.name) for path in artifacts.glob("*/*/executor_output.json"))
    for end, step in ended:
        print(f"{step:20} {end - began:6.1f} s")
        began = end


def _answers(model: Path) -> np.ndarray:
    """What a model says about every record, probabilities of shape [records, classes]."""
    files = sorted(map(str, (DIGITS / "data").glob("*.tfrecord.gz")))
    records = list(tf.data.TFRecordDataset(files, "GZIP").as_numpy_iterator())
    answer = tf.saved_model.load(str(model)).signatures["serving_default"](examples=tf.constant(records))
    return answer["scores"].numpy()


def _compare(in_containers: np.ndarray, here: np.ndarray) -> int:
    apart = float(np.abs(in_containers - here).max())
    others = int((in_containers.argmax(-1) != here.argmax(-1)).sum())
    print(json.dumps({"records": len(here), "largest difference of a score": apart, "other classes": others}))
    if not apart <= TOLERANCE or others:  # NaN is not alike either
        print(
            "test-containers: the model from the containers and the one from here answer differently", file=sys.stderr
        )
        return 1
    print("test-containers: the model from the containers answers as the one from here")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1], Path(sys.argv[2]), sys.argv[3]))
