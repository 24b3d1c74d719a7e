"""Creates the data and hub module of the localisation example: a handwritten digit somewhere in a noisy image.

Scikit-learn's 1,797 digits (8x8 grey, from the UCI Optical Recognition set) are cropped to their strokes, enlarged to a
random size and placed at random on a dark 64x64 image with noise. The first 897 train a small network to classify
digits, not to locate them; it is saved as a TF2 reusable SavedModel, as on TensorFlow Hub. The other 900, written by
other people, become the records of the example; no digit is in two splits.

    python examples/localisation/make_data.py
"""

import io
import os
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
FOR_THE_MODULE = 897
SPLITS = {"train": (897, 1497, 6), "validation": (1497, 1597, 4), "test": (1597, 1797, 4)}
"""First digit, end (exclusive), and number of images of each digit."""
SIDE = 64
SMALLEST, LARGEST = 14, 40
"""Height of a digit in the image."""
NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
SAMPLES = 3


def placed(digit: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, list[float]]:
    """An image, uint8 [64, 64, 3], with a digit, and the box around it: top, left, bottom and right as fractions."""
    rows, columns = np.nonzero(digit)
    ink = Image.fromarray(digit[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1])
    height = int(rng.integers(SMALLEST, LARGEST + 1))
    width = max(4, round(height * ink.width / ink.height))
    top, left = int(rng.integers(0, SIDE - height + 1)), int(rng.integers(0, SIDE - width + 1))
    picture = rng.integers(0, 70, [SIDE, SIDE, 1]).repeat(3, axis=2)
    drawn = np.asarray(ink.resize((width, height), Image.Resampling.BILINEAR))[..., np.newaxis]
    picture[top : top + height, left : left + width] = np.maximum(
        picture[top : top + height, left : left + width], drawn * rng.uniform(0.6, 1.0, 3)
    )
    return picture.astype(np.uint8), [side / SIDE for side in (top, left, top + height, left + width)]


def example(png: bytes, box: list[float], label: int) -> tf.train.Example:
    """One record, with the columns that `hubline convert boxes` writes."""
    feature = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png])),
        "boxes": tf.train.Feature(float_list=tf.train.FloatList(value=box)),
        "box_labels": tf.train.Feature(bytes_list=tf.train.BytesList(value=[NAMES[label].encode()])),
    }
    return tf.train.Example(features=tf.train.Features(feature=feature))


def encoded(picture: np.ndarray) -> bytes:
    """Encodes an image as PNG."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, format="PNG")
    return out.getvalue()


def write_records(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Writes a GZIP TFRecord file for each split, and some images of the test split to predict on."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    boxes: dict[str, list[list[float]]] = {}
    for split, (first, end, times) in SPLITS.items():
        boxes[split] = []
        with tf.io.TFRecordWriter(str(folder / f"{split}.tfrecord.gz"), "GZIP") as writer:
            for number in rng.permutation(np.repeat(np.arange(first, end), times)):
                picture, box = placed(images[number], rng)
                boxes[split].append(box)
                png = encoded(picture)
                writer.write(example(png, box, int(labels[number])).SerializeToString())
                if split == "test" and len(boxes[split]) <= SAMPLES:
                    name = f"sample-{len(boxes[split]) - 1}-is-a-{labels[number]}.png"
                    (folder / name).write_bytes(png)
    constant, overlap = best_constant(np.array(boxes["train"]), np.array(boxes["test"]))
    print(
        f"The best box for all pictures is {constant.round(2).tolist()}; its mean IoU on the test split: {overlap:.3f}"
    )


def best_constant(train: np.ndarray, test: np.ndarray) -> tuple[np.ndarray, float]:
    """The centred box with the greatest mean IoU on the training split, and its mean IoU on the test split."""
    sizes = np.arange(0.1, 1.01, 0.02)
    tried = np.array([[(1 - h) / 2, (1 - w) / 2, (1 + h) / 2, (1 + w) / 2] for h in sizes for w in sizes])
    best = max(tried, key=lambda box: iou(box, train).mean())
    return best, float(iou(best, test).mean())


def iou(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Intersection over union of boxes, [..., 4]."""
    common = np.maximum(np.minimum(one, other)[..., 2:] - np.maximum(one, other)[..., :2], 0).prod(axis=-1)
    return common / (sum((box[..., 2:] - box[..., :2]).prod(axis=-1) for box in (one, other)) - common)


def train_module(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Trains a small convolutional network on the class only, and saves all but its last layers as a hub module.

    Its input is float32 [batch, 64, 64, 3] in [0, 1], as for image modules on TensorFlow Hub; its output is [batch,
    2048]: 32 numbers for each of 8 by 8 locations. Image modules usually return the mean over locations, which would
    not tell where the digit is.
    """
    tf.keras.utils.set_random_seed(0)
    rng = np.random.default_rng(1)
    numbers = np.repeat(np.arange(len(images)), 10)
    pictures = np.stack([placed(images[number], rng)[0] for number in numbers]).astype(np.float32) / 255
    layers = tf.keras.layers
    convolutions = [
        layers.Input([SIDE, SIDE, 3]),
        layers.Conv2D(16, 5, strides=2, padding="same", activation="relu"),
        layers.Conv2D(32, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(64, 3, strides=2, padding="same", activation="relu"),
        layers.Conv2D(32, 3, padding="same", activation="relu"),
    ]
    places = tf.keras.Sequential([*convolutions, layers.Flatten()])
    model = tf.keras.Sequential([places, layers.Dropout(0.4), layers.Dense(len(NAMES))])
    model.compile(
        optimizer=tf.keras.optimizers.Adam(5e-4),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    data = tf.data.Dataset.from_tensor_slices((pictures, labels[numbers])).shuffle(len(numbers), seed=0).batch(64)
    history = model.fit(data, epochs=10, verbose=0)
    print(f"The module was trained on {len(numbers)} pictures; accuracy on them: {history.history['accuracy'][-1]:.3f}")
    tf.saved_model.save(places, str(folder))


def main() -> None:
    """Creates missing files."""
    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)
    if not (HERE / "modules" / "places" / "saved_model.pb").exists():
        from hubline.trainer.autograph import leave_libraries_alone

        leave_libraries_alone()
        train_module(images[:FOR_THE_MODULE], digits.target[:FOR_THE_MODULE], HERE / "modules" / "places")
    if not (HERE / "data").exists():
        unfinished = HERE / "data.unfinished"
        write_records(images, digits.target, unfinished)
        unfinished.rename(HERE / "data")


if __name__ == "__main__":
    main()
