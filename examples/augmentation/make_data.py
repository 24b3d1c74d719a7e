"""Creates the data and hub modules of the augmentation example from scikit-learn's handwritten digits.

The 1,797 digits are 8x8 grey pixels, from the UCI Optical Recognition set, which scikit-learn ships. The model is
trained on the first 300, unchanged. The digits for evaluation, written by other people, are rotated by up to 30 degrees
and shifted, as if photographed by hand. One module is a small untrained network; the other augments images.

For `multilabel.yaml`, one to three digits lie in the quadrants of an image, and the label is the set of digits. The
1,500 upright images for training, and the others, are made from the digits of the same people as above.

    python examples/augmentation/make_data.py
"""

import io
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from PIL import Image
from sklearn.datasets import load_digits

HERE = Path(__file__).parent
SIZE = 32
SPLITS = {"train": slice(300), "validation": slice(900, 1200), "test": slice(1200, 1797)}
SEVERAL = {"train": 1500, "validation": 300, "test": 600}
"""Images with several digits in each split."""
MOST = 3  # digits in such an image
DEGREES, PIXELS = 30, 3


def by_hand(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Rotates and shifts an image at random."""
    moved = tuple(rng.integers(-PIXELS, PIXELS + 1, 2).tolist())
    return image.rotate(rng.uniform(-DEGREES, DEGREES), Image.Resampling.BILINEAR, translate=moved)


def example(image: Image.Image, **label: list[int]) -> tf.train.Example:
    """One record: `image`, a PNG, and a label column of one or more digits, 0 to 9."""
    png = io.BytesIO()
    image.save(png, format="PNG")
    columns = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png.getvalue()])),
        **{name: tf.train.Feature(int64_list=tf.train.Int64List(value=value)) for name, value in label.items()},
    }
    return tf.train.Example(features=tf.train.Features(feature=columns))


def write_data(folder: Path) -> None:
    """Writes a TFRecord file of single digits, and one of several digits, for each split."""
    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)

    def write(name: str, records: Iterator[tf.train.Example]) -> None:
        with tf.io.TFRecordWriter(str(folder / f"{name}.tfrecord.gz"), "GZIP") as writer:
            for record in records:
                writer.write(record.SerializeToString())

    def photographed(image: Image.Image, split: str) -> Image.Image:
        return image if split == "train" else by_hand(image, rng)

    for split, which in SPLITS.items():
        pairs = zip(images[which], digits.target[which], strict=True)
        pictures = ((Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR), n) for pixels, n in pairs)
        write(split, (example(photographed(image, split), label=[int(n)]) for image, n in pictures))
    for split, count in SEVERAL.items():
        these, numbers = images[SPLITS[split]], digits.target[SPLITS[split]]
        several = (several_digits(these, numbers, rng) for _ in range(count))
        write(f"several-{split}", (example(photographed(image, split), digits=found) for image, found in several))


def several_digits(images: np.ndarray, numbers: np.ndarray, rng: np.random.Generator) -> tuple[Image.Image, list[int]]:
    """An image with one to three digits, each in a quadrant of its own, and the sorted set of them.

    Args:
        images: The digits, uint8 [n, 8, 8].
        numbers: The number that each of them shows, [n].
        rng: Chooses digits and quadrants.
    """
    canvas, half = Image.new("L", (SIZE, SIZE)), SIZE // 2
    chosen = rng.choice(len(images), rng.integers(1, MOST + 1), replace=False)
    for quadrant, number in zip(rng.permutation(4), chosen, strict=False):
        digit = Image.fromarray(images[number]).resize((half, half), Image.Resampling.BILINEAR)
        canvas.paste(digit, (int(quadrant % 2) * half, int(quadrant // 2) * half))
    return canvas, sorted(set(numbers[chosen].tolist()))


def write_network(folder: Path) -> None:
    """Saves a small convolutional network with its initial weights.

    Its input is float32 [batch, 32, 32, 3] in [0, 1]; its output is [batch, 64].
    """
    tf.keras.utils.set_random_seed(0)
    layers = tf.keras.layers
    network = tf.keras.Sequential(
        [
            layers.Input([SIZE, SIZE, 3]),
            layers.AveragePooling2D(2),
            layers.Conv2D(24, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Conv2D(48, 3, padding="same", activation="relu"),
            layers.MaxPooling2D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
        ]
    )
    tf.saved_model.save(network, str(folder))


class Shifting(tf.Module):
    """Shifts each image by some pixels at most, vertically and horizontally; the uncovered area is black.

    An image augmentation module: input and output are images, float32 [batch, height, width, 3] in [0, 1]. The seed,
    two integers, determines the shifts.
    """

    @tf.function(
        input_signature=[
            tf.TensorSpec([None, None, None, 3], tf.float32, name="images"),
            tf.TensorSpec([2], tf.int64, name="seed"),
        ]
    )
    def __call__(self, images: tf.Tensor, seed: tf.Tensor) -> tf.Tensor:
        shape = tf.shape(images)
        padded = tf.pad(images, [[0, 0], [PIXELS, PIXELS], [PIXELS, PIXELS], [0, 0]])
        places = tf.random.stateless_uniform([shape[0], 2], seed, 0, 2 * PIXELS + 1, tf.int32)

        def shifted(of_one: tuple[tf.Tensor, tf.Tensor]) -> tf.Tensor:
            image, place = of_one
            return tf.slice(image, [place[0], place[1], 0], [shape[1], shape[2], 3])

        return tf.map_fn(shifted, (padded, places), fn_output_signature=tf.TensorSpec([None, None, 3], tf.float32))


def main() -> None:
    """Creates missing files."""
    modules = HERE / "modules"
    if not (modules / "network" / "saved_model.pb").exists():
        write_network(modules / "network")
    if not (modules / "shifting" / "saved_model.pb").exists():
        tf.saved_model.save(Shifting(), str(modules / "shifting"))
    if not (HERE / "data" / "several-test.tfrecord.gz").exists():
        unfinished = HERE / "data.unfinished"
        shutil.rmtree(unfinished, ignore_errors=True)
        write_data(unfinished)
        shutil.rmtree(HERE / "data", ignore_errors=True)
        unfinished.rename(HERE / "data")


if __name__ == "__main__":
    main()
