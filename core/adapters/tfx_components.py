"""Keeps the package `tfx.components` from importing every TFX component.

TFX's launcher imports one of its modules, so Python runs the package's `__init__`, which imports all components along
with BigQuery, TFMA, Kubernetes and Docker: over two seconds for each process that runs a step. Here, the package is
created without running `__init__`. Its modules can be imported individually, and `__init__` runs when one of its names
is accessed, as in `from tfx.components import Trainer`.
"""

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType
from typing import Any

PACKAGE = "tfx.components"


def load_on_demand() -> None:
    """Defers loading `tfx.components` until one of its names is accessed. No effect if it is imported already.

    Private: that the launcher needs only single modules of `tfx.components`.
    """
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(MetaPathFinder):
    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> Any:
        if fullname != PACKAGE:
            return None
        spec = PathFinder.find_spec(fullname, path)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)
        return spec


class _Loader(Loader):
    def __init__(self, loader: Loader) -> None:
        self._loader = loader

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Package(spec.name, self._loader)

    def exec_module(self, module: ModuleType) -> None:
        """Runs nothing yet."""


class _Package(ModuleType):
    def __init__(self, name: str, loader: Loader) -> None:
        super().__init__(name)
        self._loader: Loader | None = loader

    def __getattr__(self, name: str) -> Any:
        loader = self.__dict__.get("_loader")
        if loader is None or name.startswith("__"):
            raise AttributeError(f"module '{self.__name__}' has no attribute '{name}'")
        self._loader = None
        loader.exec_module(self)
        return getattr(self, name)
