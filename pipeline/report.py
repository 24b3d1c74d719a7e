"""Writes the report page of each run, and finds the newest."""

import json
import shlex
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import yaml

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.pipeline.config import AnyFile
from hubline.pipeline.load import load
from hubline.pipeline.paths import Paths
from hubline.pipeline.result import Result
from hubline.pipeline.runs import Run, RunInputs
from hubline.preprocessing.kinds.timestamp import TimestampFeature
from hubline.report.contents import PAGE, Recipe, RunReport, StepTime, TimeUnit


def write_page(
    result: Result, file: AnyFile, path: Path, root: Path | None, settings: Sequence[str], began: datetime
) -> None:
    """Writes the page of a run next to its `report.json`. A failure is logged and doesn't fail the run.

    Args:
        result: Result of the run.
        file: The pipeline file, with its changed values.
        path: Its path.
        root: Folder of the pipeline's files, as in `hubline run`.
        settings: The values that `--set` changed.
        began: Start of the run.
    """
    try:
        storage.write_text(f"{result.report}/{PAGE}", _page(result, file, path, root, settings, began))
    except Exception:  # whatever it is, the model is trained and pushed
        traceback.print_exc()


def _page(
    result: Result, file: AnyFile, path: Path, root: Path | None, settings: Sequence[str], began: datetime
) -> str:
    from hubline.report.page import render  # Imported here so that runs start without its libraries.

    report = RunReport(
        name=file.name,
        file=str(path),
        began=began,
        seconds=result.seconds,
        status=result.status,
        steps=[StepTime(step.id, step.seconds, step.cached, step.usage) for step in result.steps],
        failed_step=result.failed_step,
        error=result.error,
        decision=result.decision,
        pushed_model=result.pushed_model,
        newly_pushed=result.newly_pushed,
        approve_command=result.approve_command,
        partial=result.partial,
        log=result.log,
        artifacts=result.artifacts,
        unfinished_curves=_unfinished_curves(Paths.of(path, file.name, root), began) if result.failed_step else {},
        time_units=_time_units(file),
        recipe=_recipe(Run(Path(result.log).parent).inputs, file, path, root, settings, result),
    )
    return render(report)


def _unfinished_curves(places: Paths, began: datetime) -> dict[str, list[float]]:
    """The curves that the Trainer left beside its checkpoints in this run."""
    found = [each for each in places.checkpoints.glob("*/curves.json") if each.stat().st_mtime >= began.timestamp()]
    return json.loads(found[0].read_bytes()) if found else {}


def _time_units(file: AnyFile) -> dict[str, TimeUnit]:
    """Of integer columns that timestamp features read; texts and numbers such as 20240531 have a format instead."""
    return {
        feature.column or name: feature.unit
        for name, feature in file.features.items()
        if isinstance(feature, TimestampFeature) and feature.format is None
    }


def _recipe(
    inputs: RunInputs | None, file: AnyFile, path: Path, root: Path | None, settings: Sequence[str], result: Result
) -> Recipe | None:
    """None if the run ended before it had pinned its inputs."""
    if inputs is None:
        return None
    described = file.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude={"kubeflow"})
    options = [] if root is None else ["--root", str(root)]
    options += [part for setting in settings for part in ("--set", setting)]
    options += ["--from", result.rerun_from] if result.rerun_from else []
    options += ["--until", result.ended_after] if result.ended_after else []
    modules = {f"hubs.{name}": digest for name, digest in inputs.pins["modules"].items()}
    return Recipe(
        command=shlex.join(["hubline", "run", str(path), *options]),
        file=yaml.safe_dump(described, sort_keys=False, allow_unicode=True, width=120),
        versions=inputs.versions,
        digests={"code": inputs.code, "list of data files": inputs.pins["files"], **modules},
    )


def newest_page(path: Path, root: Path | None) -> Path:
    """The report page of a pipeline's newest run that has one.

    Args:
        path: The pipeline file.
        root: Folder of the pipeline's files, as in `hubline run`.

    Raises:
        UserError: if there is none, or the file has errors.
    """
    file, _ = load(path)
    runs = Paths.of(path, file.name, root).runs
    pages = sorted(runs.glob(f"*/report/{PAGE}"))
    if not pages:
        command = f"hubline run {shlex.quote(str(path))}"
        raise UserError(f"{runs}: no report of {path} here; create one with `{command}`, or set --root")
    return pages[-1]
