"""Signatures for TensorFlow Serving's Classify and Regress requests."""

from collections.abc import Callable
from typing import Any, NamedTuple

import tensorflow as tf

from hubline.trainer.export_format import CLASSIFY, REGRESS
from hubline.trainer.inputs import Tensors
from hubline.trainer.task import CLASSES, SCORES, VALUE


class Signature(NamedTuple):
    """A signature, and the method name by which TensorFlow Serving recognizes the requests that it answers."""

    function: Callable
    method: str


def for_serving_requests(answer: Any) -> dict[str, Signature]:
    """The signatures `CLASSIFY` and `REGRESS`, if the outputs of a model fit them.

    Args:
        answer: The concrete function of the signature `SERVING`.
    """
    given = answer.structured_outputs
    if {CLASSES, SCORES} <= given.keys() and given[SCORES].shape.rank == 2:
        outputs = {tf.saved_model.CLASSIFY_OUTPUT_CLASSES: CLASSES, tf.saved_model.CLASSIFY_OUTPUT_SCORES: SCORES}
        classify = _signature(lambda found: {name: found[of] for name, of in outputs.items()}, answer)
        return {CLASSIFY: Signature(classify, tf.saved_model.CLASSIFY_METHOD_NAME)}
    if VALUE in given and given[VALUE].shape.rank == 1:
        # TensorFlow Serving accepts no other dtype.
        regress = _signature(lambda found: {_OUTPUTS: tf.cast(found[VALUE], tf.float32)[:, tf.newaxis]}, answer)
        return {REGRESS: Signature(regress, tf.saved_model.REGRESS_METHOD_NAME)}
    return {}


_OUTPUTS = tf.saved_model.REGRESS_OUTPUTS


def _signature(choose: Callable[[Tensors], Tensors], answer: Any) -> Callable:
    inputs = tf.TensorSpec([None], tf.string, name=tf.saved_model.CLASSIFY_INPUTS)  # the same name in Regress

    @tf.function(input_signature=[inputs])
    def signature(inputs: tf.Tensor) -> Tensors:
        return choose(answer(examples=inputs))

    return signature
