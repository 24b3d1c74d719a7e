"""Predicts on shards, and assembles the results."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import tensorflow as tf

from hubline.components.predictor.evaluation import GroundTruth
from hubline.components.predictor.inputs import InputChunk
from hubline.components.predictor.model import Answer, ModelSpec, opened
from hubline.components.predictor.pictures import drawn, overlaid, png
from hubline.components.predictor.predict import BadItem, BadPolicy, Prediction, predictions
from hubline.components.spread.stage import Report, Stage
from hubline.components.spread.weights import PREDICTED
from hubline.core import json_text, storage
from hubline.core.concurrency import in_order
from hubline.core.config_base import Section
from hubline.core.shard_cache import ShardCache
from hubline.trainer.task import MASK

Format = Literal["jsonl", "tfrecord"]

BAD = "bad.jsonl"
"""Items that could not be predicted on, one JSON object per line; written only if there are any."""
PICTURES, DRAWN = "pictures", "drawn"
"""Folders of image outputs, and of input images with the detected boxes drawn."""
_PREDICTIONS, _MADE = "predictions", "made.json"


class PredictionSummary(Section):
    """Summary of the predictions on one shard, or on all."""

    predicted: int
    bad: int
    ranks: tuple[int, ...] = ()
    """If labels are known: number of records whose class ranks first, second, … among the predicted classes."""


@dataclass(frozen=True)
class Task:
    """A shard, and the key of its result in the cache."""

    shard: tuple[InputChunk, ...]
    key: str
    parts: int = 1
    """Number of shards that a file of this one is divided into."""

    @property
    def name(self) -> str:
        """The first file."""
        return next((piece.path for piece in self.shard), "a shard without records")

    @property
    def count(self) -> int:
        """Number of items."""
        return sum(piece.count or 0 for piece in self.shard)

    @property
    def size(self) -> int:
        """Bytes of the shard."""
        return sum(storage.stat(path).size for path in {piece.path for piece in self.shard}) // self.parts


@dataclass(frozen=True)
class PredictionJob:
    """Predicts on a shard."""

    model_spec: ModelSpec
    form: Format = "jsonl"
    batch_size: int = 64
    key: str | None = None
    bad: BadPolicy = "fail"
    draw: bool = False
    """Whether to draw detections into the images."""
    truth: GroundTruth | None = None
    """Column with the known class, if records have one."""

    def __call__(self, task: Task, folder: str, report: Report) -> None:
        """Fills an entry of the cache with the predictions, the bad items, the images and a summary.

        Raises:
            DataError: if an item is bad and `bad` is "fail".
        """
        bad: list[BadItem] = []

        def on_bad_item(one: BadItem) -> None:
            bad.append(one)
            report(1)

        predicted = 0
        ranks = [0] * (self.truth.top if self.truth else 0)
        model = opened(self.model_spec)
        with _writing(f"{folder}/{_PREDICTIONS}", self.form) as write:
            for prediction in predictions(model, task.shard, self.batch_size, self.key, self.bad, on_bad_item):
                write(prediction, write_pictures(self, prediction, folder))
                predicted += 1
                if self.truth and (rank := self.truth.rank(prediction)) is not None:
                    ranks[rank] += 1
                report(1)
        if bad:
            storage.write_bytes(f"{folder}/{BAD}", "".join(f"{one.model_dump_json()}\n" for one in bad).encode())
        made = PredictionSummary(predicted=predicted, bad=len(bad), ranks=tuple(ranks))
        storage.write_bytes(f"{folder}/{_MADE}", made.to_property().encode())


def prediction_stage(work: PredictionJob, tasks: Sequence[Task], store: str) -> Stage[Task]:
    """The predictions on all shards."""
    return Stage("predictions", "predictions", tasks, work, store, weight=PREDICTED, runs_models=True)


def summaries(stage: Stage[Task]) -> list[PredictionSummary]:
    """The summaries of finished shards."""
    cache = ShardCache(stage.store)

    def summary(task: Task) -> PredictionSummary:
        return PredictionSummary.model_validate_json(_text(f"{cache.found(task.key, task.name)}/{_MADE}"))

    return list(in_order(summary, stage.tasks))


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


def assemble(stage: Stage[Task], made: Sequence[PredictionSummary], folder: str, form: Format) -> list[str]:
    """Puts the results of all shards into a folder: predictions (one file per shard that has any), bad items, images.

    Returns:
        Names of the prediction files; sorted, they follow the order of the items.
    """
    tasks, store = stage.tasks, ShardCache(stage.store)
    predicted = [task for task, one in zip(tasks, made, strict=True) if one.predicted]
    names = {
        task: f"{_PREDICTIONS}-{number:05d}-of-{len(predicted):05d}.{form}" for number, task in enumerate(predicted)
    }
    bad = b""
    links: list[tuple[str, str]] = []
    kept_folders = list(in_order(lambda task: store.found(task.key, task.name), tasks))
    for task, kept, paths in zip(tasks, kept_folders, in_order(storage.files_below, kept_folders), strict=True):
        for path in paths:
            if path == BAD:
                bad += _bytes(f"{kept}/{path}")
            elif path == _PREDICTIONS and task in names:
                links.append((f"{kept}/{path}", f"{folder}/{names[task]}"))
            elif "/" in path:
                links.append((f"{kept}/{path}", f"{folder}/{path}"))
    # Each link is flushed to the disk, or is a request to a store: 10,000 pictures take long one after the other.
    for _ in in_order(lambda link: storage.link(*link), links):
        pass
    if bad:
        storage.write_bytes(f"{folder}/{BAD}", bad)
    return list(names.values())


def _bytes(path: str) -> bytes:
    with storage.open_binary(path) as file:
        return file.read()


def _text(path: str) -> str:
    return _bytes(path).decode()
