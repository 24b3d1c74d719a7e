"""Says why each step of a past run ran, or from which run its result was taken."""

from collections.abc import Iterator
from pathlib import Path

from hubline.components.steps import STEPS
from hubline.core.config_base import Section
from hubline.core.errors import UserError
from hubline.pipeline.diagnostics import nearest
from hubline.pipeline.lineage import Execution, Lineage, read_lineage
from hubline.pipeline.load import load
from hubline.pipeline.paths import Paths
from hubline.pipeline.reasons import Given, Reason, Records, changed_properties
from hubline.pipeline.runs import Run, run_named, runs_of
from hubline.pipeline.upkeep import CHECK_FAILED

_DECLARED = {step.name: step for step in STEPS}


class ExplainedStep(Section):
    """A step of a run."""

    id: str
    cached: bool
    reasons: tuple[Reason, ...] = ()
    """Why the step ran; empty if it was cached."""
    run: str | None = None
    """The run whose result was reused or, if the step ran, that it is compared with; None if it isn't known."""


def why(path: Path, root: Path | None, run: str, step: str | None = None) -> tuple[str, list[ExplainedStep]]:
    """Explains a run.

    Args:
        path: The pipeline file.
        root: Folder of the pipeline's files, as in `hubline run`.
        run: Name of the run, as in `run_named`.
        step: Id of the step to explain; None for all.

    Returns:
        Name of the run, and its steps in the order in which they ran.

    Raises:
        UserError: if there is no such run or step, or ML Metadata doesn't know the run.
    """
    file, _ = load(path)
    places = Paths.of(path, file.name, root)
    found = run_named(runs_of(path, root), run)
    explained = _explained(found, places, file.name)
    names = [each.id for each in explained]
    if step is not None and step not in names:
        raise UserError(f"{step}: run {found.name} has no such step; {nearest(step, names)}")
    return found.name, [each for each in explained if step in (None, each.id)]


def _explained(run: Run, places: Paths, pipeline: str) -> list[ExplainedStep]:
    result = run.result
    if result and result.nothing_to_do:
        earlier = Path(result.report).parent.name
        return [ExplainedStep(id=each.id, cached=True, run=earlier) for each in result.steps if each.id != "pin"]
    lineage = read_lineage(places.metadata, pipeline)
    executions = lineage.in_run(run.name)
    if not executions:
        raise UserError(
            f"{run.name}: ML Metadata knows no step of this run: it ended before its first step, its metadata was "
            "removed, or a version of Hubline before 0.3 ran it"
        )
    records = Records(places)
    return [
        _of_cached(each, lineage, records) if each.is_cached else _of_run(each, run, lineage, records)
        for each in sorted(executions.values(), key=lambda each: each.id)
    ]


def _of_cached(execution: Execution, lineage: Lineage, records: Records) -> ExplainedStep:
    origin = lineage.origin(execution)
    run = origin.run if origin and records.is_known(origin.run) else None
    return ExplainedStep(id=execution.step, cached=True, run=run)


def _of_run(execution: Execution, run: Run, lineage: Lineage, records: Records) -> ExplainedStep:
    last = next((each for each in lineage.of(execution.step) if each.id < execution.id), None)
    return ExplainedStep(
        id=execution.step,
        cached=False,
        reasons=tuple(_reasons(execution, last, run, lineage, records)),
        run=last.run if last and records.is_known(last.run) else None,
    )


def _reasons(
    execution: Execution, last: Execution | None, run: Run, lineage: Lineage, records: Records
) -> Iterator[Reason]:
    if last is None:
        yield Reason(kind="first", text="it had not run before")
        return
    found: list[Reason] = []
    if run.result and run.result.rerun_from == execution.step:
        found.append(Reason(kind="from", text="--from asked for it"))
    declared = _DECLARED[execution.step.partition(".")[0]]
    given = Given(execution.properties, records.versions(execution.run))
    found += changed_properties(declared, last, given, records)
    found += _changed_inputs(execution, last, lineage)
    if not found and any(made.passed == 0 for made in last.outputs):
        found.append(Reason(kind="lost", text=CHECK_FAILED))
    yield from found or [Reason(kind="lost", text="its earlier result was gone or damaged; the log says more")]


def _changed_inputs(execution: Execution, last: Execution, lineage: Lineage) -> Iterator[Reason]:
    told: set[str] = set()
    for key, ids in execution.inputs.items():
        if last.inputs.get(key) == ids:
            continue
        makers = [maker for each in ids if (maker := lineage.maker(each))]
        for maker in makers:
            if maker.run == execution.run and maker.step not in told:
                told.add(maker.step)
                yield Reason(kind="step", text=f"{maker.step} ran")
            elif maker.run != execution.run:
                yield Reason(kind="input", text=f"{key.replace('_', ' ')} of {maker.step} is another")
        if not makers:
            yield Reason(kind="input", text=f"{key.replace('_', ' ')} is another")
