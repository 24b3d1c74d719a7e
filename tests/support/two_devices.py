"""Trains jobs on two logical CPU devices: `python -m tests.support.two_devices FOLDER`.

The folder holds pickled jobs by name, `NAME.job`. `NAME.json` receives the curves and the notes of a job, or its error.
A name that ends in `again` is interrupted and resumed. `results.json` receives the results of smaller computations.
"""

import json
import pickle
import sys
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from hubline.core.errors import UserError
from hubline.preprocessing.masks import LEFT_OUT
from hubline.trainer import devices
from hubline.trainer.callbacks import Progress
from hubline.trainer.checkpoints import Interval
from hubline.trainer.config.devices import Devices
from hubline.trainer.labels.pixels import Pixels
from hubline.trainer.replicas import share_of_loss
from hubline.trainer.train import Job, train
from hubline.trainer.training_notes import Note


def interrupted(job: Job, epoch: int) -> None:
    """Trains until the first batches of an epoch have been processed."""
    look, seconds = Progress.on_train_batch_end, Interval.EPOCH_SECONDS

    def interrupt(self: Progress, at: int, logs: Any = None) -> None:
        look(self, at, logs)
        if self._epoch == epoch:
            raise KeyboardInterrupt

    Interval.EPOCH_SECONDS, Progress.on_train_batch_end = 0.0, interrupt  # type: ignore[method-assign]
    try:
        train(job)
    except KeyboardInterrupt:
        return
    finally:
        Interval.EPOCH_SECONDS, Progress.on_train_batch_end = seconds, look  # type: ignore[method-assign]
    raise AssertionError("the training was not interrupted")


def main(folder: Path) -> None:
    """Trains the jobs, in order of their names."""
    devices.prepare(Devices(device="cpu", count=2))
    for path in sorted(folder.glob("*.job")):
        job = pickle.loads(path.read_bytes())
        if path.stem.endswith("again"):
            interrupted(job, 1)
        notes: list[Note] = []
        try:
            told = {"curves": train(job, notes), "notes": [str(note) for note in notes]}
        except UserError as error:
            told = {"error": str(error)}
        path.with_suffix(".json").write_text(json.dumps(told))
    outputs = np.random.default_rng(0).normal(size=[3, 2, 2, 4]).astype(np.float32)
    mask = np.full([3, 2, 2, 1], LEFT_OUT, np.uint8)
    mask[0], mask[1, 0], mask[2, 1, 1] = 1, 2, 0
    told = {"pixels": [outputs.tolist(), mask.tolist()], "pixels_loss": pixels_loss(outputs, mask)}
    (folder / "results.json").write_text(json.dumps(told))


def pixels_loss(outputs: np.ndarray, mask: np.ndarray) -> float:
    """The loss of label `pixels` for a batch that is split between the devices."""
    strategy = devices.strategy(Devices(device="cpu", count=2))
    of_batch = Pixels("abcd", "photo").loss()
    data = tf.data.Dataset.from_tensors((outputs, mask))
    ((given, target),) = strategy.experimental_distribute_dataset(data)

    def share(given: tf.Tensor, target: tf.Tensor) -> tf.Tensor:
        each = of_batch.call(target, given)
        of_keras = tf.math.divide_no_nan(tf.reduce_sum(each), tf.cast(tf.size(each), tf.float32)) / 2
        return share_of_loss(of_keras, [], tf.shape(given)[0])

    @tf.function(autograph=False)
    def shares() -> tf.Tensor:
        return strategy.run(share, args=(given, target))

    return float(strategy.reduce("SUM", shares(), axis=None))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
