"""Finds the cause of a loss that is not finite."""

from collections.abc import Callable, Iterator, Mapping

import numpy as np
import tensorflow as tf

from hubline.core.errors import DataError, RunError
from hubline.core.shard_dataset import read_file
from hubline.preprocessing.labels.label import LABEL
from hubline.trainer import inputs
from hubline.trainer.config.schedules import highest
from hubline.trainer.datasets import batches, parse_of
from hubline.trainer.embeddings import column
from hubline.trainer.job import Job, Split
from hubline.trainer.model import Parts
from hubline.trainer.non_finite import are_finite, not_finite
from hubline.trainer.phases import Phase
from hubline.trainer.task import Task


def cause(job: Job, task: Task, parts: Parts, transform: Callable, phase: Phase, split: Split, what: str) -> RunError:
    """The exception to raise if a computed value is not finite. It names the first record that explains the value, if
    there is one.

    Args:
        job: The training run.
        task: The model's task.
        parts: The model at that time.
        transform: The transform graph.
        phase: The phase of training.
        split: The split that the value was computed from.
        what: The value that is not finite, for the message.
    """
    of = "training" if split is job.train else "validation"
    greatest = (0.0, "")
    for place, given, values in _given(job, task, parts, transform, phase, split):
        fine = are_finite(values).numpy()
        if not fine.all():
            record = f"{place(int(fine.argmin()))} of the {of} split"
            return DataError(f"{what}: {_described(job, record, given, values.numpy()[~fine][0])}")
        greatest = max(greatest, (float(tf.reduce_max(tf.abs(values))) if tf.size(values) else 0.0, given))
    rate = highest(job.training.optimizer.learning_rate)
    return RunError(
        f"{what}; the label, the features and the hub module outputs are finite (the largest absolute value is "
        f"{greatest[0]:.4g}, in {greatest[1]}); try a learning rate below {rate:g}"
    )


def _described(job: Job, record: str, given: str, values: np.ndarray) -> str:
    if given in job.hubs:
        return str(not_finite(given, job.hubs[given].output, values, record))
    what = "the label" if given == LABEL else f"'{given}'"
    return f"{record}: {what} is not finite: {values}"


def _given(
    job: Job, task: Task, parts: Parts, transform: Callable, phase: Phase, split: Split
) -> Iterator[tuple[Callable[[int], str], str, tf.Tensor]]:
    """All float tensors computed from a split, in order: a function that names the record at an index of the batch, the
    name of the tensor, and its values, [batch, ...]."""
    if not job.label.masks:  # rows hold no masks
        yield from _of_rows(job, task, transform, phase, split)
    if not phase.on_vectors:
        yield from _of_modules(job, task, parts, transform, phase, split)


def _of_rows(
    job: Job, task: Task, transform: Callable, phase: Phase, split: Split
) -> Iterator[tuple[Callable[[int], str], str, tf.Tensor]]:
    parse, _ = parse_of(job, task, transform, split, phase)
    hubs = {column(name): name for name in job.hubs}
    features = {given: name for name, feature in job.features.items() for given in feature.inputs(name)}
    for file in split.rows:
        for number, rows in enumerate(read_file(tf.constant(file)).batch(inputs.PARSED_AT_ONCE)):
            given, target = parse(rows)
            first = number * inputs.PARSED_AT_ONCE

            def place(at: int, first: int = first, file: str = file) -> str:
                return f"record {first + at} (counted from 0) in {file}"

            for name, values in {LABEL: target, **given}.items():
                if isinstance(values, tf.Tensor) and values.dtype.is_floating:
                    yield place, hubs.get(name) or features.get(name, name), values


def _of_modules(
    job: Job, task: Task, parts: Parts, transform: Callable, phase: Phase, split: Split
) -> Iterator[tuple[Callable[[int], str], str, tf.Tensor]]:
    data = batches(job, task, transform, split, "", phase, epoch=None)
    seen = 0
    for given, target in data:
        first = seen

        def place(at: int, first: int = first) -> str:
            return f"record {first + at} (counted from 0 over the records that decode)"

        seen += int(tf.shape(target)[0])
        for name, backbone in parts.backbones.items():
            vectors = backbone(given)
            for values in vectors.values() if isinstance(vectors, Mapping) else [vectors]:
                yield place, name, values
