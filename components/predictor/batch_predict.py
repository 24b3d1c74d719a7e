"""Predicts on shards in parallel with Beam, and assembles the results."""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import apache_beam as beam
import numpy as np
import tensorflow as tf

from hubline.components.predictor.evaluation import GroundTruth
from hubline.components.predictor.inputs import InputChunk
from hubline.components.predictor.model import Answer, ModelSpec, opened
from hubline.components.predictor.pictures import drawn, overlaid, png
from hubline.components.predictor.predict import BadItem, BadPolicy, Prediction, predictions
from hubline.core import json_text, storage
from hubline.core.config_base import Section
from hubline.core.errors import DataError, UserError
from hubline.core.progress import report
from hubline.core.shard_cache import ShardCache
from hubline.trainer.task import MASK

Format = Literal["jsonl", "tfrecord"]

BAD = "bad.jsonl"
"""Items that could not be predicted on, one JSON object per line; written only if there are any."""
PICTURES, DRAWN = "pictures", "drawn"
"""Folders of image outputs, and of input images with the detected boxes drawn."""
_TELL_EVERY = 0.2  # seconds
_PREDICTIONS, _MADE = "predictions", "made.json"


class PredictionSummary(Section):
    """Summary of the predictions on one shard, or on all."""

    predicted: int
    bad: int
    ranks: tuple[int, ...] = ()
    """If labels are known: number of records whose class ranks first, second, … among the predicted classes."""


@dataclass(frozen=True)
class PredictionJob:
    """How to predict on a shard; the same for every shard."""

    model_spec: ModelSpec
    form: Format = "jsonl"
    batch_size: int = 64
    key: str | None = None
    bad: BadPolicy = "fail"
    draw: bool = False
    """Whether to draw detections into the images."""
    truth: GroundTruth | None = None
    """Column with the known class, if records have one."""


@dataclass(frozen=True)
class Task:
    """A shard, and the key of its result in the cache."""

    shard: tuple[InputChunk, ...]
    key: str

    @property
    def count(self) -> int:
        """Number of items."""
        return sum(piece.count or 0 for piece in self.shard)


def predict_shards(
    work: PredictionJob,
    tasks: Sequence[Task],
    store: ShardCache,
    complaints: str,
    pipeline: Callable[[Sequence[Task]], Any],
) -> list[PredictionSummary]:
    """Predicts on every shard whose result is not cached yet.

    Args:
        work: How to predict.
        tasks: The shards.
        store: Cache for the results.
        complaints: Folder in which failing workers leave their error messages.
        pipeline: Creates a Beam pipeline for the tasks that are left.

    Raises:
        DataError: if an item is bad and `work.bad` is "fail".
    """
    missing = [task for task in tasks if store.find(task.key) is None]
    if missing:
        predict = _Predict(work, store, complaints, sum(task.count for task in missing))
        try:
            with pipeline(missing) as steps:
                (
                    steps
                    | "Shards" >> beam.Create(missing)
                    | "Spread" >> beam.Reshuffle()
                    | "Predict" >> beam.ParDo(predict)
                )
        except Exception as error:
            # Beam runners wrap exceptions of workers, and some pass on nothing but their own text.
            for name in storage.names(complaints):
                raise DataError(_text(f"{complaints}/{name}")) from error
            raise
    return [PredictionSummary.model_validate_json(_text(f"{store.find(task.key)}/{_MADE}")) for task in tasks]


class _Predict(beam.DoFn):
    """Predicts on one shard and caches the result."""

    def __init__(self, work: PredictionJob, store: ShardCache, complaints: str, total: int) -> None:
        self._work = work
        self._store = store
        self._complaints = complaints
        self._total = total
        self._done, self._told = 0, 0.0

    def process(self, task: Task) -> Iterator[str]:
        try:
            with self._store.making(task.key) as folder:
                _predict(self._work, task.shard, folder, self._report)
        except UserError as error:
            storage.write_bytes(f"{self._complaints}/{task.key}", str(error).encode())
            raise
        yield task.key

    def _report(self) -> None:
        self._done += 1
        now = time.monotonic()
        if now - self._told > _TELL_EVERY:
            self._told = now
            report(self._done, self._total, "predictions")


def _predict(work: PredictionJob, shard: Sequence[InputChunk], folder: str, done: Callable[[], None]) -> None:
    bad: list[BadItem] = []

    def on_bad_item(one: BadItem) -> None:
        bad.append(one)
        done()

    predicted = 0
    ranks = [0] * (work.truth.top if work.truth else 0)
    with _writing(f"{folder}/{_PREDICTIONS}", work.form) as write:
        for prediction in predictions(opened(work.model_spec), shard, work.batch_size, work.key, work.bad, on_bad_item):
            write(prediction, write_pictures(work, prediction, folder))
            predicted += 1
            if work.truth and (rank := work.truth.rank(prediction)) is not None:
                ranks[rank] += 1
            done()
    if bad:
        storage.write_bytes(f"{folder}/{BAD}", "".join(f"{one.model_dump_json()}\n" for one in bad).encode())
    made = PredictionSummary(predicted=predicted, bad=len(bad), ranks=tuple(ranks))
    storage.write_bytes(f"{folder}/{_MADE}", made.to_property().encode())


def write_pictures(work: PredictionJob, prediction: Prediction, folder: str) -> dict[str, str]:
    """Writes a prediction's image outputs; returns the path of each, relative to the folder of predictions, by
    output."""
    answer, paths = prediction.answer, {}
    for output, pixels in answer.pictures.items():
        more = f"-{output.replace('/', '_')}" if len(answer.pictures) > 1 else ""
        paths[output] = f"{PICTURES}/{prediction.item.name}{more}.png"
        storage.write_bytes(f"{folder}/{paths[output]}", png(pixels))
    if work.draw and answer.image is not None:
        storage.write_bytes(f"{folder}/{DRAWN}/{prediction.item.name}.png", _drawn(answer))
    return paths


def _drawn(answer: Answer) -> bytes:
    """The image with its detections drawn, or its mask overlaid."""
    assert answer.image is not None
    if answer.covers is not None:
        return overlaid(answer.image, answer.pictures[MASK], answer.covers)
    return drawn(answer.image, answer.found)


@contextmanager
def _writing(path: str, form: Format) -> Iterator[Callable[[Prediction, dict[str, str]], object]]:
    """Opens a file of predictions; yields a function that writes one prediction and its image paths by output."""
    if form == "tfrecord":
        with tf.io.TFRecordWriter(path) as records:
            yield lambda prediction, paths: records.write(as_example(prediction, paths))
    else:
        with Path(path).open("w", encoding="utf-8") as lines:
            yield lambda prediction, paths: lines.write(f"{json_text.dumps(prediction.row | paths)}\n")


def as_example(prediction: Prediction, paths: dict[str, str]) -> bytes:
    """Serializes a prediction as tf.Example: `input`, `record`, `key`, and one column per output."""
    item = prediction.item
    columns: dict[str, Any] = {"input": item.input, "record": item.record} | prediction.key
    columns |= dict(prediction.answer.columns) | paths
    features = {name: _feature(_flat(value)) for name, value in columns.items() if value is not None}
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def _flat(value: Any) -> np.ndarray:
    if isinstance(value, np.ndarray) and value.dtype == object and any(isinstance(one, list) for one in value.flat):
        value = tf.nest.flatten(value.tolist())  # a ragged output
    if isinstance(value, np.ndarray):
        return value.reshape(-1)
    values = value if isinstance(value, list) else [value]
    are_numbers = all(isinstance(one, int | float) for one in values)
    # A numpy string array would drop trailing zero bytes.
    return np.array(values) if are_numbers else np.array([_bytes_of(one) for one in values], object)


def _bytes_of(value: Any) -> bytes:
    return value if isinstance(value, bytes) else (value if isinstance(value, str) else json_text.dumps(value)).encode()


def _feature(values: np.ndarray) -> tf.train.Feature:
    if values.dtype.kind == "f":
        return tf.train.Feature(float_list=tf.train.FloatList(value=values.astype(np.float32)))
    if values.dtype.kind in "iub":
        return tf.train.Feature(int64_list=tf.train.Int64List(value=values.astype(np.int64)))
    return tf.train.Feature(bytes_list=tf.train.BytesList(value=map(_bytes_of, values.tolist())))


def assemble(
    tasks: Sequence[Task], made: Sequence[PredictionSummary], store: ShardCache, folder: str, form: Format
) -> list[str]:
    """Puts the results of all shards into a folder: predictions (one file per shard that has any), bad items, images.

    Returns:
        Names of the prediction files; sorted, they follow the order of the items.
    """
    predicted = [task for task, one in zip(tasks, made, strict=True) if one.predicted]
    names = {
        task: f"{_PREDICTIONS}-{number:05d}-of-{len(predicted):05d}.{form}" for number, task in enumerate(predicted)
    }
    bad = b""
    for task in tasks:
        kept = store.find(task.key)
        for path in storage.files_below(f"{kept}"):
            if path == BAD:
                bad += _bytes(f"{kept}/{path}")
            elif path == _PREDICTIONS and task in names:
                storage.link(f"{kept}/{path}", f"{folder}/{names[task]}")
            elif "/" in path:
                storage.link(f"{kept}/{path}", f"{folder}/{path}")
    if bad:
        storage.write_bytes(f"{folder}/{BAD}", bad)
    return list(names.values())


def _bytes(path: str) -> bytes:
    with storage.open_binary(path) as file:
        return file.read()


def _text(path: str) -> str:
    return _bytes(path).decode()
