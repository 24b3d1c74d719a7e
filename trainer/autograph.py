"""Keeps AutoGraph off code that needs no conversion."""

from hubline.trainer.adapters.tensorflow import exclude_from_autograph

_LIBRARIES = ("tf_keras", "tensorflow_hub", "tensorflow_transform", "hubline.preprocessing", "hubline.trainer")
"""TensorFlow 2.16 does not know `tf_keras` and converts all of Keras' source at the first step of a `fit`, which then
takes 23 s instead of 1.3 s; newer versions have the rule. Neither the other libraries' graphs nor our own
have Python control flow on tensors."""


def leave_libraries_alone() -> None:
    """Tells AutoGraph that Keras and the rooms that make graphs are not to be converted."""
    exclude_from_autograph(_LIBRARIES)
