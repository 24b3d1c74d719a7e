"""Writes the report page of each run, and finds the newest."""

import shlex
import traceback
from datetime import datetime
from pathlib import Path

from hubline.core import storage
from hubline.core.errors import UserError
from hubline.pipeline.load import load
from hubline.pipeline.paths import Paths
from hubline.pipeline.result import Result
from hubline.report.contents import PAGE, RunReport, StepTime


def write_page(result: Result, name: str, path: Path, began: datetime) -> None:
    """Writes the page of a run next to its `report.json`. A failure is logged and doesn't fail the run.

    Args:
        result: Result of the run.
        name: Name of the pipeline.
        path: The pipeline file.
        began: Start of the run.
    """
    report = RunReport(
        name=name,
        file=str(path),
        began=began,
        seconds=result.seconds,
        status=result.status,
        steps=[StepTime(step.id, step.seconds, step.cached) for step in result.steps],
        failed_step=result.failed_step,
        error=result.error,
        decision=result.decision,
        pushed_model=result.pushed_model,
        newly_pushed=result.newly_pushed,
        log=result.log,
        artifacts=result.artifacts,
    )
    try:
        # Imported here so that runs start without these libraries.
        from hubline.report.page import render

        page = render(report)
        storage.write_text(f"{result.report}/{PAGE}", page)
    except Exception:  # whatever it is, the model is trained and pushed
        traceback.print_exc()


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
