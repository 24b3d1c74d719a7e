"""Keeps AutoGraph off Keras."""

from tensorflow.python.autograph.core import config


def leave_keras_alone() -> None:
    """Tells AutoGraph that `tf_keras` is a library.

    TensorFlow 2.16 does not know it and converts all of Keras' source at the first step of a `fit`, which then takes
    23 s instead of 1.3 s. Newer versions have the rule; there this does nothing.
    """
    if not any(rule.matches("tf_keras") for rule in config.CONVERSION_RULES):
        config.CONVERSION_RULES = (config.DoNotConvert("tf_keras"), *config.CONVERSION_RULES)
