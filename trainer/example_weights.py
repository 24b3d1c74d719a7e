"""Weights of examples in the loss: of a column of the records, and in training also of their classes."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from hubline.core.errors import DataError, UserError
from hubline.core.shard_dataset import read_records
from hubline.preprocessing.columns import ParsingSpec, parsing_spec
from hubline.trainer.class_weights import ClassWeighting, balanced
from hubline.trainer.counts import complete
from hubline.trainer.inputs import WEIGHT, Parse, Tensors, parsing
from hubline.trainer.job import Job, Split
from hubline.trainer.labels.parts import TRAINING
from hubline.trainer.task import Task
from hubline.trainer.training_notes import Note

_LOGGER = logging.getLogger(__name__)
_BATCH = 1024


@dataclass(frozen=True)
class ExampleWeights:
    """The weights of a training run. Without a column and a table, all examples count the same."""

    column: ParsingSpec
    """Parsing spec of the column of weights; empty if there is none."""
    classes: ClassWeighting | None = None
    table: np.ndarray | None = None
    """Weights of the classes."""

    def weighted(self, data: tf.data.Dataset, is_training: bool) -> tf.data.Dataset:
        """Adds the weight of each example to batches of inputs and targets, as Keras reads it: float32 [batch], or
        [batch, classes]. The loss of validation is weighted by the column alone."""
        table = self.table if is_training else None
        if not self.column and table is None:
            return data

        def add(inputs: Tensors, target: tf.Tensor) -> tuple[Tensors, tf.Tensor, tf.Tensor]:
            inputs = dict(inputs)
            of_record = inputs.pop(WEIGHT) if self.column else None
            if table is None or self.classes is None:
                return inputs, target, of_record
            of_class = self.classes.weights(target, tf.constant(table))
            if of_record is None:
                return inputs, target, of_class
            return inputs, target, of_class * tf.reshape(of_record, [-1] + [1] * (of_class.shape.rank - 1))

        return data.map(add)

    def loss(self, loss: tf.keras.losses.Loss) -> tf.keras.losses.Loss:
        """The loss that accepts the weights."""
        return self.classes.loss(loss) if self.classes is not None else loss


def column_spec(job: Job) -> ParsingSpec:
    """Parsing spec of the column of weights; empty without `training.sample_weight`."""
    return parsing_spec(job.schema, [job.training.sample_weight] if job.training.sample_weight else [])


def example_weights(job: Job, task: Task, transform: Callable, notes: list[Note]) -> ExampleWeights:
    """The weights of a training run. Reads the rows once if a weight depends on them, and notes what was found.

    Raises:
        UserError: if a class that has a weight doesn't exist.
        DataError: if all weights of a split are 0.
    """
    column, given = column_spec(job), job.training.class_weights
    weighting = TRAINING.of(job.label.kind).class_weighting
    classes = weighting(job.label.class_names(job.transform)) if given is not None and weighting else None
    if classes is None and not column:
        return ExampleWeights(column)
    if classes is not None and isinstance(given, dict):
        _refuse_unknown(given, classes.names)
    parse = parsing(job.label_spec, transform, target=task.target, weight=column)
    counts, of_training = _survey(parse, job.train, classes)
    if column:
        _, of_validation = _survey(parse, job.validation, None)
        for name, found in (("training", of_training), ("validation", of_validation)):
            if not found.sum():
                raise DataError(
                    f"every '{job.training.sample_weight}', the sample weight, of the {name} split is 0; at least one "
                    "record must have a larger weight"
                )
        _note(notes, _of_column(str(job.training.sample_weight), of_training))
    if classes is None:
        return ExampleWeights(column)
    table = classes.table(given) if isinstance(given, dict) else balanced(counts)
    how = "balanced class weights" if given == "balanced" else "class weights"
    _note(notes, f"{how} in the training loss: {classes.described(table, counts)}")
    return ExampleWeights(column, classes, table)


def _survey(parse: Parse, split: Split, classes: ClassWeighting | None) -> tuple[np.ndarray, np.ndarray]:
    """The table of records by outcome, and the weights of the column."""
    counts: np.ndarray = np.zeros(1, np.int64)
    weights = [np.zeros(0, np.float32)]
    for rows in complete(read_records(split.rows), split.count).batch(_BATCH).prefetch(1):
        given, target = parse(rows)
        if WEIGHT in given:
            weights.append(given[WEIGHT].numpy())
        if classes is not None:
            counts = counts + classes.counts(target).numpy()
    return counts, np.concatenate(weights)


def _refuse_unknown(given: dict[str, float], names: list[str]) -> None:
    unknown = [name for name in given if name not in names]
    if unknown:
        raise UserError(
            f"training.class_weights has a weight for '{unknown[0]}', which is no class of the training split; the "
            f"classes are: {', '.join(names)}"
        )


def _of_column(column: str, weights: np.ndarray) -> str:
    none = int((weights == 0).sum())
    without = f"; {none:,} of {len(weights):,} are 0" if none else ""
    return (
        f"the loss is weighted by the column '{column}': {weights.min():.4g} to {weights.max():.4g} in the training "
        f"split, {weights.mean(dtype=np.float64):.4g} on average{without}"
    )


def _note(notes: list[Note], text: str) -> None:
    notes.append(Note(kind="weights", text=text))
    _LOGGER.info("%s", text)
