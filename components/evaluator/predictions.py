"""Predictions of the candidate and the serving model for every test example, stored as tf.Examples."""

from collections import defaultdict
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import cache, cached_property
from typing import Any

import tensorflow as tf

from hubline.artifacts.predictions import CANDIDATE, MASK, RECORD, encoded
from hubline.components.evaluator.constants import TrainingSplit
from hubline.components.evaluator.exported_model import ExportedModel, Scale, faults_of_serving, verified
from hubline.components.evaluator.labels.parts import EVALUATION
from hubline.components.evaluator.labels.reader import Facts, Reader
from hubline.components.evaluator.test_split import TestSplit
from hubline.components.spread.stage import Report
from hubline.core import storage
from hubline.core.config_base import Section
from hubline.core.errors import RunError
from hubline.core.float64 import GREATEST
from hubline.preprocessing.columns import ParsingSpec
from hubline.preprocessing.config import Label
from hubline.preprocessing.examples import encode, keep
from hubline.trainer.counts import holding
from hubline.trainer.tfrecord_writer import writing

PREDICTIONS, MASKS, SEEN = "predictions", "masks", "seen.json"
"""Files of a shard: predictions, the candidate's masks in the same order (for segmentation), and a `Seen`."""


class Seen(Section):
    """What notes on a shard need besides its predictions."""

    sums: dict[str, float]
    """The sums of `Reader.seen`, by model."""


@dataclass(frozen=True)
class PredictionTask:
    """A shard of the test split."""

    split: TestSplit
    key: str
    """Key of the predictions in the shard cache."""
    reads_records: bool
    """Whether a model predicts on records; otherwise all predict on rows."""

    @property
    def name(self) -> str:
        """Path of the records."""
        return self.split.records[0]

    @property
    def count(self) -> int:
        """Number of rows."""
        return self.split.count

    @property
    def size(self) -> int:
        """Bytes of what the models read."""
        (path,) = self.split.records if self.reads_records else self.split.rows
        return storage.stat(path).size


@dataclass(frozen=True)
class PredictShard:
    """Predicts on a shard, and writes predictions next to labels.

    A model predicts on rows if its head can use their cached vectors, otherwise on records.
    """

    paths: Mapping[str, str]
    """The exported models by the column for their predictions."""
    heads: tuple[str, ...]
    """Names of the models whose head is used."""
    label: Label
    label_spec: ParsingSpec
    """Parsing spec of the label's columns."""
    facts: Facts
    columns: tuple[str, ...]
    """Columns to copy from the records, for slicing."""
    opened: Mapping[str, ExportedModel] = field(default_factory=dict, compare=False, repr=False)
    """The models, in the process that has verified them. Other processes load them."""

    def __getstate__(self) -> dict[str, Any]:
        """Without the models."""
        return {each: vars(self)[each] for each in self.__dataclass_fields__ if each != "opened"} | {"opened": {}}

    @cached_property
    def reader(self) -> Reader:
        """The reader of the label."""
        return EVALUATION.of(self.label.kind).reader(self.label, self.label_spec, self.facts)

    @cached_property
    def _models(self) -> Mapping[str, ExportedModel]:
        models = dict(self.opened)
        for name, path in self.paths.items():
            if name not in models:
                with faults_of_serving(name):
                    models[name] = ExportedModel(path, name in self.heads)
        return models

    def __call__(self, task: PredictionTask, folder: str, report: Report) -> None:
        """Fills an entry of the cache.

        Raises:
            RunError: if predictions are not finite.
            ServingModelError: if the serving version cannot be compared with.
            DamageError: if the shard lacks records or rows.
        """
        masks = f"{folder}/{MASKS}" if self.label.masks else None
        with holding({"test": task.split}):
            sums = self._predict(task.split, f"{folder}/{PREDICTIONS}", masks, report)
        storage.write_bytes(f"{folder}/{SEEN}", Seen(sums=sums).to_property().encode())

    def _predict(self, split: TestSplit, output: str, masks: str | None, report: Report) -> dict[str, float]:
        models, reader = self._models, self.reader
        rows_only = all(model.answers_rows for model in models.values())
        seen: dict[str, float] = defaultdict(float)
        # Masks are written without a queue: with two TensorFlow threads, two queued writers would deadlock.
        with writing(output) as write, tf.io.TFRecordWriter(masks) if masks else nullcontext() as masks_file:
            for (numbers, rows), records in split.batches(rows_only):
                outputs = {}
                for name, model in models.items():
                    with faults_of_serving(name):
                        outputs[name] = model.answer(rows if model.answers_rows else records)
                known = {RECORD: numbers[:, tf.newaxis]} | reader.compared(records, rows, outputs)
                for name, model in models.items():
                    with faults_of_serving(name):
                        _check_finite(model, known[name], numbers)
                write(tf.strings.join([keep(rows, list(self.columns)), encoded(known)]))
                pngs = reader.masks(outputs)
                if masks_file and pngs is not None:
                    for png in encode({MASK: pngs[:, tf.newaxis]}).numpy():
                        masks_file.write(png)
                for name, value in reader.seen(outputs).items():
                    seen[name] += value
                report(len(numbers))
        return dict(seen)


def predictor(
    split: TestSplit,
    training: TrainingSplit,
    paths: Mapping[str, str],
    label: Label,
    label_spec: ParsingSpec,
    columns: tuple[str, ...],
) -> PredictShard:
    """Loads and verifies the models, and finds what depends on all records.

    Args:
        split: The test split.
        training: The training split, for the scale of the label.
        paths: As in `PredictShard`.
        label: The label.
        label_spec: As in `PredictShard`.
        columns: As in `PredictShard`.

    Raises:
        RunError: if the candidate's predictions on rows and on records differ.
        UserError: if the candidate lacks an output that the label requires.
        ServingModelError: if the serving version cannot be compared with.
    """
    evaluation = EVALUATION.of(label.kind)
    reader = evaluation.reader

    @cache
    def scale() -> Scale:
        return evaluation.scale(label, label_spec, training)

    models = {}
    for name, path in paths.items():
        with faults_of_serving(name):
            models[name] = verified(path, split, reader.answers, reader.kept, scale, name == CANDIDATE)
    return PredictShard(
        paths=dict(paths),
        heads=tuple(name for name, model in models.items() if model.answers_rows),
        label=label,
        label_spec=label_spec,
        facts=reader.survey(label, label_spec, split, models),
        columns=columns,
        opened=models,
    )


def _check_finite(model: ExportedModel, predictions: tf.Tensor, numbers: tf.Tensor) -> None:
    if not predictions.dtype.is_floating:
        return
    wrong = ~tf.reduce_all(tf.abs(predictions) <= GREATEST, axis=1)
    if tf.reduce_any(wrong):
        raise RunError(
            f"{model.path}: the prediction for record {int(numbers[wrong][0])} of the test split (starting at 0) "
            f"is not finite, or exceeds {GREATEST:.2g}; normalize features with very large values"
        )
