"""The operations that a SavedModel is made of, and whether TensorFlow here has them; asked without importing it."""

import ctypes
import importlib.util
import os
import re
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path

from tensorboard.compat.proto import op_def_pb2

from hubline.core.errors import UserError, library_reason
from hubline.core.package_versions import install_command, version

_PACKAGES = {
    "tensorflow_text": r"TFText>.*|Sentencepiece.*|(Fast)?Wordpiece.*|(Whitespace|UnicodeScript|Phrase)Tokenize.*"
    r"|RegexSplitWithOffsets|SplitMerge.*|SentenceFragments.*|TokenizerFromLogits|FastBertNormalize|NormalizeUTF8.*"
    r"|CaseFoldUTF8|FindSourceOffsets|ConstrainedSequence|MaxSpanningTree|RougeL",
    "tensorflow_addons": r"Addons>.*",
    "tensorflow_io": r"IO>.*",
    "tensorflow_decision_forests": r"SimpleML.*",
    "tensorflow_recommenders_addons": r"TFRA>.*",
}
"""By what is imported, the operations that importing it registers."""

_LIBRARY = "libtensorflow_cc.so.2"


def provide(operations: Iterable[str]) -> None:
    """Sees to it that TensorFlow has some operations: imports the packages that bring what it lacks.

    Raises:
        UserError: with all that are missing still, and what brings them.
    """
    absent = missing(operations)
    for package in sorted({package for name in absent if (package := package_of(name)) and _is_installed(package)}):
        try:
            import_module(package)
        except Exception as error:  # of a package for another TensorFlow its own, and TensorFlow's
            reason = library_reason(error)
            raise UserError(f"{_distribution(package)} is installed, but cannot be imported: {reason}") from error
    refuse(missing(absent) if absent else [])


def check(operations: Iterable[str]) -> None:
    """As `provide`, but takes it that a package which is installed brings its operations."""
    refuse([name for name in missing(operations) if not ((package := package_of(name)) and _is_installed(package))])


def refuse(absent: list[str]) -> None:
    """Raises a UserError with the operations that are missing, where there are any, and what brings them."""
    if not absent:
        return
    by_package: dict[str | None, list[str]] = {}
    for name in absent:
        by_package.setdefault(package_of(name), []).append(name)
    parts = [
        f"{', '.join(names)} ({_where(package)})"
        for package, names in sorted(by_package.items(), key=lambda item: item[0] or "~")
    ]
    raise UserError(f"it is made of operations that TensorFlow here does not have: {'; '.join(parts)}")


def missing(operations: Iterable[str]) -> list[str]:
    """Those that TensorFlow here has not registered, sorted; none where there is no TensorFlow to ask."""
    known = registered()
    return sorted(set(operations) - known) if known else []


def package_of(operation: str) -> str | None:
    """What is imported to have an operation, where that is known."""
    return next((package for package, names in _PACKAGES.items() if re.fullmatch(names, operation)), None)


def registered() -> frozenset[str]:
    """The operations of the TensorFlow that is installed, and of what else this process has loaded; none without it.

    TensorFlow's C library is asked, which loads in a tenth of the time that its Python takes.
    """
    found = importlib.util.find_spec("tensorflow")
    places = found.submodule_search_locations or [] if found else []
    libraries = [library for place in places if (library := Path(place, _LIBRARY)).exists()]
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
    """Keeps from standard error what libraries write there while they load."""
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


def _is_installed(package: str) -> bool:
    return importlib.util.find_spec(package) is not None


def _distribution(package: str) -> str:
    return package.replace("_", "-")


def _where(package: str | None) -> str:
    if package is None:
        return "custom operations, which whoever made the module has the library of"
    if package != "tensorflow_text":
        return f"{_distribution(package)} brings them, where there is one for this TensorFlow"
    minor = version("tensorflow").rpartition(".")[0]
    return f"tensorflow-text brings them: {install_command(f'tensorflow-text=={minor}.*')}"
