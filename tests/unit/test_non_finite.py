"""Non-finite numbers are traced to their source."""

import numpy as np
import pytest
import tensorflow as tf

from hubline.trainer.non_finite import are_finite, not_finite

NAN, INFINITY = float("nan"), float("inf")


@pytest.mark.parametrize("shape", [[4, 3], [4], [4, 2, 5, 1], [0, 3], [4, 0]])
def test_each_example_is_looked_at_by_itself(shape: list[int]) -> None:
    values = np.zeros(shape, np.float32)
    if values.size:
        values.reshape(shape[0], -1)[2, -1] = -INFINITY
        values.reshape(shape[0], -1)[1, 0] = NAN
    expected = np.isfinite(values.reshape(shape[0], -1) if values.size else np.zeros([shape[0], 1])).all(1)
    spec = tf.TensorSpec([None] * len(shape), tf.float32)
    for function in (are_finite, tf.function(are_finite, input_signature=[spec])):
        np.testing.assert_array_equal(function(tf.constant(values)), expected)


def test_integers_are_finite() -> None:
    np.testing.assert_array_equal(are_finite(tf.constant([[1, 2], [3, 4]])), [True, True])


def test_the_error_names_record_module_and_output() -> None:
    values = np.array([1, NAN, INFINITY, 0], np.float32)
    assert str(not_finite("photos", "default", values, "a.tfrecord: record 3 (counted from 0)")).startswith(
        "a.tfrecord: record 3 (counted from 0): hubs.photos: the module's output 'default' is nan in 2 of 4 numbers; "
    )
