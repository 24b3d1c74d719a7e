"""Keeps connectors that Hubline never uses out of the import of Apache Beam.

`import apache_beam` loads the clients of BigQuery and Pub/Sub, with IPython and ipywidgets behind them, and that of
Azure's storage, in every process of a run. Beam itself does without them where they aren't installed. Code that imports
one of these modules by name still gets it.

Private: the names of the modules whose absence Beam tolerates, and `sys.modules`, which says how far the import of Beam
is.
"""

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

_UNUSED = ("apache_beam.io.gcp.bigquery", "apache_beam.io.azure.blobstoragefilesystem")


class _WithoutConnectors(MetaPathFinder):
    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        if name in _UNUSED and not hasattr(sys.modules["apache_beam"], "Pipeline"):  # Beam is being imported
            raise ModuleNotFoundError(f"{name} is left out of the import of apache_beam", name=name)
        return None


def install() -> None:
    """Does so for all imports of Beam that follow in this process."""
    if not any(isinstance(finder, _WithoutConnectors) for finder in sys.meta_path):
        sys.meta_path.insert(0, _WithoutConnectors())
