"""Trains a hub module on unlabelled photographs for the photographs example.

A small network learns by how much each photograph was rotated: 0, 90, 180 or 270 degrees. To tell, it has to recognize
the content (Gidaris et al., 2018, https://arxiv.org/abs/1803.07728). No labels are read. All but the last layer is
saved as a TF2 reusable SavedModel, as on TensorFlow Hub.

    python examples/photographs/make_module.py
"""

import os
from pathlib import Path

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import tensorflow as tf

from hubline.trainer.autograph import leave_libraries_alone

HERE = Path(__file__).parent
SIZE = 64
TURNS = 4
EPOCHS = 40
BATCH = 32


def photographs(data: Path) -> tf.data.Dataset:
    """The photographs in a folder of records, one by one, uint8 [SIZE, SIZE, 3]."""
    files = sorted(map(str, data.rglob("*.tfrecord*")))
    if not files:
        raise SystemExit(f"there are no TFRecords in {data}; `hubline convert images` writes them")

    def decode(record: tf.Tensor) -> tf.Tensor:
        encoded = tf.io.parse_single_example(record, {"image": tf.io.FixedLenFeature([], tf.string)})["image"]
        image = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        return tf.cast(tf.round(tf.image.resize(image, [SIZE, SIZE])), tf.uint8)

    return tf.data.TFRecordDataset(files).map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def turned(image: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """A rotated crop of a photograph, float32 in [0, 1], and the number of quarter turns."""
    piece = tf.image.random_crop(image, [SIZE * 7 // 8, SIZE * 7 // 8, 3])
    unit = tf.image.resize(piece, [SIZE, SIZE]) / 255.0
    unit = tf.image.random_brightness(tf.image.random_flip_left_right(unit), 0.2)
    turns = tf.random.uniform([], 0, TURNS, tf.int32)
    return tf.clip_by_value(tf.image.rot90(unit, turns), 0.0, 1.0), turns


def network() -> tf.keras.Sequential:
    """Convolutions from float32 [batch, SIZE, SIZE, 3] in [0, 1] to [batch, 256]."""
    layers = [tf.keras.layers.Input([SIZE, SIZE, 3])]
    for block, channels in enumerate((32, 64, 128, 256), 1):
        layers += [
            tf.keras.layers.Conv2D(channels, 3, padding="same", use_bias=False, name=f"block{block}_conv"),
            tf.keras.layers.BatchNormalization(name=f"block{block}_norm"),
            tf.keras.layers.ReLU(),
            tf.keras.layers.MaxPooling2D(2),
        ]
    return tf.keras.Sequential([*layers, tf.keras.layers.GlobalAveragePooling2D()])


def train(data: Path, folder: Path) -> None:
    """Trains the module on the photographs in one folder, and saves it to another.

    Its input is float32 [batch, SIZE, SIZE, 3] in [0, 1], as for image modules on TensorFlow Hub; its output is [batch,
    256].
    """
    leave_libraries_alone()
    tf.keras.utils.set_random_seed(0)
    pictures = photographs(data).cache()
    steps = EPOCHS * -(-sum(1 for _ in pictures) // BATCH)
    shown = pictures.shuffle(4096, seed=0).map(turned, num_parallel_calls=tf.data.AUTOTUNE).batch(BATCH)
    features = network()
    model = tf.keras.Sequential([features, tf.keras.layers.Dropout(0.2), tf.keras.layers.Dense(TURNS)])
    model.compile(
        optimizer=tf.keras.optimizers.Adam(tf.keras.optimizers.schedules.CosineDecay(2e-3, steps)),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    model.fit(shown.prefetch(2), epochs=EPOCHS, verbose=2)
    tf.saved_model.save(features, str(folder))


if __name__ == "__main__":
    train(HERE / "data", HERE / "modules" / "upright")
