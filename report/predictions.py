"""Summarizes stored predictions as a confusion matrix, ROC curves and samples, in one pass and bounded memory."""

import base64
import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

import tensorflow as tf
from PIL import Image

from hubline.artifacts.examples import Manifest
from hubline.artifacts.pixel_columns import read_pixel_columns
from hubline.core.tfrecords import read_batches
from hubline.preprocessing import masks
from hubline.preprocessing.encoded_images import decode
from hubline.preprocessing.kinds import image as image_kind
from hubline.preprocessing.kinds.image import ImageKind
from hubline.preprocessing.kinds.stored_pixels import Stored
from hubline.preprocessing.labels.pixels import PixelsLabel
from hubline.report.drawing import side_by_side, with_boxes
from hubline.report.labels.evaluation import EvaluationFiles
from hubline.report.labels.parts import SUMMARIES
from hubline.report.labels.predictions import Predictions, Sample
from hubline.report.sample_values import column_values

_SAMPLES = 24
_PIXELS = 112
"""Longer side of the images of samples."""
_RECORDS_PER_BATCH = 64


def summarize(evaluation: str) -> Predictions | None:
    """Reads the predictions of an evaluation artifact.

    Returns:
        The summary, with samples that have no images yet; None if the artifact contains no predictions.
    """
    files = EvaluationFiles(evaluation)
    return SUMMARIES.of(files.label.kind)(files, _SAMPLES) if files.predictions else None


PredictionsT = TypeVar("PredictionsT", bound=Predictions)


def with_pictures(predictions: PredictionsT, examples: str) -> PredictionsT:
    """Adds the origin, the column values and, if the records have images, the image of each sample.

    Args:
        predictions: Result of `summarize`.
        examples: The Examples artifact that the predictions were made on.
    """
    manifest, pixels = Manifest.read(examples), read_pixel_columns(examples)
    samples = {sample.record: sample for sample in (*predictions.right, *predictions.wrong)}
    found: dict[int, Sample] = {}
    first = 0
    masks_column = [predictions.masks_of[0].column] if predictions.masks_of else []
    for shard in manifest.of("test"):
        wanted = {record - first for record in samples if first <= record < first + shard.count}
        for number, record in _records(f"{examples}/Split-test/{shard.name}", wanted).items():
            sample = samples[first + number]
            picture: str | None
            if predictions.masks_of and sample.mask is not None:
                picture = _with_masks(record, *predictions.masks_of, sample.mask)
            else:
                # With several images, it is unknown which one the boxes belong to.
                boxes = sample.boxes if len(manifest.images) == 1 else ()
                picture = _picture(record, manifest, pixels, boxes) if manifest.images else None
            (origin,) = shard.files_of([number])
            values = column_values(tf.train.Example.FromString(record), {*manifest.images, *pixels, *masks_column})
            found[sample.record] = replace(sample, origin=origin, picture=picture, values=values)
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


def _picture(
    record: bytes, manifest: Manifest, pixels: Mapping[str, Stored], boxes: Sequence[Sequence[float]]
) -> str | None:
    """The record's first image, or the middle frame of its clip, as a data URI: scaled down if large, with boxes if
    there are any. None if it cannot be decoded."""
    column = manifest.images[0]
    values = _values(tf.train.Example.FromString(record).features.feature[column])
    try:
        stored = pixels.get(column)
        encoded = stored.encoded(stored.column_of(values))[0] if stored else tf.constant(values[len(values) // 2])
        image = Image.fromarray(decode(encoded).numpy())
    except tf.errors.OpError:  # not worth failing for
        return None
    # Small images are kept as PNG; for photographs, JPEG takes a tenth of the space.
    form = "PNG" if max(image.size) <= _PIXELS else "JPEG"
    if boxes:
        image = with_boxes(image, boxes)
    else:
        image.thumbnail((_PIXELS, _PIXELS))
    return _uri(image, form)


def _with_masks(record: bytes, label: PixelsLabel, feature: ImageKind, predicted_mask: bytes) -> str:
    """The record's image as the model sees it, the true mask and the predicted mask side by side, as a data URI."""
    columns = tf.train.Example.FromString(record).features.feature
    image, mask = _values(columns[feature.column or label.image]), columns[label.column].bytes_list.value[0]
    seen = image_kind.pixels(feature.model_copy(update={"channels": 3}), feature.encoded_one(image)).numpy()
    true = masks.fitted(label, feature, tf.constant(mask)).numpy()
    return _uri(side_by_side(seen, true[..., 0], tf.io.decode_png(predicted_mask).numpy()[..., 0]), "PNG")


def _values(feature: tf.train.Feature) -> list:
    return list(getattr(feature, feature.WhichOneof("kind")).value)


def _uri(image: Image.Image, form: str) -> str:
    out = io.BytesIO()
    image.save(out, form)
    return f"data:image/{form.lower()};base64,{base64.b64encode(out.getvalue()).decode()}"
