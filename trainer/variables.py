"""Variables of loaded modules."""

from typing import Any

import tensorflow as tf


def variables_of(loaded: Any) -> list[tf.Variable]:
    """All variables of a module, in the same order whenever the module is loaded."""
    return [part for part in tf.train.TrackableView(loaded).descendants() if isinstance(part, tf.Variable)]
