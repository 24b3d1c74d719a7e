"""Detects a run with nothing to do, without importing TensorFlow or TFX.

TFX's cache would reach the same conclusion step by step, but only after ten seconds of imports. Nothing is to be done
if the pipeline file, everything that `pin` covers, the code and the package versions are the same as in the last
successful run, and all of its outputs exist undamaged.
"""

import hashlib
import platform
from collections.abc import Iterable, Iterator
from pathlib import Path

from pydantic import ValidationError

import hubline
from hubline.artifacts.pins import AnyPins
from hubline.components.beam import Beam
from hubline.core import storage
from hubline.core.code_digest import STACK
from hubline.core.config_base import Section
from hubline.core.package_versions import version
from hubline.pipeline.config import AnyFile
from hubline.pipeline.kubeflow.config import Kubeflow
from hubline.pipeline.paths import Paths
from hubline.pipeline.result import Result
from hubline.pipeline.upkeep import Seals
from hubline.report.contents import PAGE

_FILE = "last-run.json"


class _LastRun(Section):
    """The last successful run."""

    key: str
    outputs: tuple[str, ...]
    """Folders of all artifacts that its steps produced or took from the cache."""
    result: Result


def run_key(file: AnyFile, pins: AnyPins, code: str) -> str:
    """SHA-256 of everything that determines a run's result; `code` is the `code_digest` when the run started.

    Where Beam steps run, and how the file is deployed on a cluster, has no effect on the result.
    """
    decisive = file.model_copy(update={"beam": Beam(), "kubeflow": Kubeflow()})
    return hashlib.sha256("\0".join((decisive.to_property(), pins.to_property(), code)).encode()).hexdigest()


def code_digest() -> str:
    """SHA-256 of our sources and of the versions of Python and the packages."""
    digest = hashlib.sha256("\0".join((platform.python_version(), *map(version, STACK))).encode())
    for source in _sources():
        digest.update(source.read_bytes())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    package = Path(hubline.__file__).parent
    for room in sorted(package.iterdir()):  # links, which rglob does not follow
        yield from sorted(room.rglob("*.py")) if room.is_dir() else [room]


def keep(places: Paths, key: str, outputs: Iterable[str], result: Result) -> None:
    """Records a successful run."""
    last = _LastRun(key=key, outputs=tuple(sorted(outputs)), result=result)
    storage.write_text(str(places.root / _FILE), last.to_property())


def earlier_result(places: Paths, key: str) -> Result | None:
    """Result of the last successful run if a run with this key would produce the same; otherwise None."""
    path = places.root / _FILE
    try:
        last = _LastRun.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    seals = Seals(places.seals)
    there = (
        Path(last.result.report, PAGE).is_file()
        and all(Path(output).exists() and not seals.damage(output) for output in last.outputs)
        and (last.result.waiting_model is None or storage.exists(last.result.waiting_model))
    )
    return _nothing_new(last.result) if there and last.key == key else None


def _nothing_new(result: Result) -> Result:
    steps = tuple(step.model_copy(update={"seconds": 0.0, "cached": True, "usage": None}) for step in result.steps)
    return result.model_copy(
        update={
            "newly_pushed": False,
            "newly_predicted": False,
            "rerun_from": None,
            "steps": steps,
            "nothing_to_do": True,
        }
    )
