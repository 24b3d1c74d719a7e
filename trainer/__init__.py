"""Model features to a trained and exported model, with TensorFlow only."""

import preprocessing  # noqa: F401 - settles Keras 2 before TensorFlow is imported
