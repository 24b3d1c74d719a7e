"""Hubline: from TFRecords and a TensorFlow Hub module to a validated SavedModel in serving.

The subpackages are folders at the root of the repository; this folder links to them, so that they share one import
name.

Importing the package has three effects on the process. `tf.keras` is Keras 2: TensorFlow reads the environment variable
on its first import, and TFX, TF Transform and TensorFlow Hub all expect Keras 2. And there is a home folder: for
accounts without one, as in OpenShift pods, Keras would create a folder named `~` in the working directory. And Beam is
imported without connectors that nothing here uses.
"""

import atexit
import os
import shutil
import tempfile

from hubline.core.adapters import light_beam

os.environ.setdefault("TF_USE_LEGACY_KERAS", "1")

if os.path.expanduser("~") == "~":  # noqa: PTH111
    os.environ["HOME"] = tempfile.mkdtemp(prefix="hubline-home-")
    atexit.register(shutil.rmtree, os.environ["HOME"], ignore_errors=True)

light_beam.install()
