"""Creates the data and hub module of the digits example from scikit-learn's handwritten digits.

The 1,797 digits (8x8 grey, from the UCI Optical Recognition set, which scikit-learn ships) are divided in two. The
first 897 train a small network, which is saved as a TF2 reusable SavedModel, as on TensorFlow Hub. The other 900,
written by other people, become the records of the example, so the module has never seen the data it is used on.

    python examples/digits/make_data.py
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
SHARDS = 4
SIZE = 32
CLASSES = 10
SAMPLES = 3


def write_records(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Writes images, uint8 [n, 8, 8], as PNGs with their labels to GZIP TFRecord shards."""
    folder.mkdir(parents=True, exist_ok=True)
    for shard in range(SHARDS):
        path = folder / f"digits-{shard:05d}-of-{SHARDS:05d}.tfrecord.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for image, label in zip(images[shard::SHARDS], labels[shard::SHARDS], strict=True):
                writer.write(example(image, int(label)).SerializeToString())


def example(image: np.ndarray, label: int) -> tf.train.Example:
    """One record: `image`, a PNG, and `label`, 0 to 9."""
    png = io.BytesIO()
    Image.fromarray(image).save(png, format="PNG")
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                "image": tf.train.Feature(bytes_list=tf.train.BytesList(value=[png.getvalue()])),
                "label": tf.train.Feature(int64_list=tf.train.Int64List(value=[label])),
            }
        )
    )


def train_module(images: np.ndarray, labels: np.ndarray, folder: Path) -> None:
    """Trains a small convolutional network and saves all but its last layer as a hub module.

    Its input is float32 [batch, 32, 32, 3] in [0, 1], as for image modules on TensorFlow Hub; its output is [batch,
    64].
    """
    tf.keras.utils.set_random_seed(0)
    pixels = tf.image.grayscale_to_rgb(tf.image.resize(images[..., np.newaxis], [SIZE, SIZE])) / 255.0
    layers = tf.keras.layers
    features = tf.keras.Sequential(
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
    moved = tf.keras.Sequential(
        [layers.RandomTranslation(0.12, 0.12), layers.RandomRotation(0.03), layers.RandomZoom(0.1)]
    )
    model = tf.keras.Sequential([moved, features, layers.Dropout(0.3), layers.Dense(CLASSES)])
    model.compile(
        optimizer=tf.keras.optimizers.Adam(2e-3),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    data = tf.data.Dataset.from_tensor_slices((pixels, labels)).shuffle(len(labels), seed=0).batch(32)
    history = model.fit(data, epochs=25, verbose=0)
    print(f"The module was trained on {len(labels)} digits; accuracy on them: {history.history['accuracy'][-1]:.3f}")
    tf.saved_model.save(features, str(folder))


def main() -> None:
    """Creates missing files."""
    digits = load_digits()
    images = (digits.images * (255 / 16)).round().astype(np.uint8)
    if not (HERE / "modules" / "digits" / "saved_model.pb").exists():
        from hubline.trainer.autograph import leave_libraries_alone

        leave_libraries_alone()
        train_module(images[:FOR_THE_MODULE], digits.target[:FOR_THE_MODULE], HERE / "modules" / "digits")
    if not (HERE / "data").exists():
        unfinished = HERE / "data.unfinished"
        write_records(images[FOR_THE_MODULE:], digits.target[FOR_THE_MODULE:], unfinished)
        for sample, index in enumerate(range(FOR_THE_MODULE, FOR_THE_MODULE + SAMPLES)):
            Image.fromarray(images[index]).save(unfinished / f"sample-{sample}-is-a-{digits.target[index]}.png")
        unfinished.rename(HERE / "data")


if __name__ == "__main__":
    main()
