"""Creates the clips and hub module of the video example: scikit-learn's handwritten digits in motion.

The 1,797 digits (8x8 grey, from the UCI Optical Recognition set, which scikit-learn ships) are divided in two. The
first 897 move fast, slowly or not at all; a small 3D convolutional network learns to classify the speed, and is saved
as a video module. The other 900, written by other people, move left, right, up, down or not at all, and become the
records of the example. So the module has seen neither the digits nor the classes that it is used on.

    python examples/video/make_data.py

For `gestures.yaml`, `python examples/video/make_data.py gestures` writes other clips of the same 900 digits. A digit
moves left, right or not at all; up, down or not at all; and it grows, shrinks or neither: 27 classes, as many as the
hand gestures of the data set Jester.
"""

import io
import itertools
import os
import sys
from collections.abc import Callable, Sequence
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
CANVAS = 24
DIGIT = 8
FRAMES = 8
WAYS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0), "still": (0, 0)}
"""Direction of motion by class: rows and columns."""
SPEEDS = 3
"""Number of classes for training the module: speeds, in any direction."""
GESTURES = tuple(itertools.product(("left", "right", ""), ("up", "down", ""), ("nearer", "farther", "")))
"""Motion along the three axes by class; an empty string is none."""
CLIPS = 80  # of each gesture


def moving(digit: np.ndarray, way: tuple[int, int], distance: int, frames: int, rng: np.random.Generator) -> np.ndarray:
    """A clip, uint8 [frames, 24, 24].

    Args:
        digit: uint8 [8, 8].
        way: Direction of motion.
        distance: Total distance in pixels, at most 16.
        frames: Number of frames.
        rng: Draws the position in the middle of the clip, and noise.
    """
    shares = np.linspace(-0.5, 0.5, frames)[:, np.newaxis] * distance
    room = (CANVAS - DIGIT - distance) // 2
    middle = (CANVAS - DIGIT) // 2 + rng.integers(-room, room + 1, 2)
    places = np.clip(np.round(middle + shares * np.array(way)), 0, CANVAS - DIGIT).astype(int)
    clip = rng.integers(0, 30, [frames, CANVAS, CANVAS])
    for frame, (top, left) in zip(clip, places, strict=True):
        frame[top : top + DIGIT, left : left + DIGIT] += digit
    return np.clip(clip, 0, 255).astype(np.uint8)


def clips_for_the_module(digits: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Clips, uint8 [n, 8, 24, 24], and the speed of the digit in each: 0, 1 or 2."""
    rng = np.random.default_rng(0)
    ways = [way for way in WAYS.values() if way != (0, 0)]
    clips, speeds = [], []
    for number, digit in enumerate(np.concatenate([digits] * 3)):
        speed = number % SPEEDS
        distance = (0, rng.integers(3, 7), rng.integers(9, 13))[speed]
        clips.append(moving(digit, ways[rng.integers(len(ways))], int(distance), FRAMES, rng))
        speeds.append(speed)
    return np.stack(clips), np.array(speeds)


def train_module(digits: np.ndarray, folder: Path) -> None:
    """Trains a small network to classify the speed of digits, and saves all but its last layer as a hub module.

    Its input is float32 [batch, 8, 24, 24, 1] in [0, 1]; its output is [batch, 64].
    """
    tf.keras.utils.set_random_seed(0)
    clips, speeds = clips_for_the_module(digits)
    layers = tf.keras.layers
    features = tf.keras.Sequential(
        [
            layers.Input([FRAMES, CANVAS, CANVAS, 1]),
            layers.AveragePooling3D([1, 2, 2]),
            layers.Conv3D(16, 3, padding="same", activation="relu"),
            layers.MaxPooling3D([1, 2, 2]),
            layers.Conv3D(32, 3, padding="same", activation="relu"),
            layers.MaxPooling3D(2),
            layers.Flatten(),
            layers.Dense(64, activation="relu"),
        ]
    )
    model = tf.keras.Sequential([features, layers.Dense(SPEEDS)])
    model.compile(
        optimizer=tf.keras.optimizers.Adam(2e-3),
        loss=tf.keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        metrics=["accuracy"],
    )
    data = tf.data.Dataset.from_tensor_slices((clips[..., np.newaxis] / np.float32(255), speeds))
    history = model.fit(data.shuffle(len(clips), seed=0).batch(32), epochs=5, verbose=0)
    print(
        f"The module was trained on {len(clips)} clips; accuracy on their speed: {history.history['accuracy'][-1]:.3f}"
    )
    features.save(str(folder), save_format="tf")


def gesture(digit: np.ndarray, motion: tuple[str, str, str], rng: np.random.Generator) -> np.ndarray:
    """A clip of 6 to 16 frames, uint8 [frames, 24, 24].

    Args:
        digit: uint8 [8, 8].
        motion: One of `GESTURES`.
        rng: Draws the length of the clip, the extent of the motion, the position in the middle of the clip, and noise.
    """
    sideways, upwards, towards = motion
    frames = int(rng.integers(6, 17))
    shares = np.linspace(-0.5, 0.5, frames)
    step = {"left": -1, "up": -1, "farther": -1, "right": 1, "down": 1, "nearer": 1, "": 0}
    centers = CANVAS / 2 + rng.uniform(-1.5, 1.5, 2) + shares[:, np.newaxis] * rng.uniform(6, 10, 2) * [
        step[upwards], step[sideways]
    ]  # fmt: skip
    sides = np.round(rng.uniform(7, 9) + shares * rng.uniform(5, 8) * step[towards]).astype(int)
    clip = rng.integers(0, 30, [frames, CANVAS, CANVAS])
    for frame, center, side in zip(clip, centers, sides, strict=True):
        resized = np.asarray(Image.fromarray(digit.astype(np.uint8)).resize((side, side), Image.Resampling.BILINEAR))
        top, left = np.clip(np.round(center - side / 2), 0, CANVAS - side).astype(int)
        frame[top : top + side, left : left + side] += resized
    return np.clip(clip, 0, 255).astype(np.uint8)


def write_gestures(digits: np.ndarray, folder: Path) -> None:
    """Writes the clips of all gestures, labelled such as `left-up-nearer`, to GZIP TFRecord shards."""
    rng = np.random.default_rng(2)
    records = []
    for number in range(CLIPS * len(GESTURES)):
        motion = GESTURES[number % len(GESTURES)]
        clip = gesture(digits[rng.integers(len(digits))], motion, rng)
        records.append(example(clip, "-".join(filter(None, motion)) or "still"))
    write_shards(records, folder)


def write_records(digits: np.ndarray, folder: Path) -> None:
    """Writes a clip of each digit, 6 to 16 PNGs, with its direction to GZIP TFRecord shards."""
    rng = np.random.default_rng(1)
    records = []
    for number, digit in enumerate(digits):
        label = list(WAYS)[number % len(WAYS)]
        clip = moving(digit, WAYS[label], int(rng.integers(5, 13)), int(rng.integers(6, 17)), rng)
        records.append(example(clip, label))
    write_shards(records, folder)


def write_shards(records: Sequence[tf.train.Example], folder: Path) -> None:
    """Writes records to GZIP TFRecord shards."""
    folder.mkdir(parents=True)
    for shard in range(SHARDS):
        path = folder / f"clips-{shard:05d}-of-{SHARDS:05d}.tfrecord.gz"
        with tf.io.TFRecordWriter(str(path), "GZIP") as writer:
            for record in records[shard::SHARDS]:
                writer.write(record.SerializeToString())


def example(clip: np.ndarray, label: str) -> tf.train.Example:
    """One record: `frames`, a list of PNGs, and `label`, such as `left`."""
    frames = []
    for frame in clip:
        png = io.BytesIO()
        Image.fromarray(frame).save(png, format="PNG")
        frames.append(png.getvalue())
    return tf.train.Example(
        features=tf.train.Features(
            feature={
                "frames": tf.train.Feature(bytes_list=tf.train.BytesList(value=frames)),
                "label": tf.train.Feature(bytes_list=tf.train.BytesList(value=[label.encode()])),
            }
        )
    )


def main() -> None:
    """Creates missing files."""
    digits = (load_digits().images * (225 / 16)).round().astype(np.int64)
    if not (HERE / "modules" / "speed" / "saved_model.pb").exists():
        from hubline.trainer.autograph import leave_libraries_alone

        leave_libraries_alone()
        train_module(digits[:FOR_THE_MODULE], HERE / "modules" / "speed")
    write: dict[str, Callable[[np.ndarray, Path], None]] = {"data": write_records}
    if "gestures" in sys.argv[1:]:
        write["data/gestures"] = write_gestures
    for folder, written in write.items():
        if not (HERE / folder).exists():
            unfinished = HERE / f"{folder}.unfinished"
            written(digits[FOR_THE_MODULE:], unfinished)
            unfinished.rename(HERE / folder)


if __name__ == "__main__":
    main()
