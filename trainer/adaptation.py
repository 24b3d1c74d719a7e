"""Adapts the standardization of module outputs to the training split, before training."""

import dataclasses
from collections.abc import Callable, Collection, Iterator, Mapping

import numpy as np
import tensorflow as tf

from hubline.core.errors import DataError
from hubline.trainer import inputs, standardize
from hubline.trainer.datasets import batches, kept_vectors
from hubline.trainer.job import Job
from hubline.trainer.memo import NoMemo
from hubline.trainer.model import Parts
from hubline.trainer.nan_trace import cause
from hubline.trainer.phases import Phase
from hubline.trainer.task import Task

_SAMPLE = 1024
"""Examples of the training split that are used if no vectors are cached."""


def adapt_to(
    job: Job, task: Task, parts: Parts, transform: Callable, first: Phase, known: Collection[str] = ()
) -> None:
    """Adapts the standardization layers to the cached vectors of the training split, or to a sample of it.

    Args:
        job: The training run.
        task: The model's task.
        parts: The model, whose layers are adapted.
        transform: The transform graph.
        first: The first phase, in which no module has changed yet.
        known: Names of variables with values from a warm start, which stay as they are.

    Raises:
        DataError: if a module output is not finite.
    """
    layers = {
        name: layer
        for name, layer in parts.standardized.items()
        if not any(variable.startswith(f"{layer.name}/") for variable in known)
    }

    def adapted() -> dict[str, list[np.ndarray]]:
        data = kept_vectors(job) if first.on_vectors else _sample(job, task, parts, transform, first)
        (one, *_) = parts.backbones.values()
        points = {name: parts.backbones.get(name, one).points for name in layers}
        try:
            standardize.adapt(layers, points, data)
        except DataError as error:
            raise cause(job, task, parts, transform, first, job.train, str(error)) from None
        return {name: layer.get_weights() for name, layer in layers.items()}

    if layers:
        memo = job.memo if first.on_vectors else NoMemo()
        weights = memo.once(("standardized", *layers), adapted)
        for name, layer in layers.items():
            layer.set_weights(weights[name])


def _sample(job: Job, task: Task, parts: Parts, transform: Callable, phase: Phase) -> Iterator[Mapping[str, tf.Tensor]]:
    """Module outputs for a seeded random sample of the training split, without augmentation."""
    unchanged = job.training.model_copy(update={"augment": (), "cache_views": None})
    job = dataclasses.replace(job, training=unchanged)
    data = batches(job, task, transform, job.train, "", dataclasses.replace(phase, first=0, end=1))

    @tf.function(reduce_retracing=True)
    def run(given: inputs.Tensors) -> dict[str, tf.Tensor]:
        found = {name: backbone(given, training=False) for name, backbone in parts.backbones.items()}
        (one, *_) = found.values()
        return dict(one) if isinstance(one, Mapping) else found

    for given, _ in data.take(-(-_SAMPLE // job.training.batch_size)):
        yield run(given)
