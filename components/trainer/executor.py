"""Trainer's executor."""

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import tensorflow_transform as tft
from tfx.dsl.components.base import base_executor
from tfx.types import artifact_utils
from tfx.utils import path_utils

from hubline.artifacts.embedded_rows import EmbeddedRows
from hubline.artifacts.examples import Manifest
from hubline.artifacts.pins import ServedVersion
from hubline.artifacts.splits import SPLITS
from hubline.components import module_channels
from hubline.components.input_artifacts import read_schema, split_files
from hubline.core import json_text, storage
from hubline.core.config_base import read_sections
from hubline.core.errors import DataError
from hubline.core.shard_dataset import read_records
from hubline.preprocessing.columns import parsing_spec
from hubline.preprocessing.config import Features, Label
from hubline.preprocessing.summary import Summarizer
from hubline.preprocessing.transform import raw_columns
from hubline.trainer import parameters
from hubline.trainer.backbones.config import Backbones
from hubline.trainer.caches import Cache
from hubline.trainer.checkpoint_files import checkpoint_digest
from hubline.trainer.config.hubs import Hubs
from hubline.trainer.config.model import Model
from hubline.trainer.config.training import Training
from hubline.trainer.counts import complete, holding
from hubline.trainer.diagnosis import DataProblem, diagnose
from hubline.trainer.train import Job, Split, train
from hubline.trainer.training_notes import FILE, Note, Notes

_BATCH = 1024  # records per batch for diagnostics


class Executor(base_executor.BaseExecutor):
    """Creates a training job from artifacts and execution properties, and runs it."""

    def Do(self, input_dict: dict, output_dict: dict, exec_properties: dict[str, Any]) -> None:
        """Fills `model` with the SavedModel, and `model_run` with TensorBoard logs, learning curves and notes."""
        rows = EmbeddedRows.read(artifact_utils.get_single_uri(input_dict["rows"]))
        rows.check_against(Manifest.read(artifact_utils.get_single_uri(input_dict["examples"])))
        model_run = artifact_utils.get_single_uri(output_dict["model_run"])

        def split(name: str) -> Split:
            return Split(
                records=split_files(input_dict["examples"], name),
                rows=split_files(input_dict["rows"], name),
                count=rows.count(name),
                undecodable=rows.undecodable(name),
            )

        pinned = _pinned(exec_properties["warm_start"])
        job = Job(
            features=read_sections(Features, exec_properties["features"]),
            label=read_sections(Label, exec_properties["label"]),
            hubs=read_sections(Hubs, exec_properties["hubs"]),
            backbones=read_sections(Backbones, exec_properties["backbones"]),
            model=Model.model_validate_json(exec_properties["model_config"]),
            training=Training.model_validate_json(exec_properties["training"]),
            schema=read_schema(input_dict["schema"]),
            transform=tft.TFTransformOutput(artifact_utils.get_single_uri(input_dict["transform_graph"])),
            module_paths=module_channels.folders(input_dict),
            train=split("train"),
            validation=split("validation"),
            vectors=rows.vectors,
            views=rows.views,
            checkpoints=f"{exec_properties['checkpoints']}/{job_key(input_dict, exec_properties)}",
            warm_start=pinned.path if pinned else None,
            logs=f"{model_run}/tensorboard",
            kept_checkpoints=f"{model_run}/checkpoints",
            export=path_utils.serving_model_dir(artifact_utils.get_single_uri(output_dict["model"])),
        )
        _check_unchanged(pinned)
        notes = [
            Note(kind="data", text=finding.text) for finding in _diagnosed(job, {name: split(name) for name in SPLITS})
        ]
        caches: list[Cache] = []
        curves = train(job, notes, caches)
        storage.write_text(f"{model_run}/curves.json", json_text.dumps(curves))
        recorded = Notes(notes=tuple(notes), caches=tuple(caches), parameters=parameters.read(job.export))
        storage.write_text(f"{model_run}/{FILE}", recorded.model_dump_json(indent=2))


def _pinned(warm_start: str) -> ServedVersion | None:
    return ServedVersion.model_validate_json(warm_start) if warm_start else None


def _check_unchanged(source: ServedVersion | None) -> None:
    """Raises DataError if the source of the warm start isn't the one that was pinned."""
    if source is not None and checkpoint_digest(source.path) != source.digest:
        raise DataError(f"training.warm_start: {source.path} has changed since the run began; run again")


def _diagnosed(job: Job, splits: Mapping[str, Split]) -> list[DataProblem]:
    """Diagnoses the rows of all splits.

    Raises:
        DataError: if there is nothing to learn; lists all findings.
    """
    if job.label.masks:  # masks are stored next to the images, not in rows
        return []
    spec = parsing_spec(job.schema, raw_columns(job.features, job.label))
    summarizer = Summarizer(job.features, job.label, job.transform, spec)
    with holding(splits):
        summaries = {
            name: summarizer.summarize(complete(read_records(split.rows), split.count).batch(_BATCH))
            for name, split in splits.items()
        }
    found = diagnose(job.features, job.label, job.transform, summaries)
    if any(finding.stops for finding in found):
        raise DataError("\n  ".join(["there is nothing to learn:", *(finding.text for finding in found)]))
    return found


def job_key(input_dict: dict, exec_properties: dict[str, Any]) -> str:
    """Key of a job's checkpoints: the same inputs and properties resume from them, and others start afresh. When
    checkpoints are saved changes nothing else."""
    inputs = {key: [artifact.uri for artifact in artifacts] for key, artifacts in input_dict.items()}
    training = {key: value for key, value in json.loads(exec_properties["training"]).items() if key != "checkpoints"}
    text = json.dumps([inputs, exec_properties | {"training": training}], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]
