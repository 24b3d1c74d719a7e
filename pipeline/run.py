"""`hubline run`: from a pipeline file to a served model, on this machine."""

import logging
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console

from hubline.artifacts.examples import Manifest
from hubline.artifacts.pins import AnyPins, Pins, ServedVersion
from hubline.artifacts.quarantine import FILE, all_quarantined, write_quarantine
from hubline.core import interruption, storage
from hubline.core.errors import RunError, UserError, tensorflow_reason
from hubline.core.garbage import collecting_none
from hubline.core.spans import to_date
from hubline.pipeline.config import AnyFile, PipelineFile
from hubline.pipeline.diagnostics import PipelineFileError
from hubline.pipeline.display import Display
from hubline.pipeline.graph import graph, unpinned
from hubline.pipeline.listener import Listener
from hubline.pipeline.load import Source
from hubline.pipeline.machine_faults import explained
from hubline.pipeline.output import into_log
from hubline.pipeline.partial import WHOLE, Part
from hubline.pipeline.paths import Paths
from hubline.pipeline.preflight import check as check_file
from hubline.pipeline.report import write_page
from hubline.pipeline.result import Result, Status, Step
from hubline.pipeline.result_display import example_inputs, show_faults, show_result
from hubline.pipeline.rules.beam import root_fault
from hubline.pipeline.runs import keep_inputs, new_folder
from hubline.pipeline.snapshot import check, pin
from hubline.pipeline.terminal import console_on
from hubline.pipeline.unchanged import code_digest, earlier_result, keep, run_key
from hubline.pipeline.upkeep import prepare
from hubline.pipeline.verbosity import NORMAL, Verbosity, log_shown
from hubline.report.contents import Artifacts

if TYPE_CHECKING:
    from hubline.pipeline.local import Run

_LOGGER = logging.getLogger(__name__)


def run(
    path: Path,
    root: Path | None,
    quiet: bool,
    fresh_metadata: bool = False,
    listener: Listener | None = None,
    settings: Sequence[str] = (),
    verbosity: Verbosity = NORMAL,
    part: Part = WHOLE,
) -> tuple[Result, int]:
    """Runs a pipeline file and shows the progress.

    Args:
        path: The pipeline file.
        root: Folder of the pipeline's files; None for `.hubline/<name>` next to the file.
        quiet: Whether to leave standard output free for JSON.
        fresh_metadata: Whether to start a new metadata database; the old one is kept next to it.
        listener: Observes the steps, like the terminal.
        settings: Values of the file to change, as `KEY=VALUE`.
        verbosity: How much to tell.
        part: The part of the pipeline to run.

    Returns:
        The result, and the exit code: 0 done, 1 failed or not blessed, 2 an error in what the user provided, 130 or 143
        stopped by SIGINT or SIGTERM.

    Raises:
        UserError: if the file, or something it refers to, has an error that is found before the run starts.
    """
    with interruption.handled():
        return _run_file(path, root, quiet, fresh_metadata, listener, settings, verbosity, part)


def _run_file(
    path: Path,
    root: Path | None,
    quiet: bool,
    fresh_metadata: bool,
    listener: Listener | None,
    settings: Sequence[str],
    verbosity: Verbosity,
    part: Part,
) -> tuple[Result, int]:
    file, source, warnings = check_file(path, settings, root)
    places = Paths.of(path, file.name, root)
    if fault := root_fault(file.beam, str(places.root)):
        raise PipelineFileError([source.diagnostic(("beam",), fault)])
    if part != WHOLE:
        part.check(graph(file, unpinned(file), places))
    began = datetime.now()
    folder = new_folder(places.runs, began)
    log = folder / "run.log"
    with places.exclusively(), into_log(log, verbosity.level) as (stdout, stderr):
        prepare(places, fresh_metadata)
        shown = stderr if quiet else stdout
        console = console_on(shown)
        if not verbosity.quiet:
            console.print("  ".join([file.name, str(path), *settings]), style="bold", markup=False, soft_wrap=True)
        for warning in warnings:
            console.print(f"Warning: {warning}", style="yellow", markup=False, soft_wrap=True)
        live = console_on(shown, quiet=verbosity.quiet)
        with log_shown(live) if verbosity.shows_log else nullcontext():
            result, code = execute(file, source, places, folder, live, listener, part)
        result = _written(result, places, lambda: _write_report(result, folder, file, path, root, settings, began))
        if verbosity.quiet:
            show_faults(console, result)
        else:
            show_result(console, result, path, example_inputs(file) if isinstance(file, PipelineFile) else "")
    return result, code


def execute(
    file: AnyFile,
    source: Source,
    places: Paths,
    folder: Path,
    console: Console,
    listener: Listener | None,
    part: Part = WHOLE,
) -> tuple[Result, int]:
    """Pins the inputs and runs the steps.

    Returns:
        The result and the exit code, as `run`.
    """
    begin, digest = time.monotonic(), code_digest()
    pins: AnyPins | None = None
    steps: Run | None = None
    log = folder / "run.log"
    try:
        with Display(console) as display:
            listeners: list[Listener] = [display, *([listener] if listener else [])]
            interruption.check()
            pins = _pinned(file, listeners)
            keep_inputs(folder, file, pins, digest)
            if part == WHOLE and (earlier := earlier_result(places, run_key(file, pins, digest))):
                _show_cached(earlier.steps, listeners)
                return earlier.model_copy(update={"seconds": _since(begin), "log": str(log)}), 0
            steps = _built(file, source, pins, listeners, places, folder.name, part)
            steps.run()
        status, error, code = _verdict(steps)
    except KeyboardInterrupt:  # outside the main thread, where Python allows no signal handlers
        status, error, code = "interrupted", signal.SIGINT.name, interruption.exit_code(signal.SIGINT)
    except Exception as fault:
        _LOGGER.exception("the run ends")
        status, error, code = failure(fault, steps.current if steps else "pin", source.path, places, log)
    result = _result(file, pins, steps, folder, status, error, _since(begin), part)
    if steps and pins and status == "succeeded" and part.end is None:
        key, outputs = run_key(file, _after(steps.newly_served(), pins), digest), steps.outputs
        result = _written(result, places, lambda: keep(places, key, outputs, result))
    return result, code


def _write_report(
    result: Result,
    folder: Path,
    file: AnyFile,
    path: Path,
    root: Path | None,
    settings: Sequence[str],
    began: datetime,
) -> None:
    # A run with nothing to do has a result of its own, and the page of the earlier run.
    storage.write_text(f"{folder}/report/report.json", result.model_dump_json(indent=2))
    if not result.nothing_to_do:
        write_page(result, file, path, root, settings, began)


def _written(result: Result, places: Paths, write: Callable[[], None]) -> Result:
    """The result after something was written about it; with a warning where the disk takes no more files, because the
    steps have ended as they have."""
    try:
        write()
    except OSError as error:
        reason = explained(error, places.root, places.metadata) or str(error)
        return result.model_copy(update={"warnings": (*result.warnings, f"the run's report is incomplete: {reason}")})
    return result


def _since(begin: float) -> float:
    return round(time.monotonic() - begin, 3)


def _pinned(file: AnyFile, listeners: Sequence[Listener]) -> AnyPins:
    begin = time.monotonic()
    for each in listeners:
        each.started("pin")
    pins = pin(file)
    for each in listeners:
        each.finished(Step(id="pin", seconds=_since(begin), cached=False))
    return pins


def _built(
    file: AnyFile, source: Source, pins: AnyPins, listeners: Sequence[Listener], places: Paths, name: str, part: Part
) -> "Run":
    with collecting_none():
        # Imported here because TFX takes ten seconds, and errors are found without it.
        from hubline.pipeline.local import Run
        from hubline.pipeline.tfx_pipeline import tfx_pipeline
    interruption.check()
    check(file, pins)
    if isinstance(file, PipelineFile):
        _prepare(file, source)
    nodes = graph(file, pins, places)
    pipeline = tfx_pipeline(file.name, part.nodes(nodes), places)
    return Run(name, pipeline, listeners, places, file.beam.arguments(), part.forced(nodes))


def _prepare(file: PipelineFile, source: Source) -> None:
    """Prepares the devices of the training. Some settings take effect only before the first step starts TensorFlow.

    Raises:
        PipelineFileError: if a GPU that was asked for isn't there.
        UserError: if the workers would compete for GPUs.
    """
    from hubline.trainer import devices  # imports TensorFlow

    training = file.training
    try:
        devices.check(training.devices)
    except devices.MissingGpuError as error:
        location = ("training", "devices", error.key)
        raise PipelineFileError([source.diagnostic(location, error.reason)]) from None
    devices.check_workers(training.devices, training.workers)
    shares = file.tune is not None and file.tune.parallel > 1
    devices.prepare(devices.sharing(training.devices) if shares else training.devices)


def _verdict(steps: "Run") -> tuple[Status, str | None, int]:
    """Status, error and exit code of a run whose steps all ended."""
    return ("not_blessed", None, 1) if _blessed(steps) is False else ("succeeded", None, 0)


def _blessed(steps: "Run") -> bool | None:
    """Whether the model may be pushed; None if no model was evaluated."""
    decision, checked = steps.decision(), steps.serving_check()
    return None if decision is None else decision.blessed and (checked is None or checked.passed)


def _result(
    file: AnyFile,
    pins: AnyPins | None,
    steps: "Run | None",
    folder: Path,
    status: Status,
    error: str | None,
    seconds: float,
    part: Part,
) -> Result:
    """The result of a run that may have stopped before it pinned its inputs, or before its steps were built."""
    spans = pins.files.spans if pins else None
    serving = pins.serving if isinstance(pins, Pins) else None
    decision = steps.decision() if steps else None
    evaluated = steps.evaluated() if steps else None
    artifacts = steps.artifacts() if steps else Artifacts()
    pushed, newly_pushed = steps.pushed() if steps else (None, False)
    waiting, command = steps.waiting() if steps else (None, None)
    predictions, newly_predicted = steps.predictions() if steps else (None, False)
    return Result(
        status=status,
        pushed_model=pushed or (serving.path if serving else None),
        newly_pushed=newly_pushed,
        waiting_model=waiting,
        approve_command=command,
        published_module=steps.published() if steps else None,
        predictions=predictions,
        newly_predicted=newly_predicted,
        blessed=_blessed(steps) if steps else None,
        spans=spans,
        dates=tuple(map(to_date, spans)) if spans and file.data.dated else None,
        warnings=(*steps.warnings(), *_set_aside(artifacts, folder)) if steps else (),
        left_out=Manifest.read(artifacts.examples).left_out if artifacts.examples else {},
        metrics=decision.metrics if decision else evaluated.metrics if evaluated else {},
        decision=decision,
        serving_check=steps.serving_check() if steps else None,
        best_trial=steps.best_trial() if steps else None,
        rerun_from=part.start,
        ended_after=part.end,
        steps=tuple(steps.steps) if steps else (),
        seconds=seconds,
        failed_step=steps.current if steps else None,
        error=error,
        artifacts=artifacts,
        report=str(folder / "report"),
        log=str(folder / "run.log"),
    )


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


def failure(fault: Exception, step: str | None, path: Path, places: Paths, log: Path) -> tuple[Status, str, int]:
    """Status, error and exit code of a run that ended with an exception, possibly because of a signal."""
    if number := interruption.ended_by():
        return "interrupted", number.name, interruption.exit_code(number)
    where = f"{step} of {path}" if step else str(path)
    if reason := explained(fault, places.root, places.metadata):
        return "failed", f"{where}: {reason}", 1
    if isinstance(fault, UserError):
        return "failed", str(fault), 1 if isinstance(fault, RunError) else 2
    reason = tensorflow_reason(fault)
    return (
        "failed",
        f"{where}: unexpected {type(fault).__name__}{reason and f': {reason}'}; the whole log is in {log}",
        1,
    )
