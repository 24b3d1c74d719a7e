"""Raw example to model features, with TensorFlow and TF Transform only.

Importing this package settles two things for the whole program. `tf.keras` is Keras 2: TensorFlow reads the variable
when it is first imported, and TFX, TF Transform and TensorFlow Hub all expect Keras 2. And there is a home: for an
account without one, as in pods of OpenShift, Keras writes into a folder `~` of the working directory, and others fail.
"""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

if os.path.expanduser("~") == "~":  # noqa: PTH111
    os.environ["HOME"] = tempfile.mkdtemp(prefix="hubline-home-")
    atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)
