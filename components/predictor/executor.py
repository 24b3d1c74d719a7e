"""Predictor's executor."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import replace
from itertools import count, islice
from typing import Any

from tfx.types import artifact_utils

from hubline.artifacts import quarantine
from hubline.artifacts.delivery import DESTINATION, DIGEST, PUSHED
from hubline.artifacts.examples import Manifest
from hubline.artifacts.names import TRIED_FILE
from hubline.artifacts.pins import ServedVersion
from hubline.artifacts.quarantine import QuarantinedRecord, read_quarantine, refuse_too_many
from hubline.components import module_channels
from hubline.components.config.bad_records import BadRecords
from hubline.components.config.predictions import Predictions, PushedModel
from hubline.components.dashboard.artifacts import preview, show
from hubline.components.predictor import batch_predict
from hubline.components.predictor.batch_predict import (
    BAD,
    PredictionJob,
    Task,
    assemble,
    prediction_stage,
    summaries,
)
from hubline.components.predictor.evaluation import EVALUATION, GroundTruth
from hubline.components.predictor.exported_model import ExportedModelSpec
from hubline.components.predictor.hub_model import HubModelSpec, Options
from hubline.components.predictor.inputs import InputChunk, shards_of
from hubline.components.predictor.label_file import read_labels
from hubline.components.predictor.model import ModelSpec
from hubline.components.predictor.predict import BadItem
from hubline.components.predictor.records_model import RecordsModelSpec
from hubline.components.spread.executor import StageExecutor
from hubline.components.spread.stage import Stage
from hubline.core import storage
from hubline.core.code_digest import content_digest
from hubline.core.config_base import read_sections
from hubline.core.digest import tree_digest
from hubline.core.errors import DataError
from hubline.core.shard_cache import key
from hubline.preprocessing.labels.classes import ClassLabel
from hubline.preprocessing.module_features import ModuleFeaturesToInfer
from hubline.serving.push import push
from hubline.serving.versions import newest_numbered
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.hub_trial import TrialResult

_TOP = 5
_MIN_SCORE = 0.5
_REASONS = 3
_MADE_BY = ("features", "hubs", "label", "labels", "bad_records")


def _asked(model_config: str | None) -> dict[str, Any] | None:
    """How a pushed model is asked; which model is asked is in the identity. None for a hub module."""
    if not model_config or model_config == "null":
        return None
    return PushedModel.model_validate_json(model_config).model_dump(include={"signature", "record_input"})


class Executor(StageExecutor):
    """Predicts on every shard that is not in the shard cache yet."""

    def stage(self, input_dict: dict, exec_properties: dict[str, Any]) -> Stage[Task]:
        """The predictions on all shards."""
        work, identity = _job(input_dict, exec_properties)
        written = Predictions.model_validate_json(exec_properties["written"])
        asked = _asked(exec_properties.get("model_config"))
        settings = [written.model_dump(exclude={"destination"}), asked, *map(exec_properties.get, _MADE_BY)]
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        depends_on = [identity, _code(work.model_spec), settings]
        tasks = list(_tasks(examples, Manifest.read(examples.uri), depends_on))
        return prediction_stage(work, tasks, exec_properties["store"])

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `predictions` with one file per shard, the list of bad items, image outputs and, if labels are known,
        `evaluation.json`. Then writes them to the destination as its next version, unless its newest version is
        identical.

        Raises:
            DataError: if more records cannot be predicted on than `bad_records` allows.
        """
        examples = artifact_utils.get_single_instance(input_dict["examples"])
        artifact = artifact_utils.get_single_instance(output_dict["predictions"])
        written = Predictions.model_validate_json(exec_properties["written"])
        bad_records = BadRecords.model_validate_json(exec_properties["bad_records"])
        manifest = Manifest.read(examples.uri)
        stage = self.stage(input_dict, exec_properties)
        self.run_stage(stage)
        made = summaries(stage)
        assemble(stage, made, artifact.uri, written.format)

        predicted = sum(one.predicted for one in made)
        bad = manifest.quarantined + sum(one.bad for one in made)
        refuse_too_many(bad, bad + predicted, bad_records.max_fraction, _bad_ones(examples.uri, artifact.uri))
        if bad and not predicted:  # `max_fraction: 1.0` allows this
            first = next(_bad_ones(examples.uri, artifact.uri))
            raise DataError(f"none of {bad:,} records could be predicted; the first: {first}")
        metrics = {"predicted": float(predicted), "bad": float(bad)}
        truth = _job(input_dict, exec_properties)[0].truth
        if truth:
            ranks = [sum(counts) for counts in zip(*(one.ranks for one in made), strict=True)]
            evaluated = truth.evaluated(ranks, predicted)
            storage.write_bytes(f"{artifact.uri}/{EVALUATION}", evaluated.model_dump_json(indent=2).encode())
            metrics |= evaluated.metrics
        shown = artifact_utils.get_single_instance(output_dict["metrics"])
        for name, value in metrics.items():
            shown.set_float_custom_property(name, value)
        show(shown, "Predictions", preview(f"{name} {value:.6g}" for name, value in metrics.items()))
        _push(artifact, written.destination)


def _job(input_dict: dict, exec_properties: dict[str, Any]) -> tuple[PredictionJob, str]:
    """How to predict, and a digest that identifies the model."""
    written = Predictions.model_validate_json(exec_properties["written"])
    bad_records = BadRecords.model_validate_json(exec_properties["bad_records"])
    model_spec, identity = _model_spec(input_dict, exec_properties, written)
    work = PredictionJob(
        model_spec=model_spec,
        form=written.format,
        batch_size=written.batch_size,
        key=written.key,
        bad="fail" if bad_records.policy == "fail" else "skip",
        truth=_truth(exec_properties, model_spec, written),
    )
    return work, identity


def _code(model_spec: ModelSpec) -> list[str]:
    """Digests of the code that predicts on a shard with such a model."""
    return [content_digest(module, "tensorflow") for module in (batch_predict.__name__, type(model_spec).__module__)]


def _model_spec(input_dict: dict, exec_properties: dict[str, Any], written: Predictions) -> tuple[ModelSpec, str]:
    """The model to predict with, and a digest that identifies it."""
    if exec_properties["model"]:
        version = ServedVersion.model_validate_json(exec_properties["model"])
        config = PushedModel.model_validate_json(exec_properties["model_config"])
        return _of_version(version.path, config, exec_properties, written), version.digest
    ((name, hub),) = read_sections(Hubs, exec_properties["hubs"]).items()
    options = Options(
        labels=_labels(written),
        top=_top(exec_properties, written),
        min_score=_MIN_SCORE if written.min_score is None else written.min_score,
        outputs=(hub.output,) if "output" in hub.model_fields_set and hub.output != "default" else (),
    )
    features = read_sections(ModuleFeaturesToInfer, exec_properties["features"])
    module = HubModelSpec.of(
        module_channels.folders(input_dict)[name], hub, features, options, _tried(input_dict, name)
    )
    return module, module_channels.digests(input_dict)[name]


def _of_version(path: str, config: PushedModel, exec_properties: dict[str, Any], written: Predictions) -> ModelSpec:
    """The model of a serving folder."""
    if config.record_input is None:
        return ExportedModelSpec(path, written.key)
    return RecordsModelSpec(
        path,
        signature=config.signature,
        labels=_labels(written),
        top=_top(exec_properties, written),
        allow_operations=config.allow_operations,
    )


def _labels(written: Predictions) -> tuple[str, ...]:
    return read_labels(written.labels) if written.labels else ()


def _top(exec_properties: dict[str, Any], written: Predictions) -> int | None:
    return written.top or (_TOP if exec_properties["label"] else None)


def _tried(input_dict: dict, name: str) -> TrialResult:
    """What HubModule's trial call of the module found out."""
    with storage.open_binary(f"{module_channels.artifacts(input_dict)[name].uri}/{TRIED_FILE}") as file:
        return TrialResult.model_validate_json(file.read())


def _truth(exec_properties: dict[str, Any], model_spec: ModelSpec, written: Predictions) -> GroundTruth | None:
    if not exec_properties["label"]:
        return None
    label = ClassLabel.model_validate_json(exec_properties["label"])
    # If the label lists no class names, its integers index the module's own labels.
    names = () if isinstance(model_spec, ExportedModelSpec) else _labels(written)
    return GroundTruth(label.column, label.classes or names, written.top or _TOP)


def _tasks(examples: Any, manifest: Manifest, depends_on: list[Any]) -> Iterator[Task]:
    """The shards with their cache keys, which cover the records, their names in messages, and everything else that
    predictions depend on."""
    quarantined_records = defaultdict(list)
    for entry in read_quarantine(f"{examples.uri}/{quarantine.FILE}"):
        quarantined_records[entry.file].append(entry.record)
    digests = {shard.name: shard.digest for shard in manifest.shards}
    shards = shards_of([piece for piece in _pieces(examples, manifest, quarantined_records) if piece.count])
    parts_of = Counter(piece.path for shard in shards for piece in shard)
    for shard in shards:
        told = [[digests[piece.path.rpartition("/")[2]], *_told_of(piece)] for piece in shard]
        yield Task(shard, key("predicted", depends_on, told), max(parts_of[piece.path] for piece in shard))


def _pieces(examples: Any, manifest: Manifest, quarantined_records: Mapping[str, list[int]]) -> Iterator[InputChunk]:
    numbers = count()
    for shard in manifest.shards:
        path = f"{artifact_utils.get_split_uri([examples], shard.split)}/{shard.name}"
        pieces = tuple(
            InputChunk(
                "example",
                origin.file,
                path,
                next(numbers),
                count=origin.count,
                quarantined_records=tuple(sorted(quarantined_records.get(origin.file, ()))),
            )
            for origin in shard.origins
        )
        yield pieces[0] if len(pieces) == 1 else replace(pieces[0], count=shard.count, joined=pieces)


def _told_of(piece: InputChunk) -> list[Any]:
    """Everything but the records that the predictions on a piece depend on."""
    joined = [_told_of(each) for each in piece.joined]
    return [piece.input, piece.file, piece.first, piece.count, piece.quarantined_records, joined]


def _bad_ones(examples: str, predictions: str) -> Iterator[QuarantinedRecord]:
    yield from islice(read_quarantine(f"{examples}/{quarantine.FILE}"), _REASONS)
    if storage.exists(f"{predictions}/{BAD}"):
        with storage.open_binary(f"{predictions}/{BAD}") as lines:
            for line in lines:
                bad = BadItem.model_validate_json(line)
                yield QuarantinedRecord(file=bad.input, record=bad.record or 0, reason=bad.reason)


def _push(artifact: Any, destination: str) -> None:
    newest, digest = newest_numbered(destination), tree_digest(artifact.uri)
    is_new = not (newest and tree_digest(newest) == digest)
    if is_new:
        newest = push(artifact.uri, destination, what="folder of predictions")
        artifact.set_string_custom_property(DIGEST, digest)
    artifact.set_int_custom_property(PUSHED, int(is_new))
    artifact.set_string_custom_property(DESTINATION, newest)
