"""Hubline: from TFRecords and a TensorFlow Hub module to a validated SavedModel in serving.

The rooms of the package are folders at the root of the repository; this folder links to them, so that they have one
import name.

Importing the package settles two things for the whole program. `tf.keras` is Keras 2: TensorFlow reads the variable
when it is first imported, and TFX, TF Transform and TensorFlow Hub all expect Keras 2. And there is a home folder: an
account without one, as in pods of OpenShift, makes Keras write into a folder `~` of the working directory.
"""

import atexit
import os
import shutil
import tempfile

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

if os.path.expanduser("~") == "~":  # noqa: PTH111
    os.environ["HOME"] = tempfile.mkdtemp(prefix="hubline-home-")
    atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)
