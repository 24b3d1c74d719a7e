"""Functions that are traced once in a process."""

from __future__ import annotations

import atexit
from collections.abc import Callable
from functools import cache, wraps
from typing import TYPE_CHECKING

from hubline.core.lazy_import import tf

if TYPE_CHECKING:
    Function = Callable[[tf.Tensor], tf.Tensor]


def traced_once(function: Function) -> Function:
    """Decorates a function of one scalar string: all graphs call one graph function.

    Tracing conditions and loops takes tenths of a second, and training traces its input path a dozen times. The call
    costs some 20 microseconds, so this is for paths that few strings take.
    """

    @cache
    def graph_function() -> tf.types.experimental.PolymorphicFunction:
        return tf.function(function, input_signature=[tf.TensorSpec([], tf.string)], autograph=False)

    # TensorFlow can't delete a graph function once the interpreter has cleared TensorFlow's modules.
    atexit.register(graph_function.cache_clear)

    @wraps(function)
    def call(encoded: tf.Tensor) -> tf.Tensor:
        return graph_function()(encoded)

    return call
