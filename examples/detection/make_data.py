"""Creates the images and the detector of the detection example from scikit-learn's handwritten digits.

The first 897 digits, enlarged and placed at random on dark images, train a small one-stage detector. For each cell of 8
x 8 pixels, it predicts whether the cell contains the centre of a digit, the extent of the digit's box, and the class.
It is saved in the format of detectors on TensorFlow Hub, and takes one image of any size. The other 900 digits, written
by other people, are in the images to predict on.

    python examples/detection/make_data.py
"""

import io
import os
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
FOR_THE_MODULE = 897
CLASSES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
CELL = 8  # pixels
PICTURES, SHARDS, SAMPLES = 200, 2, 4
TRAINING_PICTURES, TRAINING_SIZE = 3000, 96
EPOCHS = 15
MOST = 50  # detections per image
AT_LEAST = 0.05  # minimum score of a detection


@dataclass(frozen=True)
class Picture:
    """An image with digits."""

    pixels: np.ndarray
    """uint8 [height, width]."""
    boxes: np.ndarray
    """float32 [n, 4]: top, left, bottom and right of each digit, as fractions of height and width."""
    digits: np.ndarray
    """int64 [n], 0 to 9."""


def picture(rng: np.random.Generator, images: np.ndarray, labels: np.ndarray, height: int, width: int) -> Picture:
    """Places up to six digits, uint8 [n, 8, 8], without overlaps on noise."""
    pixels = rng.integers(0, 40, [height, width]).astype(np.uint8)
    boxes: list[tuple[tuple[int, int], tuple[int, int]]] = []
    digits = []
    for _ in range(rng.integers(1, 7)):
        index = rng.integers(len(images))
        tall, wide = rng.integers(16, 37), rng.integers(16, 33)
        top, left = rng.integers(0, height - tall + 1), rng.integers(0, width - wide + 1)
        if any(
            top < end[0] and begin[0] < top + tall and left < end[1] and begin[1] < left + wide for begin, end in boxes
        ):
            continue
        enlarged = np.asarray(Image.fromarray(images[index]).resize((wide, tall), Image.Resampling.BILINEAR))
        place = pixels[top : top + tall, left : left + wide]
        place[...] = np.maximum(place, enlarged * rng.uniform(0.6, 1.0)).astype(np.uint8)
        boxes.append(((top, left), (top + tall, left + wide)))
        digits.append(labels[index])
    shares = (np.array(boxes, np.float32) / np.array([height, width], np.float32)).reshape(-1, 4)
    return Picture(pixels, shares, np.array(digits, np.int64))


def write_records(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Writes images of various sizes with their labels to TFRecord files, and some of them as PNGs."""
    rng = np.random.default_rng(1)
    folder.mkdir(parents=True)
    for shard in range(SHARDS):
        path = folder / f"pictures-{shard:05d}-of-{SHARDS:05d}.tfrecord.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for number in range(shard, PICTURES, SHARDS):
                height, width = rng.integers(64, 161, 2)
                made = picture(rng, images, labels, height, width)
                writer.write(example(f"picture-{number:04d}", made))
                if number < SAMPLES:
                    (folder / f"sample-{number}.png").write_bytes(png(made.pixels))


def png(pixels: np.ndarray) -> bytes:
    """Encodes pixels, uint8 [height, width], as PNG."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


def example(name: str, made: Picture) -> bytes:
    """A serialized tf.Example: `id`, `image`, a PNG, and the labels: `boxes`, four numbers each, and `digits`."""
    features = {
        "id": tf.train.Feature(bytes_list=tf.train.BytesList(value=[name.encode()])),
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png(made.pixels)])),
        "boxes": tf.train.Feature(float_list=tf.train.FloatList(value=made.boxes.reshape(-1))),
        "digits": tf.train.Feature(int64_list=tf.train.Int64List(value=made.digits)),
    }
    return tf.train.Example(features=tf.train.Features(feature=features)).SerializeToString()


def network() -> tf.keras.Model:
    """Maps images in [0, 1], [batch, height, width, 3], to 15 numbers per cell: the logit of a digit's centre being in
    the cell, the logarithms of the box's extent up, left, down and right of the cell's centre, in cells, and a logit
    for each of ten digits."""
    layers = tf.keras.layers

    def convolution(filters: int, strides: int) -> list[tf.keras.layers.Layer]:
        return [
            layers.Conv2D(filters, 3, strides, padding="same", use_bias=False),
            layers.BatchNormalization(momentum=0.9),
            layers.ReLU(),
        ]

    steps = [(16, 2), (32, 2), (32, 1), (64, 2), (64, 1), (64, 1)]
    convolutions = [layer for filters, strides in steps for layer in convolution(filters, strides)]
    return tf.keras.Sequential([layers.Input([None, None, 3]), *convolutions, layers.Conv2D(5 + len(CLASSES), 1)])


def targets(made: Picture) -> np.ndarray:
    """Targets for an image, float32 [rows, columns, 6]: for each cell, 1 if it contains a digit's centre, the box's
    extent up, left, down and right of the cell's centre, in cells, and the digit."""
    rows, columns = (side // CELL for side in made.pixels.shape)
    wanted = np.zeros([rows, columns, 6], np.float32)
    for box, digit in zip(made.boxes * np.tile([rows, columns], 2), made.digits, strict=True):
        row, column = int((box[0] + box[2]) / 2), int((box[1] + box[3]) / 2)
        middle = np.array([row + 0.5, column + 0.5])
        wanted[row, column] = [1, *(middle - box[:2]), *(box[2:] - middle), digit]
    return wanted


def loss(wanted: tf.Tensor, given: tf.Tensor) -> tf.Tensor:
    """Loss of the digit's presence in all cells; in cells with a digit, also of the box's overlap and of the class."""
    there, reach, digit = wanted[..., 0], wanted[..., 1:5], tf.cast(wanted[..., 5], tf.int32)
    finds = tf.nn.weighted_cross_entropy_with_logits(there, given[..., 0], pos_weight=2.0)
    reaches = tf.exp(given[..., 1:5])
    common = tf.minimum(reaches, tf.maximum(reach, 1e-3))
    shared = (common[..., 0] + common[..., 2]) * (common[..., 1] + common[..., 3])
    areas = [(of[..., 0] + of[..., 2]) * (of[..., 1] + of[..., 3]) for of in (reaches, reach)]
    overlap = shared / (areas[0] + areas[1] - shared + 1e-6)
    tells = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=digit, logits=given[..., 5:])
    count = tf.reduce_sum(there) + 1.0
    return tf.reduce_sum(finds) / count + tf.reduce_sum(there * (2.0 * (1.0 - overlap) + tells)) / count


class Detector(tf.Module):
    """Detects digits in one image, uint8 [1, height, width, 3] of any size, with outputs as in
    https://www.tensorflow.org/hub/common_signatures/images#object_detection."""

    def __init__(self, model: tf.keras.Model) -> None:
        """Args:
        model: A trained `network`.
        """
        super().__init__()
        self.model = model

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="images")])
    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        """Boxes are fractions of height and width, and classes count from 1."""
        size = tf.shape(images)[1:3]
        more = -size % CELL
        padded = tf.pad(tf.cast(images, tf.float32) / 255.0, [[0, 0], [0, more[0]], [0, more[1]], [0, 0]])
        cells = self.model(padded, training=False)[0]
        rows, columns = tf.meshgrid(tf.range(tf.shape(cells)[0]), tf.range(tf.shape(cells)[1]), indexing="ij")
        middles = tf.cast(tf.stack([rows, columns], axis=-1), tf.float32) + 0.5
        reach = tf.exp(cells[..., 1:5])
        corners = tf.concat([middles - reach[..., :2], middles + reach[..., 2:]], axis=-1)
        boxes = tf.reshape(corners * CELL / tf.cast(tf.tile(size, [2]), tf.float32), [-1, 4])
        scores = tf.reshape(tf.sigmoid(cells[..., :1]) * tf.nn.softmax(cells[..., 5:]), [-1, len(CLASSES)])
        best = tf.reduce_max(scores, axis=1)
        # Of overlapping boxes only the best is kept, regardless of the class.
        kept = tf.image.non_max_suppression(boxes, best, MOST, iou_threshold=0.4, score_threshold=AT_LEAST)
        return {
            "detection_boxes": tf.clip_by_value(tf.gather(boxes, kept), 0.0, 1.0)[tf.newaxis],
            "detection_scores": tf.gather(best, kept)[tf.newaxis],
            "detection_classes": tf.gather(tf.argmax(scores, axis=1) + 1, kept)[tf.newaxis],
            "num_detections": tf.size(kept)[tf.newaxis],
        }


def train_module(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Trains and saves a detector, with its class names next to it."""
    tf.keras.utils.set_random_seed(0)
    rng = np.random.default_rng(0)
    made = [picture(rng, images, labels, TRAINING_SIZE, TRAINING_SIZE) for _ in range(TRAINING_PICTURES)]
    pixels = np.stack([one.pixels for one in made])
    wanted = np.stack([targets(one) for one in made])

    def prepared(pixels: tf.Tensor, wanted: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.repeat(tf.cast(pixels[..., tf.newaxis], tf.float32) / 255.0, 3, axis=-1), wanted

    data = tf.data.Dataset.from_tensor_slices((pixels, wanted)).shuffle(len(made), seed=0).batch(32).map(prepared)
    model = network()
    steps = EPOCHS * len(data)
    model.compile(optimizer=tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(4e-3, steps)), loss=loss)
    history = model.fit(data.prefetch(2), epochs=EPOCHS, verbose=0)
    print(f"The detector was trained on {len(made)} pictures; its loss came to {history.history['loss'][-1]:.3f}")
    tf.saved_model.save(Detector(model), str(folder))


def main() -> None:
    """Creates missing files."""
    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)
    if not (HERE / "data").exists():
        unfinished = HERE / "data.unfinished"
        write_records(images[FOR_THE_MODULE:], digits.target[FOR_THE_MODULE:], unfinished)
        unfinished.rename(HERE / "data")
    if not (HERE / "modules" / "detector" / "saved_model.pb").exists():
        from hubline.trainer.autograph import leave_libraries_alone

        leave_libraries_alone()
        train_module(images[:FOR_THE_MODULE], digits.target[:FOR_THE_MODULE], HERE / "modules" / "detector")


if __name__ == "__main__":
    main()
