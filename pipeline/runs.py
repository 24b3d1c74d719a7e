"""The runs of a pipeline on this machine: their results, and what they were run with."""

import platform
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from hubline.artifacts import file_list
from hubline.artifacts.pins import AnyPins, PinnedFiles
from hubline.core import storage
from hubline.core.code_digest import STACK
from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.core.nested import flat
from hubline.core.package_versions import version
from hubline.pipeline.config import AnyFile
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.load import load
from hubline.pipeline.paths import Paths
from hubline.pipeline.result import Result

NAME_FORMAT = "%Y%m%d-%H%M%S-%f"
"""Format of a run's name: the time at which it began."""
_ANY = "*-*-*"
_NAME = re.compile(r"\d{8}-\d{6}-\d{6}")

_INPUTS, _RESULT = "inputs.json", "report/report.json"


class RunInputs(Section):
    """What a run was run with."""

    file: dict[str, Any]
    """The pipeline file with all defaults, except `kubeflow`, which no run on this machine reads."""
    pins: dict[str, Any]
    """What the run pinned; of the data files, the digest of their list."""
    code: str
    """The `code_digest`."""
    versions: dict[str, str]
    """Versions of Python and the packages."""


@dataclass(frozen=True)
class Difference:
    """A value that two runs don't share, by its dotted key. None where a run has no such value."""

    key: str
    before: Any
    after: Any


@dataclass(frozen=True)
class Run:
    """A run, which may not have ended."""

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def began(self) -> datetime:
        return datetime.strptime(self.name, NAME_FORMAT)

    @cached_property
    def result(self) -> Result | None:
        """None if the run is still active, or was killed."""
        return _read(Result, self.folder / _RESULT)

    @cached_property
    def inputs(self) -> RunInputs | None:
        """None if the run ended before it had pinned its inputs."""
        return _read(RunInputs, self.folder / _INPUTS)

    @property
    def status(self) -> str:
        """As in the result; `unfinished` without one, `unreadable` if another version of Hubline wrote it in another
        form."""
        if self.result:
            return self.result.status
        return "unreadable" if (self.folder / _RESULT).exists() else "unfinished"


def new_folder(runs: Path, began: datetime) -> Path:
    """The folder of a new run, whose name is greater than those of all earlier runs.

    Names are in local time, which goes back every autumn, and by whatever the clock was set.
    """
    name = began.strftime(NAME_FORMAT)
    newest = max((folder.name for folder in runs.glob(_ANY) if _NAME.fullmatch(folder.name)), default="")
    if name > newest:
        return runs / name
    return runs / (Run(runs / newest).began + timedelta(microseconds=1)).strftime(NAME_FORMAT)


def keep_inputs(folder: Path, file: AnyFile, pins: AnyPins, code: str) -> None:
    """Records what a run is run with, and keeps the list of its data files for its steps and for comparisons.

    Args:
        folder: Folder of the run.
        file: The pipeline file.
        pins: What the run has pinned.
        code: The `code_digest`.
    """
    digest = file_list.keep(pins.files, _lists(folder))
    file_list.sweep(_lists(folder), newest=digest, used=partial(_lists_of_runs, folder.parent))
    inputs = RunInputs(
        file=file.model_dump(mode="json", by_alias=True, exclude={"kubeflow"}),
        pins=pins.model_dump(mode="json", exclude={"files"}) | {"files": digest},
        code=code,
        versions={"python": platform.python_version()} | {name: version(name) for name in STACK},
    )
    storage.write_text(str(folder / _INPUTS), inputs.model_dump_json(indent=2))


def runs_of(path: Path, root: Path | None) -> list[Run]:
    """The runs of a pipeline file, the oldest first.

    Args:
        path: The pipeline file.
        root: Folder of the pipeline's files, as in `hubline run`.

    Raises:
        UserError: if the file has errors.
    """
    file, _ = load(path)
    return [Run(folder) for folder in sorted(Paths.of(path, file.name, root).runs.glob(_ANY))]


def run_named(runs: list[Run], name: str) -> Run:
    """The run with a name, or the only one whose name begins so; `last` is the newest, `last-1` the one before.

    Raises:
        UserError: if there is none, or there are several.
    """
    back = name.removeprefix("last").removeprefix("-") or "0"
    if name.startswith("last") and back.isdecimal() and int(back) < len(runs):
        return runs[-1 - int(back)]
    found = [run for run in runs if run.name.startswith(name)]
    if len(found) != 1:
        names = [run.name for run in found or runs]
        wrong = "several runs have names that begin so" if found else "there is no such run"
        raise UserError(f"{name}: {wrong}; {nearest(name, names) if names else 'the pipeline has no runs yet'}")
    return found[0]


def differences(before: Run, after: Run) -> list[Difference]:
    """The values that two runs were run with and don't share, and their metrics.

    Raises:
        UserError: if one of them ended before it had pinned its inputs.
    """
    first, second = (_values(run) for run in (before, after))
    keys = [*first, *(key for key in second if key not in first)]
    found = [Difference(key, first.get(key), second.get(key)) for key in keys]
    return [each for each in found if each.before != each.after]


def _values(run: Run) -> dict[str, Any]:
    if run.inputs is None:
        raise UserError(f"{run.name}: the run ended before it had pinned its inputs, so there is nothing to compare")
    values = dict(flat(run.inputs.file)) | {"code": run.inputs.code} | dict(flat(run.inputs.versions, "versions."))
    values |= dict(flat(_with_files(run.inputs.pins, _lists(run.folder)), "pins."))
    result = run.result
    metrics = {f"metrics.{name}": value for name, value in result.metrics.items()} if result else {}
    return values | metrics | {"status": run.status}


def _with_files(pins: Mapping[str, Any], lists: str) -> Mapping[str, Any]:
    """Pins with each data file under its path, so that a file that is added doesn't change all others; with the digest
    alone if the list has been removed."""
    try:
        kept = file_list.read(pins["files"], lists)
    except UserError:
        return pins
    return {**pins, "files": by_path(kept)}


def by_path(files: PinnedFiles) -> dict[str, dict[str, str]]:
    """What is known of each data file, by split and path."""
    return {
        split: {each.path: f"{each.size} bytes, {each.version or each.modified}" for each in listed}
        for split, listed in files.by_split.items()
    }


def _lists_of_runs(runs: Path) -> set[str]:
    """Digests of the lists of data files of all runs."""
    inputs = (Run(folder).inputs for folder in runs.glob(_ANY))
    return {str(each.pins.get("files")) for each in inputs if each}


def _lists(run: Path) -> str:
    """Folder of the lists of data files, given the folder of a run."""
    return str(Paths(run.parents[1]).pins)


_S = TypeVar("_S", bound=Section)


def _read(kind: type[_S], path: Path) -> _S | None:
    try:
        return kind.model_validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
