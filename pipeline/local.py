"""Runs a pipeline on this machine with TFX's local runner."""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from ml_metadata.proto import metadata_store_pb2
from tfx.orchestration import metadata
from tfx.orchestration.pipeline import Pipeline

from hubline.artifacts.decision import DECISION, Decision
from hubline.artifacts.delivery import (
    APPROVE,
    DELIVERED,
    DESTINATION,
    DIGEST,
    PUBLISHED,
    PUSHED,
    WAITING,
    WITHDRAWN,
)
from hubline.artifacts.findings import DataFindings
from hubline.artifacts.names import BLESSED, SERVING_CHECK
from hubline.artifacts.pins import ServedVersion
from hubline.artifacts.serving_check import ServingCheckResult
from hubline.artifacts.unread_dates import UnreadDates
from hubline.components.predictor.evaluation import EVALUATION, LabelAccuracy
from hubline.components.spread.processes import kept
from hubline.core import interruption
from hubline.core.errors import DamageError, UserError
from hubline.core.shard_cache import ShardCache
from hubline.core.usage import measured
from hubline.pipeline import upkeep
from hubline.pipeline.adapters.tfx import run_locally
from hubline.pipeline.lineage import attempt_name
from hubline.pipeline.listener import Listener
from hubline.pipeline.paths import Paths
from hubline.pipeline.result import Step
from hubline.report.contents import Artifacts
from hubline.report.read_artifacts import module_warnings
from hubline.trainer.training_notes import FILE as NOTES
from hubline.trainer.training_notes import Notes
from hubline.trainer.tuning.results import best_trial_text, read_trials

_HUB_MODULE = "HubModule."
_LOGGER = logging.getLogger(__name__)


class Run:
    """One run of a pipeline and its results so far."""

    def __init__(
        self,
        name: str,
        pipeline: Pipeline,
        listeners: Sequence[Listener],
        places: Paths,
        beam_arguments: Sequence[str] = (),
        forced: Collection[str] = (),
    ) -> None:
        """A run that hasn't begun.

        Args:
            name: Name of the run.
            pipeline: The steps.
            listeners: Observe the steps.
            places: Where the pipeline's files are.
            beam_arguments: Arguments of all Beam pipelines.
            forced: Ids of steps that run even if they are cached.
        """
        self._name = name
        self._attempts = 0
        self._forced = frozenset(forced)
        self._pipeline = pipeline
        self._beam_arguments = beam_arguments
        self._places = places
        self._seals = upkeep.Seals(places.seals)
        self._listeners = listeners
        self.outputs: set[str] = set()
        """The folders of the artifacts that steps have made, or taken from the cache."""
        self._executions: dict[str, int] = {}
        self.current: str | None = None
        """The step that is running or failed."""
        self.steps: list[Step] = []

    def run(self) -> None:
        """Runs every step that isn't cached. Raises the exception of a failed step."""
        with metadata.Metadata(self._pipeline.metadata_connection_config) as store:
            upkeep.clear_unfinished(store.store, self._places.artifacts)
        with kept():
            self._run_and_mend()

    def _run_and_mend(self) -> None:
        """Runs the steps, and once more if one of them failed on damaged files of an earlier run."""
        try:
            self._run_once()
        except Exception as error:
            is_users = isinstance(error, UserError) and not isinstance(error, DamageError)
            if is_users or interruption.received():
                raise
            damaged = upkeep.drop_damaged(self._seals, self.outputs, ShardCache(str(self._places.store)))
            if not damaged:
                raise
            _LOGGER.warning("%s failed on what was damaged: %s; it is made again", self.current, "; ".join(damaged))
            self._run_once()

    def _run_once(self) -> None:
        self.steps.clear()
        for listener in self._listeners:
            listener.planned([component.id for component in self._pipeline.components])
        self._attempts += 1
        attempt = attempt_name(self._name, self._attempts)
        run_locally(
            self._pipeline, self.launch, self._are_reusable, upkeep.empty_folders, self._beam_arguments, attempt
        )

    def _are_reusable(self, outputs: Mapping[str, Sequence[Any]]) -> bool:
        """Whether the current step may be cached, and its earlier result can be used again."""
        if self.current in self._forced:
            return False
        checks = (check.get_int_custom_property(BLESSED) for check in outputs.get(SERVING_CHECK, ()))
        delivered = (
            artifact.get_string_custom_property(name)
            for each in outputs.values()
            for artifact in each
            for name in DELIVERED
        )
        if fault := upkeep.unusable(self._seals, upkeep.uris(outputs), delivered, checks):
            _LOGGER.warning("%s; %s runs again", fault, self.current)
        return fault is None

    def decision(self) -> Decision | None:
        """The Evaluator's decision, if the run got that far."""
        blessing = self._output("Evaluator", "blessing")
        return Decision.model_validate_json(Path(blessing.uri, DECISION).read_text("utf-8")) if blessing else None

    def serving_check(self) -> ServingCheckResult | None:
        """The result of ServingCheck, if the run got that far."""
        artifact = self._output("ServingCheck", SERVING_CHECK)
        return ServingCheckResult.read(artifact.uri) if artifact else None

    def warnings(self) -> list[str]:
        """Warnings about the data, the hub modules and the training, one line each."""
        anomalies = self._output("ExampleValidator", "anomalies")
        found = list(DataFindings.read(anomalies.uri).warnings) if anomalies else []
        found += module_warnings(self._modules())
        if graph := self._output("Transform", "transform_graph"):
            found += [str(finding) for finding in UnreadDates.read(graph.uri).findings]
        trained = self._output("Trainer", "model_run")
        if trained and (notes := Path(trained.uri, NOTES)).exists():
            found += Notes.model_validate_json(notes.read_text("utf-8")).warnings
        pushed = self._output("Pusher", "pushed_model")
        if pushed and (why := pushed.custom_properties[WITHDRAWN].string_value):
            found.append(why)
        return found

    def best_trial(self) -> str | None:
        """The values of the Tuner's best trial in the form of the pipeline file, if there is a Tuner."""
        results = self._output("Tuner", "tuner_results")
        trials = read_trials(results.uri) if results else None
        return best_trial_text(trials, trials.best) if trials and trials.best else None

    def pushed(self) -> tuple[str | None, bool]:
        """The version in serving after the Pusher, and whether this run pushed it."""
        return self._version("Pusher", "pushed_model")

    def waiting(self) -> tuple[str | None, str | None]:
        """The folder in which the model waits for approval, if it does, and the command to approve it."""
        artifact = self._output("Pusher", "pushed_model")
        if artifact is None:
            return None, None
        properties = artifact.custom_properties
        return properties[WAITING].string_value or None, properties[APPROVE].string_value or None

    def published(self) -> str | None:
        """The newest version of the published hub module after the Pusher."""
        artifact = self._output("Pusher", "pushed_model")
        return (artifact.custom_properties[PUBLISHED].string_value or None) if artifact else None

    def predictions(self) -> tuple[str | None, bool]:
        """The newest version of the predictions after the Predictor, and whether this run wrote it."""
        return self._version("Predictor", "predictions")

    def newly_served(self) -> ServedVersion | None:
        """The model or the predictions that this run pushed, as `pin` finds them in the next run; None if none were
        pushed."""
        for step, key in (("Pusher", "pushed_model"), ("Predictor", "predictions")):
            path, newly = self._version(step, key)
            if path and newly and (artifact := self._output(step, key)):
                return ServedVersion(path=path, digest=artifact.custom_properties[DIGEST].string_value)
        return None

    def evaluated(self) -> LabelAccuracy | None:
        """Metrics of the predictions, if classes are known."""
        predictions = self._output("Predictor", "predictions")
        path = Path(predictions.uri, EVALUATION) if predictions else None
        return LabelAccuracy.model_validate_json(path.read_text("utf-8")) if path and path.exists() else None

    def _version(self, step: str, key: str) -> tuple[str | None, bool]:
        artifact = self._output(step, key)
        if artifact is None:
            return None, False
        cached = next(done.cached for done in self.steps if done.id == step)
        properties = artifact.custom_properties
        return properties[DESTINATION].string_value or None, properties[PUSHED].int_value == 1 and not cached

    def artifacts(self) -> Artifacts:
        """Folders of the artifacts for the report, as far as the run got."""

        def uri(step: str, key: str) -> str | None:
            artifact = self._output(step, key)
            return artifact.uri if artifact else None

        return Artifacts(
            examples=uri("ExampleGen", "examples"),
            rows=uri("Embedder", "rows"),
            statistics=uri("StatisticsGen", "statistics"),
            anomalies=uri("ExampleValidator", "anomalies"),
            transform_graph=uri("Transform", "transform_graph"),
            model=uri("Trainer", "model"),
            tuner_results=uri("Tuner", "tuner_results"),
            model_run=uri("Trainer", "model_run"),
            evaluation=uri("Evaluator", "evaluation"),
            serving_check=uri("ServingCheck", SERVING_CHECK),
            modules=self._modules(),
        )

    def _modules(self) -> dict[str, str]:
        """Artifact of each hub module, by module name."""
        made = {step: self._output(step, "model") for step in self._executions if step.startswith(_HUB_MODULE)}
        return {step.removeprefix(_HUB_MODULE): model.uri for step, model in made.items() if model}

    def launch(self, step: str, launch: Any) -> Any:
        interruption.check()
        self.current = step
        for listener in self._listeners:
            listener.started(step)
        begin = time.monotonic()
        with measured() as measurement:
            execution = launch()
        seconds = time.monotonic() - begin
        self._executions[step] = execution.execution_id
        cached = self._state(execution.execution_id) == metadata_store_pb2.Execution.CACHED
        if not cached:
            self._seals.seal(upkeep.uris(execution.output_dict))
        self.outputs |= set(self._output_uris(execution.execution_id))
        self.current = None
        usage = None if cached else measurement.usage
        self.steps.append(Step(id=step, seconds=round(seconds, 3), cached=cached, usage=usage))
        for listener in self._listeners:
            listener.finished(self.steps[-1])
        return execution

    def _state(self, execution: int) -> int:
        with metadata.Metadata(self._pipeline.metadata_connection_config) as store:
            return store.store.get_executions_by_id([execution])[0].last_known_state

    def _output_uris(self, execution: int) -> list[str]:
        with metadata.Metadata(self._pipeline.metadata_connection_config) as store:
            events = store.store.get_events_by_execution_ids([execution])
            ids = [event.artifact_id for event in events if event.type == metadata_store_pb2.Event.OUTPUT]
            return [artifact.uri for artifact in store.store.get_artifacts_by_id(ids)]

    def _output(self, step: str, key: str) -> metadata_store_pb2.Artifact | None:
        if step not in self._executions:
            return None
        with metadata.Metadata(self._pipeline.metadata_connection_config) as store:
            events = store.store.get_events_by_execution_ids([self._executions[step]])
            outputs = (event for event in events if event.type == metadata_store_pb2.Event.OUTPUT)
            ids = [event.artifact_id for event in outputs if event.path.steps[0].key == key]
            return store.store.get_artifacts_by_id(ids)[0] if ids else None
