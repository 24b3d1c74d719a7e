"""Executions of steps as ML Metadata keeps them: what each step got, what it made, and in which run. Imports no TFX."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubline.artifacts.delivery import DELIVERED
from hubline.artifacts.names import BLESSED, SERVING_CHECK

_CACHED, _COMPLETE = "CACHED", "COMPLETE"
_AGAIN = "."
"""Separates the name of a run from what tells its attempts apart."""


def attempt_name(run: str, attempt: int) -> str:
    """Name in ML Metadata of an attempt of a run, which begins with the name of the run."""
    return f"{run}{_AGAIN}{attempt}"


@dataclass(frozen=True)
class Made:
    """An artifact."""

    id: int
    key: str
    """Key of the output."""
    uri: str
    is_live: bool
    """Whether the step that made it succeeded."""
    delivered: tuple[str, ...]
    """Folders outside of the artifact that the step delivered to."""
    passed: int | None = None
    """Of a serving check, 1 if it passed and 0 if not."""


@dataclass(frozen=True)
class Execution:
    """A step in a run: executed, or taken from the cache."""

    id: int
    step: str
    run: str
    """Name of the run, as in `Run.name`; of runs by versions of Hubline before 0.3, another name of TFX's."""
    state: str
    began: int
    """Milliseconds since 1970."""
    properties: Mapping[str, str | int]
    inputs: Mapping[str, tuple[int, ...]]
    """Ids of artifacts, by key."""
    outputs: tuple[Made, ...]

    @property
    def is_cached(self) -> bool:
        return self.state == _CACHED

    @property
    def succeeded(self) -> bool:
        return self.state in (_CACHED, _COMPLETE)


class Lineage:
    """All executions of a pipeline."""

    def __init__(self, executions: Iterable[Execution]) -> None:
        self._by_step: dict[str, list[Execution]] = defaultdict(list)
        for each in sorted(executions, key=lambda each: (each.began, each.id), reverse=True):
            self._by_step[each.step].append(each)
        self._makers: dict[int, Execution] = {}
        for executions_of_step in self._by_step.values():
            for each in executions_of_step:
                if not each.is_cached:
                    self._makers |= {made.id: each for made in each.outputs}

    def of(self, step: str) -> list[Execution]:
        """Executions of a step that succeeded, the newest first."""
        return [each for each in self._by_step[step] if each.succeeded]

    def in_run(self, run: str) -> dict[str, Execution]:
        """The last execution of each step in a run, whether it succeeded or not, by step."""
        return {
            step: found
            for step, executions in self._by_step.items()
            if (found := next((each for each in executions if each.run == run), None))
        }

    def maker(self, artifact: int) -> Execution | None:
        """The execution that made an artifact; None if it isn't known any more."""
        return self._makers.get(artifact)

    def origin(self, cached: Execution) -> Execution | None:
        """The execution whose result a cached one reused; None if it isn't known any more."""
        if cached.outputs:
            return self.maker(cached.outputs[0].id)
        return next(
            (
                each
                for each in self._by_step[cached.step]
                if each.state == _COMPLETE
                and each.id < cached.id
                and (each.properties, each.inputs) == (cached.properties, cached.inputs)
            ),
            None,
        )


def read_lineage(database: Path, pipeline: str) -> Lineage:
    """Reads the executions of a pipeline; none if there is no database.

    Args:
        database: ML Metadata's SQLite file. It is read only, so a run may be active.
        pipeline: Name of the pipeline.
    """
    if not database.exists():
        return Lineage(())
    from ml_metadata import metadata_store
    from ml_metadata.proto import metadata_store_pb2

    config = metadata_store_pb2.ConnectionConfig()
    config.sqlite.filename_uri = str(database)
    config.sqlite.connection_mode = metadata_store_pb2.SqliteMetadataSourceConfig.READONLY
    return Lineage(_executions(metadata_store.MetadataStore(config), pipeline))


def _executions(store: Any, pipeline: str) -> Iterator[Execution]:
    from ml_metadata.proto.metadata_store_pb2 import Event

    steps = _by_context(store, "node")
    runs = _by_context(store, "pipeline_run")
    found = [each for each in store.get_executions() if steps.get(each.id, "").startswith(f"{pipeline}.")]
    if not found:
        return
    made = {each.id: each for each in store.get_artifacts()}
    inputs: dict[int, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    outputs: dict[int, list[Made]] = defaultdict(list)
    for event in store.get_events_by_execution_ids([each.id for each in found]):
        if event.type == Event.INPUT:
            inputs[event.execution_id][event.path.steps[0].key].append(event.artifact_id)
        elif event.type == Event.OUTPUT and event.artifact_id in made:
            outputs[event.execution_id].append(_made(made[event.artifact_id], event.path.steps[0].key))
    for each in found:
        yield Execution(
            id=each.id,
            step=steps[each.id].removeprefix(f"{pipeline}."),
            run=runs.get(each.id, "").rpartition(_AGAIN)[0],
            state=type(each).State.Name(each.last_known_state),
            began=each.create_time_since_epoch,
            properties=_properties(each.custom_properties),
            inputs={key: tuple(ids) for key, ids in inputs[each.id].items()},
            outputs=tuple(outputs[each.id]),
        )


def _by_context(store: Any, kind: str) -> dict[int, str]:
    """Name of the context of a kind that each execution is in, by the execution's id."""
    if kind not in {each.name for each in store.get_context_types()}:
        return {}
    return {
        execution.id: context.name
        for context in store.get_contexts_by_type(kind)
        for execution in store.get_executions_by_context(context.id)
    }


def _made(artifact: Any, key: str) -> Made:
    return Made(
        artifact.id,
        key,
        artifact.uri,
        is_live=artifact.state == type(artifact).LIVE,
        delivered=tuple(filter(None, (artifact.custom_properties[name].string_value for name in DELIVERED))),
        passed=artifact.custom_properties[BLESSED].int_value if key == SERVING_CHECK else None,
    )


def _properties(values: Mapping[str, Any]) -> dict[str, str | int]:
    """Execution properties, without those in which TFX notes the outcome."""
    return {
        key: value.int_value if value.WhichOneof("value") == "int_value" else value.string_value
        for key, value in values.items()
        if not key.startswith("__")
    }
