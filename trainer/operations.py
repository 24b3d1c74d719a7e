"""The operations in a SavedModel, and whether the installed TensorFlow has them; found without importing TensorFlow."""

import importlib.util
import re
from collections.abc import Iterable
from importlib import import_module

from hubline.core.errors import UserError, library_reason
from hubline.core.package_versions import install_command, version
from hubline.trainer.adapters.tensorflow_library import registered_operations

_PACKAGES = {
    "tensorflow_text": r"TFText>.*|Sentencepiece.*|(Fast)?Wordpiece.*|(Whitespace|UnicodeScript|Phrase)Tokenize.*"
    r"|RegexSplitWithOffsets|SplitMerge.*|SentenceFragments.*|TokenizerFromLogits|FastBertNormalize|NormalizeUTF8.*"
    r"|CaseFoldUTF8|FindSourceOffsets|ConstrainedSequence|MaxSpanningTree|RougeL",
    "tensorflow_addons": r"Addons>.*",
    "tensorflow_io": r"IO>.*",
    "tensorflow_decision_forests": r"SimpleML.*",
    "tensorflow_recommenders_addons": r"TFRA>.*",
}
"""By package, the operations that importing it registers."""


def provide(operations: Iterable[str]) -> None:
    """Makes operations available by importing the packages that register the missing ones.

    Raises:
        UserError: listing the operations that are still missing and the packages that provide them.
    """
    absent = missing(operations)
    for package in sorted({package for name in absent if (package := package_of(name)) and is_installed(package)}):
        try:
            import_module(package)
        except Exception as error:  # a package for another TensorFlow version raises errors of its own or of TensorFlow
            reason = library_reason(error)
            raise UserError(f"{_distribution(package)} is installed, but cannot be imported: {reason}") from error
    refuse(missing(absent) if absent else [])


def check(operations: Iterable[str]) -> None:
    """Like `provide`, but assumes that an installed package registers its operations."""
    refuse([name for name in missing(operations) if not ((package := package_of(name)) and is_installed(package))])


def refuse(absent: list[str]) -> None:
    """Raises a UserError listing the missing operations, if any, and the packages that provide them."""
    if not absent:
        return
    by_package: dict[str | None, list[str]] = {}
    for name in absent:
        by_package.setdefault(package_of(name), []).append(name)
    parts = [
        f"{', '.join(names)} ({_where(package)})"
        for package, names in sorted(by_package.items(), key=lambda item: item[0] or "~")
    ]
    raise UserError(f"it uses operations that this TensorFlow doesn't have: {'; '.join(parts)}")


def missing(operations: Iterable[str]) -> list[str]:
    """The operations that TensorFlow has not registered, sorted; none if TensorFlow is not installed."""
    known = registered_operations()
    return sorted(set(operations) - known) if known else []


def package_of(operation: str) -> str | None:
    """The package that registers an operation, if known."""
    return next((package for package, names in _PACKAGES.items() if re.fullmatch(names, operation)), None)


def is_installed(package: str) -> bool:
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
