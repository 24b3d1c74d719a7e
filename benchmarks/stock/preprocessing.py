"""Module of the stock Transform: decodes the images to floats, which Transform materializes."""

from typing import Any

import tensorflow as tf


def transformed_name(key: str) -> str:
    """Name of a feature after Transform."""
    return f"{key}_xf"


def preprocessing_fn(inputs: dict[str, Any], custom_config: dict[str, Any]) -> dict[str, tf.Tensor]:
    """Decodes images to float32 [batch, height, width, 3] in [0, 1]; passes the label on, int64 [batch, 1]."""
    image, label, size = custom_config["image"], custom_config["label"], custom_config["size"]

    def decode(encoded: tf.Tensor) -> tf.Tensor:
        pixels = tf.io.decode_image(encoded, channels=3, expand_animations=False)
        return tf.image.resize(pixels, size) / 255.0

    pixels = tf.map_fn(
        decode, tf.reshape(_dense(inputs[image]), [-1]), fn_output_signature=tf.TensorSpec([*size, 3], tf.float32)
    )
    return {transformed_name(image): pixels, transformed_name(label): _dense(inputs[label])}


def _dense(values: Any) -> tf.Tensor:
    return tf.sparse.to_dense(values) if isinstance(values, tf.SparseTensor) else values
