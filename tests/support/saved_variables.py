"""The variables of a SavedModel."""

import numpy as np
import tensorflow as tf


def variables_of(path: str) -> dict[str, np.ndarray]:
    """Values by name, without the suffix `:0` of TensorFlow's names."""
    loaded = tf.saved_model.load(path)  # TrackableView doesn't keep a reference to it
    parts = tf.train.TrackableView(loaded).descendants()
    return {part.name.partition(":")[0]: part.numpy() for part in parts if isinstance(part, tf.Variable)}
