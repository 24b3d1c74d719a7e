"""Says what a run would do, without doing it and without TensorFlow.

The decision for each step is that of TFX's launcher: a step is cached if an earlier execution of it had the same
properties and the same input artifacts, and what it made is there, undamaged.
"""

import platform
import statistics
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from hubline.artifacts.file_list import digest_of
from hubline.artifacts.pins import AnyPins
from hubline.components.node import Node, in_order
from hubline.core.code_digest import STACK
from hubline.core.config_base import Section
from hubline.core.package_versions import version
from hubline.pipeline.graph import graph, unpinned
from hubline.pipeline.lineage import Execution, Lineage, read_lineage
from hubline.pipeline.machine_faults import refuse_unusable
from hubline.pipeline.partial import WHOLE, Part
from hubline.pipeline.paths import Paths
from hubline.pipeline.preflight import check
from hubline.pipeline.reasons import Given, Reason, Records, changed_properties
from hubline.pipeline.runs import Run
from hubline.pipeline.snapshot import pin
from hubline.pipeline.unchanged import code_digest, earlier_result, run_key
from hubline.pipeline.upkeep import Seals, unusable

_NEWEST = 5
"""Number of runs that a step's duration is estimated from."""


class PlannedStep(Section):
    """What a run would do with a step."""

    id: str
    cached: bool
    reasons: tuple[Reason, ...] = ()
    """Why the step runs; empty if it is cached."""
    run: str | None = None
    """The run whose result is reused or, if the step runs, that it is compared with; None if there is no such run."""
    seconds: float | None = None
    """About how long it takes: the median of the newest runs of the step; 0 if cached, None if it never ran."""


class Plan(Section):
    """What a run would do."""

    nothing_to_do: bool
    """Whether everything is as in the last run that succeeded."""
    steps: tuple[PlannedStep, ...]
    """The steps in the order of the run, without `pin`, which always runs."""
    seconds: float | None
    """About how long the run takes; None if a step that runs never ran."""


def plan(path: Path, root: Path | None, settings: Sequence[str] = (), part: Part = WHOLE) -> Plan:
    """Says what a run would do. Nothing is written.

    Args:
        path: The pipeline file.
        root: Folder of the pipeline's files, as in `hubline run`.
        settings: Values of the file to change, as `KEY=VALUE`.
        part: The part of the pipeline to run.

    Raises:
        UserError: if the file, or something that it refers to, has an error.
    """
    file, _, _ = check(path, settings, root)
    places = Paths.of(path, file.name, root)
    if part != WHOLE:
        part.check(graph(file, unpinned(file), places))
    refuse_unusable(places.metadata)
    pins = pin(file)
    earlier = earlier_result(places, run_key(file, pins, code_digest())) if part == WHOLE else None
    if earlier:
        steps = [each for each in earlier.steps if each.id != "pin"]
        run = Path(earlier.report).parent.name
        same = tuple(PlannedStep(id=each.id, cached=True, run=run, seconds=0.0) for each in steps)
        return Plan(nothing_to_do=True, steps=same, seconds=0.0)
    nodes = graph(file, pins, places)
    lineage = read_lineage(places.metadata, file.name)
    planned = plan_steps(part.nodes(nodes), lineage, places, pins, part.forced(nodes))
    return Plan(nothing_to_do=False, steps=tuple(planned), seconds=_seconds(planned, places))


def _seconds(steps: Iterable[PlannedStep], places: Paths) -> float | None:
    """About how long a run takes, with what runs take besides their steps."""
    taken = [each.seconds for each in steps]
    results = [Run(folder).result for folder in sorted(places.runs.glob("*-*-*"), reverse=True)]
    whole = [each for each in results if each and each.steps and not each.nothing_to_do]
    besides = [each.seconds - sum(step.seconds for step in each.steps) for each in whole]
    if None in taken or not besides:
        return None
    return round(statistics.median(besides[:_NEWEST]) + sum(each for each in taken if each), 1)


def plan_steps(
    nodes: Iterable[Node], lineage: Lineage, places: Paths, pins: AnyPins, forced: Collection[str] = ()
) -> list[PlannedStep]:
    """What a run would do with each step, in the order of the run.

    Args:
        nodes: The steps.
        lineage: Executions of earlier runs.
        places: Where the pipeline's files are.
        pins: Pinned inputs of the run.
        forced: Ids of steps that run even if they are cached.
    """
    versions = {"python": platform.python_version()} | {name: version(name) for name in STACK}
    records = Records(places, {digest_of(pins.files): pins.files})
    seals, durations = Seals(places.seals), _durations(places)
    cached: dict[str, Execution] = {}
    planned = []
    for node in in_order(nodes):
        given = Given(node.exec_properties, versions)
        reused = None if node.id in forced else _reused(node, lineage, cached)
        lost = reused and _lost(reused, seals)
        if reused and not lost:
            cached[node.id] = reused
            run = (lineage.origin(reused) or reused).run
            planned.append(PlannedStep(id=node.id, cached=True, run=_known(run, records), seconds=0.0))
            continue
        last = next(iter(lineage.of(node.id)), None)
        reasons = [Reason(kind="lost", text=lost)] if lost else list(_reasons(node, last, given, records, cached))
        if node.id in forced and not node.reads & set(forced):
            reasons.insert(0, Reason(kind="from", text="--from asks for it"))
        planned.append(
            PlannedStep(
                id=node.id,
                cached=False,
                reasons=tuple(reasons),
                run=_known(last.run, records) if last else None,
                seconds=durations.get(node.id),
            )
        )
    return planned


def _reused(node: Node, lineage: Lineage, cached: Mapping[str, Execution]) -> Execution | None:
    """The execution whose outputs TFX finds in its cache, if any."""
    if not node.reads <= cached.keys():
        return None  # an input that is yet to be made is in no execution
    inputs = _inputs(node, cached)
    return next(
        (
            each
            for each in lineage.of(node.id)
            if each.properties == node.exec_properties
            and each.inputs == inputs
            and all(made.is_live and Path(made.uri).exists() for made in each.outputs)
        ),
        None,
    )


def _inputs(node: Node, cached: Mapping[str, Execution]) -> dict[str, tuple[int, ...]]:
    """Ids of the artifacts that a step gets from cached steps, by key."""
    return {
        key: tuple(made.id for made in cached[output.step].outputs if made.key == output.key)
        for key, output in node.inputs.items()
        if output.step in cached
    }


def _lost(reused: Execution, seals: Seals) -> str | None:
    made = reused.outputs
    delivered = (path for each in made for path in each.delivered)
    checks = (each.passed for each in made if each.passed is not None)
    return unusable(seals, (each.uri for each in made), delivered, checks)


def _reasons(
    node: Node, last: Execution | None, given: Given, records: Records, cached: Mapping[str, Execution]
) -> Iterator[Reason]:
    if last is None:
        yield Reason(kind="first", text="it has not run yet")
        return
    found = list(changed_properties(node.step, last, given, records))
    found += [Reason(kind="step", text=f"{step} runs") for step in sorted(node.reads - cached.keys())]
    inputs = _inputs(node, cached)
    found += [
        Reason(kind="input", text=f"{node.inputs[key].key} of {node.inputs[key].step} is another")
        for key, ids in inputs.items()
        if last.inputs.get(key) != ids
    ]
    gone = next((made.uri for made in last.outputs if not Path(made.uri).exists()), None)
    if not found and gone:
        found.append(Reason(kind="lost", text=f"{gone}: the result of the step is gone"))
    yield from found


def _known(run: str, records: Records) -> str | None:
    return run if records.is_known(run) else None


def _durations(places: Paths) -> dict[str, float]:
    """Seconds that each step takes about, by id: the median of the newest runs in which it ran."""
    found: dict[str, list[float]] = {}
    for folder in sorted(places.runs.glob("*-*-*"), reverse=True):
        result = Run(folder).result
        for step in result.steps if result else ():
            if not step.cached and len(found.setdefault(step.id, [])) < _NEWEST:
                found[step.id].append(step.seconds)
    return {step: round(statistics.median(seconds), 1) for step, seconds in found.items()}
