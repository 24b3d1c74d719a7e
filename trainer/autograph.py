"""Excludes code that needs no conversion from AutoGraph."""

from hubline.trainer.adapters.tensorflow import exclude_from_autograph

_LIBRARIES = ("tf_keras", "tensorflow_hub", "tensorflow_transform", "hubline.preprocessing", "hubline.trainer")
"""TensorFlow 2.16 does not recognize `tf_keras` and converts all of Keras' source in the first step of a `fit`, which
then takes 23 s instead of 1.3 s; newer versions have the rule. Neither the other libraries nor our own graph code has
Python control flow on tensors."""


def leave_libraries_alone() -> None:
    """Excludes Keras and everything else that builds graphs from AutoGraph."""
    exclude_from_autograph(_LIBRARIES)
