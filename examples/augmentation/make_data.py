"""Creates the data and hub modules of the augmentation example from scikit-learn's handwritten digits.

The 1,797 digits are 8x8 grey pixels, from the UCI Optical Recognition set, which scikit-learn ships. The model is
trained on the first 300, unchanged. The digits for evaluation, written by other people, are rotated by up to 30 degrees
and shifted, as if photographed by hand. One module is a small untrained network; the other augments images.

    python examples/augmentation/make_data.py
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
SIZE = 32
SPLITS = {"train": slice(300), "validation": slice(900, 1200), "test": slice(1200, 1797)}
DEGREES, PIXELS = 30, 3


def by_hand(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    """Rotates and shifts an image at random."""
    moved = tuple(rng.integers(-PIXELS, PIXELS + 1, 2).tolist())
    return image.rotate(rng.uniform(-DEGREES, DEGREES), Image.Resampling.BILINEAR, translate=moved)


def example(image: Image.Image, label: int) -> tf.train.Example:
    """One record: `image`, a PNG, and `label`, 0 to 9."""
    png = io.BytesIO()
    image.save(png, format="PNG")
    columns = {
        "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png.getvalue()])),
        "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
    }
    return tf.train.Example(features=tf.train.Features(feature=columns))


def write_data(folder: Path) -> None:
    """Writes a TFRecord file for each split."""
    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for split, which in SPLITS.items():
        with tf.io.TFRecordWriter(str(folder / f"{split}.tfrecord.gz"), "GZIP") as writer:
            for pixels, label in zip(images[which], digits.target[which], strict=True):
                image = Image.fromarray(pixels).resize((SIZE, SIZE), Image.Resampling.BILINEAR)
                changed = image if split == "train" else by_hand(image, rng)
                writer.write(example(changed, int(label)).SerializeToString())


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
    if not (HERE / "data").exists():
        unfinished = HERE / "data.unfinished"
        write_data(unfinished)
        unfinished.rename(HERE / "data")


if __name__ == "__main__":
    main()
