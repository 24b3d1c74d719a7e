"""An error on its way from a worker: with its own type and text if it is one of ours, else with the traceback."""

import importlib
import traceback

from hubline.core.config_base import Section

_PACKAGE = "hubline."


class WorkerError(Exception):
    """An unexpected error in a worker. The cause has the worker's traceback."""


class WorkerTraceback(Exception):
    """The traceback of an error in another process, as text."""

    def __str__(self) -> str:
        """The text, on lines of its own."""
        return f"\n{self.args[0]}"


class Failure(Section):
    """An error of a worker."""

    module: str = ""
    """Module of the error's class, or of the first base class of ours that takes only a text; empty for others."""
    name: str
    text: str
    traceback: str

    @classmethod
    def of(cls, error: BaseException) -> "Failure":
        """What to tell about an error."""
        ours = [
            base
            for base in type(error).__mro__
            if base.__module__.startswith(_PACKAGE) and not _has_own_arguments(base)
        ]
        kind = ours[0] if ours else type(error)
        return cls(
            module=kind.__module__ if ours else "",
            name=kind.__name__,
            text=_printable(str(error)),
            traceback=_printable("".join(traceback.format_exception(error))),
        )

    def error(self) -> Exception:
        """The error to raise in the step's own process."""
        if self.module:
            error = getattr(importlib.import_module(self.module), self.name)(self.text)
        else:
            error = WorkerError(f"{self.name}: {self.text}")
        error.__cause__ = WorkerTraceback(self.traceback)
        return error


def _printable(text: str) -> str:
    """Text without lone surrogates, as of paths that are no UTF-8; JSON has no place for them."""
    return text.encode(errors="backslashreplace").decode()


def _has_own_arguments(kind: type) -> bool:
    return any("__init__" in vars(base) for base in kind.__mro__[: kind.__mro__.index(Exception)])
