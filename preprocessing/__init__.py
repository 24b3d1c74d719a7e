"""Raw example to model features, with TensorFlow and TF Transform only.

Importing this package settles, for the whole program, that `tf.keras` is Keras 2: TensorFlow reads the variable when it
is first imported, and TFX, TF Transform and TensorFlow Hub all expect Keras 2.
"""

import os

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")
