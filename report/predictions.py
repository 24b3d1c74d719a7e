"""Summarizes stored predictions as a confusion matrix, ROC curves and samples, in one pass and bounded memory."""

import base64
import io
import json
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

import numpy as np
import tensorflow as tf
from PIL import Image

from hubline.artifacts.examples import Manifest
from hubline.artifacts.predictions import CANDIDATE, LABEL, RECORD, SERVING
from hubline.core import storage
from hubline.core.config_base import read_sections
from hubline.core.tfrecords import read_batches
from hubline.preprocessing import masks
from hubline.preprocessing.config import Features, Label, images
from hubline.preprocessing.encoded_images import decode
from hubline.preprocessing.kinds import image as image_kind
from hubline.preprocessing.labels.class_and_box import ClassAndBoxLabel
from hubline.preprocessing.labels.multilabel import MultilabelLabel
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.preprocessing.labels.regression import RegressionLabel
from hubline.report import boxes as class_and_box
from hubline.report import multilabel, pixels, values
from hubline.report.contents import ClassPredictions, PixelPredictions, Predictions, Sample
from hubline.report.drawing import side_by_side, with_boxes
from hubline.report.scores import MOST_CLASSES, Batch, Tally, batch_size

_SAMPLES = 24
_PIXELS = 112
"""Longer side of the images of samples."""
_RECORDS_PER_BATCH = 64


def summarize(evaluation: str) -> Predictions | None:
    """Reads the predictions of an evaluation artifact.

    Returns:
        The summary, with samples that have no images yet; None if the artifact contains no predictions.
    """
    files = [f"{evaluation}/predictions/{name}" for name in storage.names(f"{evaluation}/predictions")]
    if not files:
        return None
    with storage.open_binary(f"{evaluation}/label.json") as file:
        label = read_sections(Label, file.read().decode())
    if isinstance(label, RegressionLabel):
        return values.summarize(files, _SAMPLES)
    with storage.open_binary(f"{evaluation}/classes.json") as file:
        classes = json.load(file)
    if isinstance(label, MultilabelLabel):
        return multilabel.summarize(files, classes, _SAMPLES)
    if isinstance(label, PixelsLabel):
        return _of_pixels(evaluation, files, classes, label)
    if isinstance(label, ClassAndBoxLabel):
        return class_and_box.summarize(files, classes, _SAMPLES)
    return _of_classes(files, classes)


def _of_pixels(evaluation: str, files: list[str], classes: list[str], label: PixelsLabel) -> PixelPredictions:
    with storage.open_binary(f"{evaluation}/features.json") as file:
        features = read_sections(Features, file.read().decode())
    masks = [f"{evaluation}/masks/{name}" for name in storage.names(f"{evaluation}/masks")]
    return pixels.summarize(files, masks, classes, _SAMPLES, label, images(features)[label.image])


def _of_classes(files: list[str], classes: list[str]) -> ClassPredictions:
    samples = _Samples(classes)
    tally = Tally(len(classes)) if len(classes) <= MOST_CLASSES else None
    for batch in _batches(files, len(classes)):
        predicted = batch.candidate.argmax(axis=1)
        samples.take(batch, predicted)
        if tally:
            tally.take(batch, predicted)
    return ClassPredictions(
        classes=classes,
        confusion=tally.confusion if tally else None,
        roc=tally.candidate.curves() if tally else {},
        overall=tally.candidate.overall() if tally else None,
        serving_auc=tally.serving.areas() if tally else {},
        right=sorted(samples.right.values(), key=lambda sample: sample.record),
        wrong=samples.wrong,
    )


def _batches(files: list[str], classes: int) -> Iterator[Batch]:
    spec = {
        RECORD: tf.io.FixedLenFeature([], tf.int64),
        LABEL: tf.io.FixedLenFeature([], tf.int64),
        CANDIDATE: tf.io.FixedLenFeature([classes], tf.float32),
        # Zeros mean that no version is in serving.
        SERVING: tf.io.FixedLenFeature([classes], tf.float32, [0.0] * classes),
    }
    for path in files:
        for _, examples in read_batches(path, batch_size(classes)):
            rows = {name: column.numpy() for name, column in tf.io.parse_example(examples, spec).items()}
            serving = rows[SERVING] if rows[SERVING].any() else None
            yield Batch(rows[RECORD], rows[LABEL], rows[CANDIDATE], serving)


@dataclass
class _Samples:
    """The first correct prediction of each class, and the worst wrong ones so far."""

    classes: list[str]
    right: dict[int, Sample] = field(default_factory=dict)
    wrong: list[Sample] = field(default_factory=list)

    def take(self, batch: Batch, predicted: np.ndarray) -> None:
        right = predicted == batch.label
        new = sorted(set(batch.label[right].tolist()) - self.right.keys())
        for index in new[: _SAMPLES - len(self.right)]:
            row = int(np.flatnonzero(right & (batch.label == index))[0])
            self.right[index] = self._sample(batch, row, predicted)
        rows = np.flatnonzero(~right)
        scores = batch.candidate[rows, predicted[rows]]
        worst = rows[np.argsort(-scores, kind="stable")[:_SAMPLES]]
        found = [*self.wrong, *(self._sample(batch, int(row), predicted) for row in worst)]
        self.wrong = sorted(found, key=lambda sample: (-sample.score, sample.record))[:_SAMPLES]

    def _sample(self, batch: Batch, row: int, predicted: np.ndarray) -> Sample:
        scores, label = batch.candidate[row], int(batch.label[row])
        return Sample(
            record=int(batch.record[row]),
            label=self.classes[label],
            predicted=self.classes[predicted[row]],
            score=float(scores[predicted[row]]),
            label_score=float(scores[label]),
        )


PredictionsT = TypeVar("PredictionsT", bound=Predictions)


def with_pictures(predictions: PredictionsT, examples: str) -> PredictionsT:
    """Adds the origin and, if the records have images, the image of each sample.

    Args:
        predictions: Result of `summarize`.
        examples: The Examples artifact that the predictions were made on.
    """
    manifest = Manifest.read(examples)
    samples = {sample.record: sample for sample in (*predictions.right, *predictions.wrong)}
    found: dict[int, Sample] = {}
    first = 0
    for shard in manifest.of("test"):
        wanted = {record - first for record in samples if first <= record < first + shard.count}
        for number, record in _records(f"{examples}/Split-test/{shard.name}", wanted).items():
            sample = samples[first + number]
            picture: str | None
            if isinstance(predictions, PixelPredictions) and sample.mask is not None:
                picture = _with_masks(record, predictions, sample.mask)
            else:
                # With several images, it is unknown which one the boxes belong to.
                boxes = sample.boxes if len(manifest.images) == 1 else ()
                picture = _picture(record, manifest, boxes) if manifest.images else None
            (origin,) = shard.files_of([number])
            found[sample.record] = replace(sample, origin=origin, picture=picture)
        first += shard.count
    return replace(
        predictions,
        right=[found.get(sample.record, sample) for sample in predictions.right],
        wrong=[found.get(sample.record, sample) for sample in predictions.wrong],
    )


def _records(path: str, wanted: Collection[int]) -> dict[int, bytes]:
    """The records of a file at the given indices; the others stay within TensorFlow's C++."""
    found: dict[int, bytes] = {}
    batches = iter(read_batches(path, _RECORDS_PER_BATCH))
    while len(found) < len(wanted):
        first, batch = next(batches)
        found |= {number: batch[number - first].numpy() for number in wanted if first <= number < first + len(batch)}
    return found


def _picture(record: bytes, manifest: Manifest, boxes: Sequence[Sequence[float]]) -> str | None:
    """The record's first image, or the middle frame of its clip, as a data URI: scaled down if large, with boxes if
    there are any. None if it cannot be decoded."""
    encoded = tf.train.Example.FromString(record).features.feature[manifest.images[0]].bytes_list.value
    try:
        image = Image.fromarray(decode(tf.constant(encoded[len(encoded) // 2])).numpy())
    except tf.errors.OpError:  # not worth failing for
        return None
    # Small images are kept as PNG; for photographs, JPEG takes a tenth of the space.
    form = "PNG" if max(image.size) <= _PIXELS else "JPEG"
    if boxes:
        image = with_boxes(image, boxes)
    else:
        image.thumbnail((_PIXELS, _PIXELS))
    return _uri(image, form)


def _with_masks(record: bytes, predictions: PixelPredictions, told: bytes) -> str:
    """The record's image as the model sees it, the true mask and the predicted mask side by side, as a data URI."""
    columns = tf.train.Example.FromString(record).features.feature
    label, feature = predictions.label, predictions.feature
    image, mask = (columns[name].bytes_list.value[0] for name in (feature.column or label.image, label.column))
    seen = image_kind.pixels(feature.model_copy(update={"channels": 3}), tf.constant(image)).numpy()
    true = masks.fitted(label, feature, tf.constant(mask)).numpy()
    return _uri(side_by_side(seen, true[..., 0], tf.io.decode_png(told).numpy()[..., 0]), "PNG")


def _uri(image: Image.Image, form: str) -> str:
    out = io.BytesIO()
    image.save(out, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
