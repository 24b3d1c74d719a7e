"""Calls TensorFlow's C library without importing TensorFlow in Python.

Private: the file name, and that the functions can be called without initialization. The C API itself is public.
"""

import ctypes
import importlib.util
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hubline.trainer.adapters.tensorboard import op_def_pb2

_LIBRARY = "libtensorflow_cc.so.2"


def registered_operations() -> frozenset[str]:
    """Operations registered in the installed TensorFlow, and in libraries loaded by this process; empty without
    TensorFlow.

    The C library loads in a tenth of the time of `import tensorflow`.
    """
    found = importlib.util.find_spec("tensorflow")
    folders = found.submodule_search_locations or [] if found else []
    libraries = [library for folder in folders if (library := Path(folder, _LIBRARY)).exists()]
    if not libraries:
        return frozenset()
    with _silence():
        tensorflow = ctypes.CDLL(str(libraries[0]))
    tensorflow.TF_GetAllOpList.restype = ctypes.POINTER(_Buffer)
    listed = tensorflow.TF_GetAllOpList()
    try:
        operations = op_def_pb2.OpList.FromString(ctypes.string_at(listed.contents.data, listed.contents.length))
    finally:
        tensorflow.TF_DeleteBuffer(listed)
    return frozenset(operation.name for operation in operations.op)


@contextmanager
def _silence() -> Iterator[None]:
    """Suppresses what libraries write to standard error while they load."""
    sys.stderr.flush()
    kept = os.dup(2)
    try:
        with open(os.devnull, "w") as nowhere:  # noqa: PTH123
            os.dup2(nowhere.fileno(), 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)


class _Buffer(ctypes.Structure):
    """TF_Buffer of TensorFlow's C API."""

    _fields_ = [("data", ctypes.c_void_p), ("length", ctypes.c_size_t), ("deallocate", ctypes.c_void_p)]
