"""Models to predict with: some in the format of a pushed model, and hub modules of several types."""

from pathlib import Path

import numpy as np
import tensorflow as tf

from hubline.preprocessing.kinds.image import ImageFeature
from hubline.trainer import boxes
from hubline.trainer.inputs import pixels_of_batch
from tests.support import example_data


class Parity(tf.Module):
    """A two-class model in the format of a pushed one: predicts how far the column `x` is from 0, and whether `word` is
    long."""

    classes = ("low", "high")

    def answer(self, x: tf.Tensor, word: tf.Tensor) -> dict[str, tf.Tensor]:
        high = tf.sigmoid(x + tf.cast(tf.strings.length(word), tf.float32))
        scores = tf.stack([1 - high, high], axis=1)
        names = tf.constant(self.classes)
        return {
            "label": tf.gather(names, tf.argmax(scores, axis=1)),
            "score": tf.reduce_max(scores, axis=1),
            "classes": tf.tile(names[tf.newaxis], [tf.shape(scores)[0], 1]),
            "scores": scores,
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        spec = {"x": tf.io.FixedLenFeature([], tf.float32), "word": tf.io.FixedLenFeature([], tf.string, "")}
        return self.answer(**tf.io.parse_example(examples, spec))

    @tf.function(
        input_signature=[tf.TensorSpec([None], tf.float32, name="x"), tf.TensorSpec([None], tf.string, name="word")]
    )
    def predict(self, x: tf.Tensor, word: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(x, word)


def served(folder: Path) -> Path:
    """A serving folder with one version, `Parity`."""
    return served_as(folder, Parity())


class Brightness(tf.Module):
    """A regression model in the format of a pushed one, with images as its only input: `value` is the mean of the
    pixels."""

    @staticmethod
    def answer(image: tf.Tensor) -> dict[str, tf.Tensor]:
        def mean(encoded: tf.Tensor) -> tf.Tensor:
            return tf.reduce_mean(tf.cast(tf.io.decode_image(encoded, 3, expand_animations=False), tf.float32))

        return {"value": tf.map_fn(mean, image, fn_output_signature=tf.float32)}

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(tf.io.parse_example(examples, {"image": tf.io.FixedLenFeature([], tf.string)})["image"])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def predict(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(image)


def served_on_images(folder: Path) -> Path:
    """A serving folder with one version, `Brightness`."""
    return served_as(folder, Brightness())


class Dark(tf.Module):
    """A segmentation model in the format of a pushed one, 16 x 16 with `fit: pad`: dark pixels, including padding, are
    "road"."""

    FEATURE = ImageFeature.model_validate({"kind": "image", "from": "image", "size": [16, 16], "fit": "pad"})

    def answer(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        pixels = pixels_of_batch({"image": self.FEATURE}, {"image": self.FEATURE.encoded(image)})["image"]
        classes = tf.constant([["other", "road"]])
        return {
            "mask": tf.cast(pixels[..., 0] < 128, tf.uint8),
            "classes": tf.tile(classes, [tf.shape(image)[0], 1]),
            "covers": boxes.covered(self.FEATURE, image),
        }

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="examples")])
    def serving_default(self, examples: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(tf.io.parse_example(examples, {"image": tf.io.FixedLenFeature([], tf.string)})["image"])

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="image")])
    def predict(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        return self.answer(image)


def served_as(folder: Path, model: tf.Module) -> Path:
    """A serving folder with one version of a model."""
    signatures = {"serving_default": model.serving_default, "predict": model.predict}
    tf.saved_model.save(model, str(folder / "1"), signatures=signatures)
    return folder


def damaged(path: Path, record: int) -> Path:
    """Changes a byte in one record of an uncompressed TFRecord file with records of equal length."""
    content = bytearray(path.read_bytes())
    length = len(content) // len(example_data.read_tfrecord(path))
    content[record * length + 14] ^= 0xFF
    path.write_bytes(content)
    return path


CLASSES = 3


class Classifier(tf.Module):
    """Maps images, float32 [batch, 8, 8, 3] in [0, 1], to the mean of each channel, as logits."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, name="images")])
    def __call__(self, images: tf.Tensor) -> tf.Tensor:
        return 10 * tf.reduce_mean(images, [1, 2])


class Detector(tf.Module):
    """Maps a uint8 image, [1, height, width, 3], to the outputs of TensorFlow Hub's detectors: the bounds of white
    areas."""

    def __init__(self, in_pixels: bool = False) -> None:
        super().__init__()
        self._in_pixels = in_pixels

    @tf.function(input_signature=[tf.TensorSpec([1, None, None, 3], tf.uint8, name="input_tensor")])
    def __call__(self, image: tf.Tensor) -> dict[str, tf.Tensor]:
        white = tf.where(tf.reduce_min(image[0], axis=2) > 127)
        size = tf.cast(tf.shape(image)[1:3], tf.float32)
        top_left = tf.cast(tf.reduce_min(white, axis=0), tf.float32)
        bottom_right = tf.cast(tf.reduce_max(white, axis=0) + 1, tf.float32)
        box = tf.concat([top_left, bottom_right], 0)
        boxes = tf.stack([tf.constant([0.0, 0.0, 0.5, 0.5]) * tf.tile(size, [2]), box, box])
        return {
            "detection_boxes": (boxes if self._in_pixels else boxes / tf.tile(size, [2]))[tf.newaxis],
            "detection_scores": tf.constant([[0.25, 0.75, 0.99]]),
            "detection_classes": tf.constant([[1.0, 2.0, 3.0]]),
            "num_detections": tf.constant([2.0]),  # the last is padding
        }


class Generator(tf.Module):
    """Maps vectors, [batch, 4], to images, [batch, 6, 5, 3]: the sigmoid of the first three numbers at every pixel."""

    @tf.function(input_signature=[tf.TensorSpec([None, 4], tf.float32, name="latent")])
    def __call__(self, latent: tf.Tensor) -> tf.Tensor:
        return tf.tile(tf.sigmoid(latent[:, tf.newaxis, tf.newaxis, :3]), [1, 6, 5, 1])


class Negative(tf.Module):
    """A signature only: maps float32 images, [batch, any, any, 3] in [0, 1], to their negatives, and their means."""

    @tf.function(input_signature=[tf.TensorSpec([None, None, None, 3], tf.float32, name="picture")])
    def negative(self, picture: tf.Tensor) -> dict[str, tf.Tensor]:
        return {"negative": 1 - picture, "mean": tf.reduce_mean(picture, [1, 2])}


class Lengths(tf.Module):
    """Maps texts, [batch], to vectors, [batch, 2]: their length and its square."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        length = tf.cast(tf.strings.length(texts), tf.float32)
        return tf.stack([length, length**2], axis=1)


class Faces(tf.Module):
    """Maps images, float32 [batch, 8, 8, 3], to detections in all of them, [n, 6], without their image: each white
    pixel is a face. Also `mean` and `logs`, [batch, 3], and `sharpness`, one number for the batch."""

    @tf.function(input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.float32, name="images")])
    def __call__(self, images: tf.Tensor) -> dict[str, tf.Tensor]:
        places = tf.cast(tf.where(tf.reduce_min(images, -1) > 0.99)[:, 1:], tf.float32)
        return {
            "faces": tf.concat([places, places + 1, tf.ones_like(places) * [0.9, 1.0]], axis=1),
            "mean": tf.reduce_mean(images, [1, 2]),
            "logs": tf.math.log(tf.reduce_mean(images, [1, 2])),  # minus infinity for a black image
            "sharpness": tf.reduce_max(images),
        }


class Words(tf.Module):
    """Maps texts, [batch], to the words of all of them, string [n]."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        return tf.strings.split(texts).values


class Padded(tf.Module):
    """Maps texts, [batch], to the lengths of their words, padded to the longest text of the batch, float32 [batch,
    n]."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        return tf.cast(tf.strings.length(tf.strings.split(texts).to_tensor()), tf.float32)


class RaggedWords(tf.Module):
    """Maps texts, [batch], to the words of each, ragged [batch, n]."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string, name="texts")])
    def __call__(self, texts: tf.Tensor) -> tf.RaggedTensor:
        return tf.strings.split(texts)


def with_faces(*places: tuple[int, int]) -> bytes:
    """An encoded image in which `Faces` detects the given faces."""
    pixels = np.full([8, 8, 3], 40, np.uint8)
    for row, column in places:
        pixels[row, column] = 255
    return example_data.image_bytes(pixels)


def saved(path: Path, module: tf.Module, **signatures: str) -> Path:
    """Saves a module, with methods as signatures."""
    functions = {name: getattr(module, method) for name, method in signatures.items()}
    tf.saved_model.save(module, str(path), signatures=functions or None)
    return path


def white_box(height: int, width: int, top: int, left: int, bottom: int, right: int) -> bytes:
    """An encoded black image with a white rectangle."""
    pixels = np.zeros([height, width, 3], np.uint8)
    pixels[top:bottom, left:right] = 255
    return example_data.image_bytes(pixels)
