"""TFX components of our own, one folder each: a component specification and the executor that does the work."""

import preprocessing  # noqa: F401 - settles Keras 2 before TensorFlow is imported
