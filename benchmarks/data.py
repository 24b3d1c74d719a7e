"""Generates data for the benchmarks: images, small records, hub modules. Deterministic."""

import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import tensorflow as tf
from PIL import Image, ImageDraw
from rich.console import Console

from hubline.pipeline.convert.convert import Options, convert
from hubline.pipeline.convert.from_csv import CsvFile, Dialect
from hubline.pipeline.init.command import init

CLASSES = ("circle", "square", "triangle", "cross", "stripes")
SITES = (b"north", b"east", b"south", b"west")
SIZE = 96
"""Input height and width of the hub module."""

_DISTINCT = 250
"""Number of different images. Records repeat them under different names, so that no two records are equal."""


def pictures(folder: str, count: int, height: int, width: int, shards: int) -> None:
    """Writes uncompressed TFRecords with JPEG images: `image`, `label` (0 to 4), `site` (one of four) and `name`.

    Args:
        folder: Target folder for `*.tfrecord`; nothing is written if it exists.
        count: Total number of records.
        height: Height of the images.
        width: Width of the images.
        shards: Number of files.
    """
    drawn = [_picture(number, height, width) for number in range(min(_DISTINCT, count))]

    def records() -> Iterator[bytes]:
        for number in range(count):
            image, label = drawn[number % len(drawn)]
            site = SITES[number // len(drawn) % len(SITES)]
            yield _record({"image": image, "site": site, "name": b"picture-%07d" % number, "label": label})

    _write(Path(folder), records(), count, shards)


def small_records(folder: str, count: int, shards: int) -> None:
    """Writes uncompressed TFRecords of about 500 bytes: thirteen numbers, three strings, a thumbnail and a label."""
    random = np.random.default_rng(0)
    thumbnails = [_png(random.integers(0, 256, [4, 4, 3], np.uint8)) for _ in range(100)]
    numbers = random.normal(size=[count, 8]).astype(np.float32)
    integers = random.integers(0, 1000, [count, 5])

    def records() -> Iterator[bytes]:
        for number in range(count):
            columns: dict[str, bytes | int | float] = {f"amount_{n}": float(v) for n, v in enumerate(numbers[number])}
            columns |= {f"count_{n}": int(v) for n, v in enumerate(integers[number])}
            columns |= {f"kind_{n}": b"kind-%03d" % (number * (n + 1) % 300) for n in range(2)}
            columns |= {"name": b"record-%09d" % number, "image": thumbnails[number % 100], "label": number % 5}
            yield _record(columns)

    _write(Path(folder), records(), count, shards)


def housing(csv: str, folder: str) -> None:
    """Converts the California housing CSV, as `hubline convert csv` does."""
    convert([CsvFile(csv, Dialect())], Options(output=Path(folder)), Console(quiet=True))


def photographs(source: str, folder: str) -> None:
    """Converts the photographs in the folders `train` and `validation` of `source`, as `hubline convert images`
    does."""
    for part in ("train", "validation"):
        output = Path(folder, f"{part}.unfinished")
        convert_command = ["convert", "images", f"{source}/{part}", "--output", str(output), "--max-side", "256"]
        subprocess.run(
            [sys.executable, "-m", "hubline.pipeline.cli", *convert_command], check=True, capture_output=True
        )
        for file in output.iterdir():
            file.rename(Path(folder, f"{part}-{file.name}"))
        output.rmdir()


def upright(data: str, folder: str) -> None:
    """Trains the module of the photographs example."""
    from examples.photographs.make_module import train

    train(Path(data), Path(folder))


def taxi(folder: str, times: int) -> None:
    """Writes the 15,000 taxi trips that TFX ships as uncompressed TFRecords, several times over.

    Args:
        folder: Target folder for `*.tfrecord`.
        times: How often to write each trip; each time with a different `copy`, so that no two records are equal.
    """
    from examples.taxi.make_data import files

    records = [record.numpy() for record in tf.data.TFRecordDataset(list(map(str, files())), "GZIP")]

    def copies() -> Iterator[bytes]:
        for copy in range(times):
            column = tf.train.Feature(int64_list=tf.train.Int64List(value=[copy]))
            mark = tf.train.Example(features=tf.train.Features(feature={"copy": column})).SerializeToString()
            yield from (record + mark for record in records)

    _write(Path(folder), copies(), len(records) * times, 8)


def profiled_taxi(data: str, file: str) -> None:
    """Writes a pipeline file for the taxi trips with `hubline init`."""
    init(f"{data}/*.tfrecord", "tips", None, Path(file), overwrite=True, console=Console(quiet=True))


def module(folder: str) -> None:
    """Saves MobileNetV2 0.35 with random weights as a hub module, in the format of those on TensorFlow Hub.

    It contains one function per way of calling it and the variables, but no Keras layers. Its input is float32 [batch,
    96, 96, 3] in [0, 1]; its output is [batch, 1280].
    """
    tf.keras.utils.set_random_seed(0)
    network = tf.keras.applications.MobileNetV2([SIZE, SIZE, 3], 0.35, False, weights=None, pooling="avg")
    _settle(network)

    @tf.function(autograph=False)
    def call(images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return network(images * 2.0 - 1.0, training=training)

    for training in (False, True):
        call.get_concrete_function(tf.TensorSpec([None, SIZE, SIZE, 3], tf.float32, name="images"), training=training)
    reusable = tf.train.Checkpoint()
    reusable.__call__ = call
    reusable.variables = network.variables
    reusable.trainable_variables = network.trainable_variables
    tf.saved_model.save(reusable, folder)


def _settle(network: tf.keras.Model) -> None:
    """Adapts batch normalization to some images; otherwise, random weights give the same vector for all images."""
    drawn = [tf.io.decode_jpeg(_picture(number, SIZE, SIZE)[0]) for number in range(64)]
    for layer in network.layers:
        if isinstance(layer, tf.keras.layers.BatchNormalization):
            layer.momentum = 0.0
    network(tf.cast(tf.stack(drawn), tf.float32) / 127.5 - 1.0, training=True)


def trivial_module(folder: str) -> None:
    """Saves a hub module that costs next to nothing: it maps float32 [batch, 224, 224, 3] to the mean of some pixels,
    [batch, 3]."""
    scale = tf.Variable(tf.ones([3]), name="scale")

    @tf.function(autograph=False)
    def call(images: tf.Tensor, training: bool = False) -> tf.Tensor:
        return tf.reduce_mean(images[:, ::32, ::32], [1, 2]) * scale

    for training in (False, True):
        call.get_concrete_function(tf.TensorSpec([None, 224, 224, 3], tf.float32, name="images"), training=training)
    reusable = tf.train.Checkpoint()
    reusable.__call__ = call
    reusable.variables = reusable.trainable_variables = [scale]
    tf.saved_model.save(reusable, folder)


def _picture(number: int, height: int, width: int) -> tuple[bytes, int]:
    """A JPEG with the shape of its class, at a random position and in a random colour, on noise; and the class."""
    random = np.random.default_rng(number)
    label = number % len(CLASSES)
    ground = random.normal(random.uniform(60, 200, 3), 32, [height // 2, width // 2, 3]).clip(0, 255).astype(np.uint8)
    image = Image.fromarray(ground).resize((width, height), Image.Resampling.BILINEAR)
    draw = ImageDraw.Draw(image)
    colour = tuple(int(value) for value in random.integers(0, 256, 3))
    radius = min(height, width) * random.uniform(0.2, 0.35)
    x, y = random.uniform(radius, width - radius), random.uniform(radius, height - radius)
    box = [x - radius, y - radius, x + radius, y + radius]
    if CLASSES[label] == "circle":
        draw.ellipse(box, fill=colour)
    elif CLASSES[label] == "square":
        draw.rectangle(box, fill=colour)
    elif CLASSES[label] == "triangle":
        draw.polygon([(x, y - radius), (x - radius, y + radius), (x + radius, y + radius)], fill=colour)
    elif CLASSES[label] == "cross":
        draw.rectangle([x - radius, y - radius / 4, x + radius, y + radius / 4], fill=colour)
        draw.rectangle([x - radius / 4, y - radius, x + radius / 4, y + radius], fill=colour)
    else:
        for line in np.arange(-radius, radius, radius / 4):
            draw.line([(x - radius, y + line), (x + radius, y + line)], fill=colour, width=max(1, int(radius / 10)))
    out = io.BytesIO()
    image.save(out, format="JPEG", quality=90)
    return out.getvalue(), label


def _png(pixels: np.ndarray) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, format="PNG")
    return out.getvalue()


def _record(columns: dict[str, bytes | int | float]) -> bytes:
    return tf.train.Example(
        features=tf.train.Features(feature={name: _feature(value) for name, value in columns.items()})
    ).SerializeToString()


def _feature(value: bytes | int | float) -> tf.train.Feature:
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    if isinstance(value, int):
        return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))
    return tf.train.Feature(float_list=tf.train.FloatList(value=[value]))


def _write(folder: Path, records: Iterator[bytes], count: int, shards: int) -> None:
    """Writes records to files with equal numbers of records, under a temporary name until all are complete."""
    if folder.exists():
        return
    unfinished = folder.with_name(f"{folder.name}.unfinished-{os.getpid()}")
    unfinished.mkdir(parents=True)
    for shard in range(shards):
        with tf.io.TFRecordWriter(str(unfinished / f"data-{shard:05d}-of-{shards:05d}.tfrecord")) as writer:
            for _ in range(count * shard // shards, count * (shard + 1) // shards):
                writer.write(next(records))
    unfinished.rename(folder)
