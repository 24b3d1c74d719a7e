"""`hubline run`: from a pipeline file to a served model, on this machine."""

import signal
import time
import traceback
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich.console import Console

from hubline.artifacts.pins import AnyPins, Pins, ServedVersion
from hubline.artifacts.quarantine import FILE, all_quarantined, write_quarantine
from hubline.core import interruption, storage
from hubline.core.errors import RunError, UserError, tensorflow_reason
from hubline.core.garbage import collecting_none
from hubline.core.spans import to_date
from hubline.pipeline.config import AnyFile, PipelineFile
from hubline.pipeline.display import Display, example_inputs, show_result
from hubline.pipeline.listener import Listener
from hubline.pipeline.load import load
from hubline.pipeline.output import into_log
from hubline.pipeline.paths import Paths
from hubline.pipeline.preflight import preflight
from hubline.pipeline.report import write_page
from hubline.pipeline.result import Result, Status, Step
from hubline.pipeline.snapshot import pin
from hubline.pipeline.terminal import console_on
from hubline.pipeline.unchanged import earlier_result, keep, run_key
from hubline.pipeline.upkeep import damaged_metadata, prepare
from hubline.report.contents import Artifacts


def run(
    path: Path, root: Path | None, quiet: bool, fresh_metadata: bool = False, listener: Listener | None = None
) -> tuple[Result, int]:
    """Runs a pipeline file and shows the progress.

    Args:
        path: The pipeline file.
        root: Folder of the pipeline's files; None for `.hubline/<name>` next to the file.
        quiet: Whether to leave standard output free for JSON.
        fresh_metadata: Whether to start a new metadata database; the old one is kept next to it.
        listener: Observes the steps, like the terminal.

    Returns:
        The result, and the exit code: 0 done, 1 failed or not blessed, 2 an error in what the user provided, 130 or 143
        stopped by SIGINT or SIGTERM.

    Raises:
        UserError: if the file, or something it refers to, has an error that is found before the run starts.
    """
    with interruption.handled():
        return _run_file(path, root, quiet, fresh_metadata, listener)


def _run_file(
    path: Path, root: Path | None, quiet: bool, fresh_metadata: bool, listener: Listener | None
) -> tuple[Result, int]:
    file, source = load(path)
    preflight(file, source, root)
    places = Paths.of(path, file.name, root)
    began = datetime.now()
    folder = places.runs / began.strftime("%Y%m%d-%H%M%S-%f")
    log = folder / "run.log"
    with places.exclusively(), into_log(log) as (stdout, stderr):
        prepare(places, fresh_metadata)
        shown = stderr if quiet else stdout
        console = console_on(shown)
        console.print(f"{file.name}  {path}", style="bold", soft_wrap=True)
        result, code = execute(file, path, places, folder, console, listener)
        storage.write_text(f"{folder}/report/report.json", result.model_dump_json(indent=2))
        if not result.nothing_to_do:
            write_page(result, file.name, path, began)
        show_result(console, result, path, example_inputs(file) if isinstance(file, PipelineFile) else "")
    return result, code


def execute(
    file: AnyFile, path: Path, places: Paths, folder: Path, console: Console, listener: Listener | None
) -> tuple[Result, int]:
    begin = time.monotonic()
    run = None
    status: Status
    error = None
    pins: AnyPins | None = None
    try:
        with Display(console) as display:
            listeners: list[Listener] = [display, *([listener] if listener else [])]
            interruption.check()
            for each in listeners:
                each.started("pin")
            pins = pin(file)
            pinned = Step(id="pin", seconds=round(time.monotonic() - begin, 3), cached=False)
            for each in listeners:
                each.finished(pinned)
            if earlier := earlier_result(places, run_key(file, pins)):
                _show_cached(earlier.steps, listeners)
                seconds = round(time.monotonic() - begin, 3)
                return earlier.model_copy(update={"seconds": seconds, "log": str(folder / "run.log")}), 0
            with collecting_none():
                # Imported here because TFX takes ten seconds, and errors are found without it.
                from hubline.pipeline.graph import build
                from hubline.pipeline.local import Run
            interruption.check()
            run = Run(build(file, pins, places), listeners, places)
            run.run()
        status, code = "succeeded", 0
    except KeyboardInterrupt:  # outside the main thread, where Python allows no signal handlers
        status, error, code = "interrupted", signal.SIGINT.name, interruption.exit_code(signal.SIGINT)
    except Exception as fault:
        traceback.print_exc()
        status, error, code = failure(fault, run.current if run else "pin", path, folder / "run.log")
        if type(fault).__module__.startswith("ml_metadata"):
            error = damaged_metadata(places.metadata, f"{type(fault).__name__}: {fault}")
    spans = pins.files.spans if pins else None
    decision = run.decision() if run else None
    pushed, newly = run.pushed() if run else (None, False)
    predictions, newly_predicted = run.predictions() if run else (None, False)
    evaluated = run.evaluated() if run else None
    serving = pins.serving if isinstance(pins, Pins) else None
    if status == "succeeded" and decision and not decision.blessed:
        status, code = "not_blessed", 1
    artifacts = run.artifacts() if run else Artifacts()
    warnings = [*run.warnings(), *_set_aside(artifacts, folder)] if run else []
    result = Result(
        status=status,
        pushed_model=pushed or (serving.path if serving else None),
        newly_pushed=newly,
        predictions=predictions,
        newly_predicted=newly_predicted,
        blessed=decision.blessed if decision else None,
        spans=spans,
        dates=tuple(map(to_date, spans)) if spans and file.data.dated else None,
        warnings=tuple(warnings),
        metrics=decision.metrics if decision else evaluated.metrics if evaluated else {},
        decision=decision,
        steps=tuple(run.steps) if run else (),
        seconds=round(time.monotonic() - begin, 3),
        failed_step=run.current if run else None,
        error=error,
        artifacts=artifacts,
        report=str(folder / "report"),
        log=str(folder / "run.log"),
    )
    if run and pins and status == "succeeded":
        keep(places, run_key(file, _after(run.newly_served(), pins)), run.outputs, result)
    return result, code


def _after(newly_served: ServedVersion | None, pins: AnyPins) -> AnyPins:
    """What the next run pins if nothing else changes. The model that this run pushed is the one that it judged, so the
    next run has nothing to compare."""
    key = "serving" if isinstance(pins, Pins) else "pushed"
    return pins.model_copy(update={key: newly_served}) if newly_served else pins


def _show_cached(steps: Sequence[Step], listeners: Sequence[Listener]) -> None:
    for each in listeners:
        each.planned([step.id for step in steps])
        for step in steps:
            each.finished(step)


def _set_aside(artifacts: Artifacts, folder: Path) -> list[str]:
    """Lists the quarantined records of all steps in one file; returns a warning, if there are any."""
    entries = list(all_quarantined(artifacts.examples, artifacts.rows)) if artifacts.examples else []
    if not entries:
        return []
    write_quarantine(f"{folder}/{FILE}", entries)
    return [f"{len(entries):,} record{'s were' if len(entries) > 1 else ' was'} set aside: {folder}/{FILE}"]


def failure(fault: Exception, step: str | None, path: Path, log: Path) -> tuple[Status, str, int]:
    """Status, error and exit code of a run that ended with an exception, possibly because of a signal."""
    if number := interruption.ended_by():
        return "interrupted", number.name, interruption.exit_code(number)
    if isinstance(fault, UserError):
        return "failed", str(fault), 1 if isinstance(fault, RunError) else 2
    where = f"{step} of {path}" if step else str(path)
    reason = tensorflow_reason(fault)
    return (
        "failed",
        f"{where}: unexpected {type(fault).__name__}{reason and f': {reason}'}; the whole log is in {log}",
        1,
    )
