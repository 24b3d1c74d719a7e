"""Small hub modules that augment images."""

from pathlib import Path

import tensorflow as tf

from hubline.trainer.autograph import leave_libraries_alone

Shape = list[int | None]


class Inverting(tf.Module):
    """Image augmentation as in https://www.tensorflow.org/hub/common_signatures/images: inverts the colours of half of
    the images, chosen by a seed or at random in each call."""

    def __init__(self, seeded: bool, shape: Shape) -> None:
        super().__init__()
        specs = [tf.TensorSpec([None, *shape], tf.float32, "images")]
        specs += [tf.TensorSpec([2], tf.int64, "seed")] if seeded else []
        self.__call__ = tf.function(self._seeded if seeded else self._unseeded, input_signature=specs)

    def _seeded(self, images, seed):
        return _inverted(images, tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seed))

    def _unseeded(self, images):
        return _inverted(images, tf.random.uniform([tf.shape(images)[0], 1, 1, 1]))


def _inverted(images: tf.Tensor, drawn: tf.Tensor) -> tf.Tensor:
    return tf.where(drawn < 0.5, 1.0 - images, images)


def inverting(path: Path, seeded: bool = True, shape: Shape | None = None) -> Path:
    tf.saved_model.save(Inverting(seeded, shape or [8, 8, 3]), str(path))
    return path


def keras_layers(path: Path) -> Path:
    """Keras' own layers, which are active in training only."""
    leave_libraries_alone()
    layers = tf.keras.layers
    tf.keras.Sequential([layers.Input([8, 8, 3]), layers.RandomFlip("horizontal", seed=1)]).save(
        str(path), save_format="tf"
    )
    return path
