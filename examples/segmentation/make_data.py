"""Creates the data and hub module of the segmentation example from scikit-learn's handwritten digits.

The 1,797 digits (8x8 grey, from the UCI Optical Recognition set, which scikit-learn ships) are divided in two. The
first 897, one per canvas, train a small convolutional classifier, which is saved as a TF2 SavedModel that returns the
outputs of three of its blocks. The other 900, written by other people, become the records of the example: canvases of
64x64 pixels with several digits, and masks that assign each pixel to the background, an odd digit or an even digit.

    python examples/segmentation/make_data.py
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
CANVASES, SHARDS = 900, 4
SIZE = 64
SMALLEST, LARGEST = 18, 28
CLASSES = 10
SAMPLES = 3


def canvas(rng: np.random.Generator, digits: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Digits on a grey canvas with noise, without overlaps.

    Args:
        rng: Draws positions, sizes and grey levels.
        digits: uint8 [n, 8, 8]; digits that don't fit are left out.
        labels: Class of each digit, [n].

    Returns:
        The image, uint8 [64, 64], and its mask, of the same shape: 0 for background, 1 for odd digits and 2 for even
        ones.
    """
    ink, mask = np.zeros([SIZE, SIZE]), np.zeros([SIZE, SIZE], np.uint8)
    taken = np.zeros([SIZE, SIZE], bool)
    for digit, label in zip(digits, labels, strict=True):
        side = int(rng.integers(SMALLEST, LARGEST + 1))
        for _ in range(20):
            top, left = rng.integers(0, SIZE - side + 1, 2)
            place = np.s_[top : top + side, left : left + side]
            if not taken[place].any():
                drawn = np.asarray(Image.fromarray(digit).resize((side, side), Image.Resampling.BICUBIC), float) / 255
                ink[place], taken[place] = drawn, True
                mask[place][drawn > 0.4] = 1 if label % 2 else 2
                break
    dark, light = rng.uniform(0, 80), rng.uniform(170, 255)
    picture = dark + (light - dark) * ink + rng.normal(0, 10, [SIZE, SIZE])
    return np.clip(picture, 0, 255).round().astype(np.uint8), mask


def png(pixels: np.ndarray) -> bytes:
    """Encodes pixels, uint8 [height, width], as a grey PNG."""
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


def write_records(digits: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Writes canvases of digits, uint8 [n, 8, 8], as `image` and `mask` to GZIP TFRecord shards, and some as image
    files."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(SHARDS):
        path = folder / f"canvases-{shard:05d}-of-{SHARDS:05d}.tfrecord.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for number in range(shard, CANVASES, SHARDS):
                chosen = rng.choice(len(digits), int(rng.integers(2, 5)), replace=False)
                picture, mask = canvas(rng, digits[chosen], labels[chosen])
                columns = {"image": png(picture), "mask": png(mask)}
                features = {
                    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
                    for name, value in columns.items()
                }
                example = tf.train.Example(features=tf.train.Features(feature=features))
                writer.write(example.SerializeToString())
                if number < SAMPLES:
                    (folder / f"sample-{number}.png").write_bytes(columns["image"])


def train_module(digits: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Trains a small convolutional network to classify the single digit on a canvas, and saves the outputs of its
    blocks.

    Its input is float32 [batch, 64, 64, 3] in [0, 1], as for image modules on TensorFlow Hub; its outputs are `block1`
    [batch, 32, 32, 16], `block2` [batch, 16, 16, 32] and `block3` [batch, 8, 8, 64].
    """
    tf.keras.utils.set_random_seed(0)
    rng = np.random.default_rng(1)
    which = np.tile(np.arange(len(digits)), 4)
    pictures = np.stack([canvas(rng, digits[[n]], labels[[n]])[0] for n in which])
    pixels = np.repeat(pictures[..., np.newaxis], 3, axis=3).astype(np.float32) / 255
    layers = tf.keras.layers
    inputs = layers.Input([SIZE, SIZE, 3], name="images")
    maps, given = {}, inputs
    for number, channels in enumerate((16, 32, 64), start=1):
        given = layers.Conv2D(channels, 3, padding="same", activation="relu")(given)
        given = layers.Conv2D(channels, 3, strides=2, padding="same", activation="relu")(given)
        maps[f"block{number}"] = given
    logits = layers.Dense(CLASSES)(layers.GlobalMaxPooling2D()(layers.Conv2D(128, 3, activation="relu")(given)))
    model = tf.keras.Model(inputs, logits)
    model.compile(
        optimizer=tf.keras.optimizers.Adam(2e-3),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    data = tf.data.Dataset.from_tensor_slices((pixels, labels[which])).shuffle(len(which), seed=0).batch(64)
    history = model.fit(data, epochs=6, verbose=0)
    print(f"The module was trained on {len(digits)} digits; accuracy on them: {history.history['accuracy'][-1]:.3f}")
    tf.saved_model.save(tf.keras.Model(inputs, maps), str(folder))


def main() -> None:
    """Creates missing files."""
    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)
    if not (HERE / "modules" / "canvases" / "saved_model.pb").exists():
        from hubline.trainer.autograph import leave_libraries_alone

        leave_libraries_alone()
        train_module(images[:FOR_THE_MODULE], digits.target[:FOR_THE_MODULE], HERE / "modules" / "canvases")
    if not (HERE / "data").exists():
        unfinished = HERE / "data.unfinished"
        write_records(images[FOR_THE_MODULE:], digits.target[FOR_THE_MODULE:], unfinished)
        unfinished.rename(HERE / "data")


if __name__ == "__main__":
    main()
